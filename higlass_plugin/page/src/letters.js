// Letters over the rows of answers, where a base is wide enough to be read: each as high as what it contributes, below the line where that is negative.
// What the numbers are stands beside them: of the gradient, or, where few bases are seen, of mutagenesis.

import { request } from "./api.js";
import { keepOnly, mutagenesisOf } from "./mutagenesis.js";
import { glance, page } from "./page.js";
import { placeOf } from "./region.js";
import { PREFIX } from "./why.js";
import { bpLabel } from "./words.js";

const WIDE = 5; // px that a base must have
const AHEAD = 200; // bases that are asked for beyond both ends of what is seen
const SVG = "http://www.w3.org/2000/svg";
const COLOURS = { A: "#109648", C: "#255c99", G: "#f7b32b", T: "#d62839", N: "#999999" };
const CAP = 0.72; // height of a capital letter, of the size of its font

const known = new Map(); // tileset -> {chrom, start, letters} that was asked for last

function node(tag, attributes) {
  const found = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  return found;
}

/** What the bases [start, end) of HiGlass's coordinates contribute, by the tiles of 1 bp of a track; null where no such tile is there. */
export function valuesOf(track, start, end) {
  const bases = new Map();
  for (const { tileData } of Object.values(track.fetchedTiles)) {
    const level = tileData?.dense && [...track.tilesetInfo.resolutions].sort((a, b) => b - a)[tileData.zoomLevel];
    if (level !== 1) continue;
    const first = tileData.tilePos[0] * tileData.dense.length;
    for (let at = Math.max(start, first); at < Math.min(end, first + tileData.dense.length); at += 1) {
      const value = tileData.dense[at - first];
      if (Number.isFinite(value)) bases.set(at, value);
    }
  }
  return bases;
}

/** The letters of [start, end) of HiGlass's coordinates, which lie on one chromosome; null while they are asked for. */
function lettersOf(track, start, end, redraw) {
  const { chromsizes } = track.tilesetInfo;
  const [chrom, at] = placeOf(start, chromsizes);
  const begin = start - at;
  const size = new Map(chromsizes).get(chrom);
  const [from, to] = [Math.max(0, start - begin), Math.min(end - begin, size)];
  const found = known.get(track.tilesetUid);
  if (found?.chrom === chrom && found.start <= from && to <= found.start + found.letters.length) {
    return { first: begin + found.start, letters: found.letters };
  }
  const asked = { chrom, start: Math.max(0, from - AHEAD), end: Math.min(size, to + AHEAD) };
  if (found?.asked === `${chrom}:${asked.start}` || from >= to) return null;
  known.set(track.tilesetUid, { chrom: null, asked: `${chrom}:${asked.start}` });
  const region = `${chrom}:${asked.start}-${asked.end}`;
  request(`sequence/?${new URLSearchParams({ d: track.tilesetUid, region })}`).then(
    ({ letters }) => {
      known.set(track.tilesetUid, { chrom, start: asked.start, letters });
      redraw();
    },
    () => known.delete(track.tilesetUid),
  );
  return null;
}

/** Says over a row what its numbers are. */
function drawMethod(svg, track, words) {
  const [left, top] = track.position;
  const text = node("text", { class: "method", x: left + 4, y: top + track.dimensions[1] - 4, fill: "#444444", "font-size": 10, "font-family": "sans-serif", stroke: "#ffffff", "stroke-width": 3, "paint-order": "stroke" });
  svg.append(text);
  // what has no room is left out from its end
  for (let part = words; part; part = part.slice(0, Math.max(0, part.lastIndexOf(","), part.lastIndexOf(";")))) {
    text.textContent = part;
    if (text.getComputedTextLength() <= track.dimensions[0] - 8) return;
  }
}

/** Draws the letters of one row into an SVG that lies over it; returns what its numbers are, in words. */
function drawRow(svg, track, redraw) {
  const [left, top] = track.position;
  const [width, height] = track.dimensions;
  const [start, end] = track._xScale.domain().map((x, n) => (n ? Math.ceil(x) : Math.floor(x)));
  const bin = [...track.tilesetInfo.resolutions].sort((a, b) => b - a)[track.zoomLevel];
  if (bin > 1) return `gradient: sum of sizes in ${bpLabel(bin)}`;
  if (width / (end - start) < WIDE) return "gradient";
  const changed = mutagenesisOf(track, start, end, redraw);
  const values = changed?.isWhole ? changed.bases : valuesOf(track, start, end);
  const method = changed?.isWhole ? "mutagenesis" : ["gradient", ...(changed ? [changed.words] : [])].join("; ");
  const found = values.size ? lettersOf(track, start, end, redraw) : null;
  if (!found) return method;
  const low = Math.min(0, ...values.values());
  const highest = Math.max(0, ...values.values());
  const unit = (height - 4) / (highest - low || 1);
  const zero = 2 + highest * unit;
  const row = node("svg", { x: left, y: top, width, height }); // which cuts off what begins or ends outside
  row.append(node("rect", { width, height, fill: "white" }));
  for (const [at, value] of values) {
    const letter = found.letters[at - found.first];
    if (!letter || !value) continue;
    const x = track._xScale(at);
    const wide = track._xScale(at + 1) - track._xScale(at);
    const tall = Math.abs(value) * unit;
    const text = node("text", {
      transform: `translate(${x} ${zero + (value < 0 ? tall : 0)}) scale(${wide / 7} ${tall / (10 * CAP)})`,
      fill: COLOURS[letter] ?? COLOURS.N, "font-size": 10, "font-family": "monospace", "font-weight": "bold",
    });
    text.textContent = letter;
    row.append(text);
  }
  row.append(node("line", { x1: 0, x2: width, y1: zero, y2: zero, stroke: "#888888", "stroke-width": 0.5 }));
  svg.append(row);
  return method;
}

/** Draws letters over all rows of answers in which bases can be read. */
export function drawLetters(conf) {
  const redraw = () => page.around(glance());
  const canvas = document.querySelector("#higlass canvas");
  if (!canvas) return;
  let svg = document.getElementById("letters");
  if (!svg || svg.parentNode !== canvas.parentNode) {
    svg?.remove();
    svg = node("svg", { id: "letters", "aria-hidden": "true" });
    canvas.parentNode.append(svg);
  }
  svg.setAttribute("width", canvas.clientWidth);
  svg.setAttribute("height", canvas.clientHeight);
  svg.replaceChildren();
  const drawn = new Set();
  for (const view of conf.views) {
    for (const { uid, type } of view.tracks.top ?? []) {
      if (!uid.startsWith(PREFIX) || type === "empty") continue;
      const track = page.api.getTrackObject(view.uid, uid);
      if (!track?.tilesetInfo?.chromsizes) continue;
      drawn.add(track.tilesetUid);
      drawMethod(svg, track, drawRow(svg, track, redraw));
    }
  }
  keepOnly(drawn);
}
