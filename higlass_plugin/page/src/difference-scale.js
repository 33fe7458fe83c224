// The difference is drawn on a scale that follows what is seen: symmetric, so that no change is the colour of no change, up to what nearly all values that are
// seen stay below, and never so narrow that noise looks like change. Or on the fixed scale of the viewconf.

import { current, page, show } from "./page.js";
import { about, reference } from "./views.js";

const BINS = 256; // along a side of a tile of a map
const MAP = "difference";
const ROWS = ["insulation", "compartments"];
/** Share of the values of a map that the scale holds: the few largest would make all others pale. */
export const QUANTILE = 0.995;
/** Where the scale ends at least: ln(edited / reference), about 5 %; of rows of scores, their own units. */
export const FLOOR = 0.05;
const STEPS = [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10]; // where scales end, times a power of ten: so they change seldom, and have ticks that can be read
const PAUSE = 200; // ms for which nothing moves
const COUNTED = 4096; // steps in which values are counted

/** The end of a scale that holds a value: the next step. */
export function endOfScale(value) {
  if (!(value > FLOOR)) return FLOOR;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = STEPS.find((one) => one * power >= value * (1 - 1e-9));
  return Number((step * power).toPrecision(3));
}

/** The quantile of sizes: the least of some even steps that so many of them do not exceed; 0 of none. */
export function quantile(sizes, share) {
  const most = sizes.reduce((a, b) => Math.max(a, b), 0);
  if (!most) return 0;
  const counts = new Uint32Array(COUNTED + 1);
  for (const size of sizes) counts[Math.ceil((size / most) * COUNTED)] += 1;
  let left = share * sizes.length;
  const found = counts.findIndex((count) => (left -= count) <= 0);
  return (found / COUNTED) * most;
}

/** The bins [first, last) of a level that a scale of HiGlass shows. */
const seen = (scale, resolution) => scale.domain().map((at, n) => (n ? Math.ceil(at / resolution) : Math.floor(at / resolution)));

/** Sizes of the finished values of a map that are seen, one for each pixel: the map is symmetric, and its tiles tell of each pair of bins once. */
function sizesOfMap(track, resolution) {
  const [x, y] = [seen(track._xScale, resolution), seen(track._yScale, resolution)];
  const within = (bin, [first, last]) => first <= bin && bin < last;
  const tiles = new Map(); // HiGlass has some of them twice, for both sides of the diagonal
  for (const { tileData } of Object.values(track.fetchedTiles)) {
    if (!tileData?.dense || tileData.computing || tileData.zoomLevel !== track.zoomLevel) continue;
    tiles.set([...tileData.tilePos].sort((a, b) => a - b).join(), tileData);
  }
  const found = [];
  for (const { tilePos, dense } of tiles.values()) {
    const [left, right] = [Math.min(...tilePos) * BINS, Math.max(...tilePos) * BINS];
    for (let i = 0; i < BINS; i += 1) {
      for (let j = 0; j < BINS; j += 1) {
        const [first, last] = [left + j, right + i];
        if (first > last) break;
        const told = dense[i * BINS + j];
        const size = Math.abs(Number.isFinite(told) || left !== right ? told : dense[j * BINS + i]);
        if (!Number.isFinite(size)) continue;
        if (within(first, x) && within(last, y)) found.push(size);
        if (first !== last && within(last, x) && within(first, y)) found.push(size);
      }
    }
  }
  return found;
}

/** Sizes of the finished values of a row that are seen. */
function sizesOfRow(track, resolution) {
  const [first, last] = seen(track._xScale, resolution);
  return Object.values(track.fetchedTiles).flatMap(({ tileData }) => {
    if (!tileData?.dense || tileData.computing || tileData.zoomLevel !== track.zoomLevel) return [];
    const begin = tileData.tilePos[0] * tileData.dense.length;
    return [...tileData.dense].filter((value, k) => Number.isFinite(value) && first <= begin + k && begin + k < last).map(Math.abs);
  });
}

/** Whether the scale of the difference is the fixed one. */
export function isFixed(conf) {
  return Boolean(about(reference(conf)).fixed);
}

/** Whether a track's scale is as narrow as it gets, because hardly anything that is seen changes. */
export function isFloored(track) {
  return track.fixedValueScaleMax === FLOOR;
}

function rescaleTrack(view, uid, fixed) {
  const track = page.api.getTrackObject(view, uid);
  const resolution = [...(track?.tilesetInfo?.resolutions ?? [])].sort((a, b) => b - a)[track?.zoomLevel];
  if (!track?.fetchedTiles || !resolution) return;
  let end; // none: that of the viewconf
  if (!fixed) {
    const sizes = uid === MAP ? sizesOfMap(track, resolution) : sizesOfRow(track, resolution);
    if (!sizes.length) return; // nothing is known yet
    end = endOfScale(quantile(sizes, uid === MAP ? QUANTILE : 1));
  }
  if ((track.fixedValueScaleMax ?? undefined) === end) return;
  page.api.setTrackValueScaleLimits(view, uid, end === undefined ? undefined : -end, end);
}

let timer = null;

/** Fits the scales of what is different to what is seen, once that stays. */
export function rescale() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const conf = page.api && current();
    for (const view of conf?.views ?? []) {
      if (about(view).role !== "difference") continue;
      for (const uid of [MAP, ...ROWS]) rescaleTrack(view.uid, uid, isFixed(conf));
    }
  }, PAUSE);
}

/** From the scale that follows what is seen to the fixed one, or back. */
export async function switchScale() {
  const conf = current();
  about(reference(conf)).fixed = !isFixed(conf);
  await show(conf);
  rescale();
}
