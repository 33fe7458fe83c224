// The value under the cursor, with its two bins.

import { element } from "./dom.js";
import { whyEmpty } from "./empty.js";
import { formatValue } from "./grid.js";
import { glance, page } from "./page.js";
import { offsets } from "./region.js";
import { roleOf } from "./series.js";
import { about } from "./views.js";
import { inWords } from "./words.js";

const BINS = 256; // along a side of a tile
const PAUSE = 60; // ms between two readings

/** What a heatmap shows at a place of its axes: {value, resolution, bins, shows}, the bins in pixels of the zoom level; null where it has no tile. */
export function valueAt(track, x, y) {
  const resolution = [...(track.tilesetInfo?.resolutions ?? [])].sort((a, b) => b - a)[track.zoomLevel];
  if (!resolution) return null;
  // the map is symmetric: the server tells of each pair of bins once, of a tile on the diagonal twice, and HiGlass may blank out one of these
  const bins = [x, y].map((position) => Math.floor(position / resolution));
  const [first, last] = [...bins].sort((a, b) => a - b);
  const wanted = [first, last].map((bin) => Math.floor(bin / BINS)).join();
  const [i, j] = [last % BINS, first % BINS];
  for (const { tileData } of Object.values(track.fetchedTiles)) {
    if (!tileData?.dense || tileData.zoomLevel !== track.zoomLevel || [...tileData.tilePos].sort((a, b) => a - b).join() !== wanted) continue;
    const isOnDiagonal = tileData.tilePos[0] === tileData.tilePos[1];
    const found = [tileData.dense[i * BINS + j], ...(isOnDiagonal ? [tileData.dense[j * BINS + i]] : [])];
    const value = found.find(Number.isFinite) ?? Number.NaN;
    return { value, resolution, bins, shows: tileData.computing ? tileData.shows || "computing" : "" };
  }
  return null;
}

/** A bin as chromosome and positions. Bins begin anew with each chromosome. */
export function binName(bin, resolution, chromsizes) {
  const begins = [...offsets(chromsizes)].reverse();
  const [chrom, begin] = begins.find(([, at]) => Math.floor(at / resolution) <= bin) ?? begins.at(-1);
  const start = (bin - Math.floor(begin / resolution)) * resolution;
  const end = Math.min(start + resolution, new Map(chromsizes).get(chrom));
  return `${chrom}:${start.toLocaleString("en-GB")}-${end.toLocaleString("en-GB")}`;
}

/** The maps under a place of the screen, the last one drawn first, and where that is on their axes. */
function under(clientX, clientY) {
  const canvas = document.querySelector("#higlass canvas")?.getBoundingClientRect();
  if (!canvas || !page.api) return null;
  const [left, top] = [clientX - canvas.left, clientY - canvas.top];
  for (const view of glance().views) {
    for (const { uid, options } of [...(view.tracks.center?.[0]?.contents ?? [])].reverse()) {
      const track = page.api.getTrackObject(view.uid, uid);
      if (!track?.fetchedTiles) continue;
      const [x, y] = [left - track.position[0], top - track.position[1]];
      if (x < 0 || y < 0 || x > track.dimensions[0] || y > track.dimensions[1]) break; // the tracks of one view lie on each other
      const place = [track._xScale.invert(x), track._yScale.invert(y)];
      const isUpper = place[0] > place[1];
      if ((options?.extent === "upper-right" && !isUpper) || (options?.extent === "lower-left" && isUpper)) continue;
      return { view, uid, track, options, place };
    }
  }
  return null;
}

/** The text for a place of the screen; "" beside the maps. */
function textAt(clientX, clientY) {
  const found = under(clientX, clientY);
  const read = found && valueAt(found.track, ...found.place);
  if (!read) return "";
  const { chromsizes } = found.track.tilesetInfo;
  if (!chromsizes) return "";
  const size = new Map(chromsizes);
  const total = [...size.values()].reduce((sum, n) => sum + n, 0);
  if (found.place.some((position) => position < 0 || position >= total)) return "";
  const { value, values = {} } = about(found.view);
  const role = roleOf(found.view);
  const what = role === "difference" ? "ln edited / reference" : (values[value]?.scale ?? values[value]?.label ?? "");
  const isThere = Number.isFinite(read.value);
  const half = found.uid.split("-")[0];
  const told = isThere ? formatValue(read.value, 3) : whyEmpty({ info: found.track.tilesetInfo, role, half, place: found.place, ...read });
  const [x, y] = read.bins.map((bin) => binName(bin, read.resolution, chromsizes));
  return `${x} × ${y}: ${what} ${told}${isThere && read.shows ? ` (${inWords(read.shows)})` : ""}`;
}

export function listenToCursor() {
  let timer = null;
  let at = null;
  const read = () => {
    timer = null;
    element("readout").textContent = at ? textAt(...at) : "";
  };
  element("window").addEventListener("mousemove", ({ clientX, clientY }) => {
    at = [clientX, clientY];
    timer ??= setTimeout(read, PAUSE);
  });
  element("window").addEventListener("mouseleave", () => {
    at = null;
    timer ??= setTimeout(read, PAUSE);
  });
}
