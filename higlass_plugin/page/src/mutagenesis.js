// Where somebody looks at single bases, rows of answers have what every substitution changes (in-silico mutagenesis) in the place of the gradient.
// The server computes it by its turn, a few bases at once, for as long as it is asked.

import { request } from "./api.js";
import { placeOf } from "./region.js";
import { queueInWords } from "./words.js";

/** Bases that are seen at most: as many as the server computes at once. */
export const MOST = 64;
const STAYS = 800; // ms for which the place must stay before anything is asked for
const AGAIN = 1000; // ms between two questions

const rows = new Map(); // tileset -> what is asked for and known: {region, start, known, total, contributes, queue, problem, timer}

/** The bases of [start, end) of HiGlass's coordinates that lie on the first one's chromosome: {chrom, start, end, offset}. */
function basesOf(track, start, end) {
  const { chromsizes } = track.tilesetInfo;
  const [chrom, at] = placeOf(Math.max(0, start), chromsizes);
  const offset = Math.max(0, start) - at;
  return { chrom, start: at, end: Math.min(end - offset, new Map(chromsizes).get(chrom)), offset };
}

async function ask(tileset, row, redraw) {
  try {
    const { ready, known, contributes, queue } = await request(`mutagenesis/?${new URLSearchParams({ d: tileset, region: row.region })}`);
    Object.assign(row, { ready, known, contributes, queue, problem: "" });
  } catch (error) {
    row.problem = error.message;
    row.ready = Boolean(error.status) && error.status !== 429;
  }
  if (rows.get(tileset) !== row) return; // another place is looked at
  if (!row.ready) row.timer = setTimeout(() => ask(tileset, row, redraw), AGAIN);
  redraw();
}

/** What substitutions of the bases that a row shows change, as far as it is known: {bases: {position: value}, isWhole, words}; null where too much is seen. */
export function mutagenesisOf(track, start, end, redraw) {
  const tileset = track.tilesetUid;
  const seen = basesOf(track, start, end);
  const total = seen.end - seen.start;
  if (total < 1 || end - start > MOST) {
    forget(tileset);
    return null;
  }
  const region = `${seen.chrom}:${seen.start}-${seen.end}`;
  let row = rows.get(tileset);
  if (row?.region !== region) {
    forget(tileset);
    row = { region, known: 0, total, contributes: [], queue: null, problem: "", ready: false };
    row.timer = setTimeout(() => ask(tileset, row, redraw), STAYS);
    rows.set(tileset, row);
  }
  const bases = new Map();
  row.contributes.forEach((value, n) => {
    if (value !== null) bases.set(seen.offset + seen.start + n, value);
  });
  const left = [`mutagenesis of ${row.known} of ${total} bases`, ...queueInWords(row.queue)].join(", ");
  return { bases, isWhole: row.ready && !row.problem, words: row.problem ? `no mutagenesis: ${row.problem}` : left };
}

/** A row shows single bases no more. */
export function forget(tileset) {
  clearTimeout(rows.get(tileset)?.timer);
  rows.delete(tileset);
}

/** Only these rows are shown. */
export function keepOnly(tilesets) {
  for (const tileset of [...rows.keys()]) if (!tilesets.has(tileset)) forget(tileset);
}

/** How much of what is seen is computed: {known, total} bases of all rows that wait. */
export function computed() {
  const waiting = [...rows.values()].filter(({ ready }) => !ready);
  return { known: waiting.reduce((sum, row) => sum + row.known, 0), total: waiting.reduce((sum, row) => sum + row.total, 0) };
}
