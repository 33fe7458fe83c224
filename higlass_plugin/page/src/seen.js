// What is seen of a track: its tileset, the size of its bins, and its places in the genome, as the server is asked for them.

import { offsets } from "./region.js";

/** The chromosomes that a range of HiGlass's coordinates touches: [{chrom, start, end}], in bp of each. */
export function partsOf([from, to], chromsizes) {
  const begins = offsets(chromsizes);
  return chromsizes
    .map(([chrom, size]) => {
      const begin = begins.get(chrom);
      return { chrom, start: Math.max(0, Math.round(from - begin)), end: Math.min(size, Math.round(to - begin)) };
    })
    .filter(({ start, end }) => start < end);
}

const text = ({ chrom, start, end }) => `${chrom}:${start}-${end}`;

/** bp per bin of what a track draws; undefined while it does not know. */
function resolutionOf(track) {
  const levels = [...(track.tilesetInfo?.resolutions ?? [])].sort((a, b) => b - a);
  return levels[Math.min(track.zoomLevel ?? 0, levels.length - 1)];
}

/** What is seen of a track: {d, resolution, columns, rows}, the parts of its axes; null while it does not know its tileset. `rows` is null of a track along one axis. */
export function seenOf(track, isMap) {
  const resolution = track?.tilesetInfo && resolutionOf(track);
  const { chromsizes } = track?.tilesetInfo ?? {};
  if (!resolution || !chromsizes || !track.tilesetUid) return null;
  const columns = partsOf(track._xScale.domain(), chromsizes);
  const rows = isMap ? partsOf(track._yScale.domain(), chromsizes) : null;
  return { d: track.tilesetUid, resolution, columns, rows };
}

/** Regions and rows of the chromosomes that are seen along both axes: [[region, rows], ...]. */
export function withinChromosomes({ columns, rows }) {
  return columns.flatMap((column) => rows.filter(({ chrom }) => chrom === column.chrom).map((row) => [text(column), text(row)]));
}

const longest = (parts) => parts.reduce((best, part) => (part.end - part.start > best.end - best.start ? part : best));

/** The chromosome of which most is seen: {region, rows, more}, `rows` "" where both axes look at one place, `more` if others are seen, too. */
export function mostOf({ columns, rows }) {
  const column = longest(columns);
  const row = rows ? longest(rows) : column;
  return {
    region: text(column),
    rows: text(row) === text(column) ? "" : text(row),
    size: column.end - column.start,
    more: columns.length > 1 || (rows?.length ?? 0) > 1,
  };
}
