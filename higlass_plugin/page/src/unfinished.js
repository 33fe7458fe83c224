// What is not final looks unfinished: it is hatched on the map, and what it is stands in words above it, with the place in the queue and the time left.

import { page } from "./page.js";

const SVG = "http://www.w3.org/2000/svg";
const BINS = { 1: 1024, 2: 256 }; // of a tile along an axis, by its dimensions
const APART = 9; // px between two lines of the hatching, along an axis
const COLOUR = "#6f6f6f"; // seen on white, on black and on all scales

/** The part of a convex polygon [[x, y], ...] where `side(x, y)`, a linear function, is not negative. */
export function cut(polygon, side) {
  return polygon.flatMap((here, n) => {
    const next = polygon[(n + 1) % polygon.length];
    const [a, b] = [side(...here), side(...next)];
    const kept = a >= 0 ? [here] : [];
    if (a * b >= 0) return kept;
    const t = a / (a - b);
    return [...kept, [here[0] + t * (next[0] - here[0]), here[1] + t * (next[1] - here[1])]];
  });
}

/** Lines x + y = n * APART through a convex polygon: [x1, y1, x2, y2] each. */
export function hatching(polygon) {
  const sums = polygon.map(([x, y]) => x + y);
  const lines = [];
  for (let at = Math.ceil(Math.min(...sums) / APART) * APART; at < Math.max(...sums); at += APART) {
    const ends = polygon.flatMap((here, n) => {
      const next = (n + 1) % polygon.length;
      if (sums[n] === sums[next] || (sums[n] - at) * (sums[next] - at) > 0) return [];
      const t = (at - sums[n]) / (sums[next] - sums[n]);
      return [[0, 1].map((axis) => here[axis] + t * (polygon[next][axis] - here[axis]))];
    });
    if (!ends.length) continue;
    const [[x, y], [u, v]] = [ends.reduce((a, b) => (b[0] < a[0] ? b : a)), ends.reduce((a, b) => (b[0] > a[0] ? b : a))];
    if (u > x) lines.push([x, y, u, v]);
  }
  return lines;
}

/** Where on the screen, from the corner of HiGlass's canvas, the unfinished tiles of a track are drawn: convex polygons. */
export function unfinishedParts(track, dimensions) {
  const sizes = [...(track.tilesetInfo?.resolutions ?? [])].sort((a, b) => b - a);
  const [left, top] = track.position;
  const [width, height] = track.dimensions;
  const ends = ({ tilePos, zoomLevel }, axis) => [tilePos[axis], tilePos[axis] + 1].map((n) => n * BINS[dimensions] * sizes[zoomLevel]);
  const clipped = (range, most) => range.map((at) => Math.max(0, Math.min(most, at)));
  const across = (range) => clipped(range.map((at) => track._xScale(at)), width);
  const down = (range) => clipped(range.map((at) => track._yScale(at)), height);
  const areas = Object.values(track.fetchedTiles).flatMap(({ tileData }) => {
    if (!tileData?.computing || !sizes[tileData.zoomLevel]) return [];
    if (dimensions === 1) return [[across(ends(tileData, 0)), [0, height]]];
    const [one, other] = [ends(tileData, 0), ends(tileData, 1)]; // a map is symmetric: a tile is drawn on both sides of the diagonal
    const both = [[across(one), down(other)]];
    if (tileData.tilePos[0] !== tileData.tilePos[1]) both.push([across(other), down(one)]);
    return both;
  });
  const sign = { "upper-right": 1, "lower-left": -1 }[track.options?.extent];
  return areas
    .filter(([[x0, x1], [y0, y1]]) => x0 < x1 && y0 < y1)
    .map(([[x0, x1], [y0, y1]]) => [[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    .map((area) => (dimensions === 2 && sign ? cut(area, (x, y) => sign * (track._xScale.invert(x) - track._yScale.invert(y))) : area))
    .filter((area) => area.length > 2)
    .map((area) => area.map(([x, y]) => [left + x, top + y]));
}

/** Hatches all that is not final, in the SVG that lies over the maps. */
export function drawUnfinished(conf) {
  const svg = document.getElementById("letters");
  if (!svg) return;
  for (const old of svg.querySelectorAll(".unfinished")) old.remove();
  for (const view of conf.views) {
    const tracks = [
      ...(view.tracks.top ?? []).map(({ uid }) => [uid, 1]),
      ...(view.tracks.center ?? []).flatMap(({ uid, contents }) => (contents ?? [{ uid }]).map((one) => [one.uid, 2])),
    ];
    const lines = tracks.flatMap(([uid, dimensions]) => {
      const track = page.api.getTrackObject(view.uid, uid);
      return track?.fetchedTiles && track._xScale ? unfinishedParts(track, dimensions).flatMap(hatching) : [];
    });
    for (const ends of lines) {
      const line = document.createElementNS(SVG, "line"); // pictures are made of simple shapes
      ["x1", "y1", "x2", "y2"].forEach((name, n) => line.setAttribute(name, ends[n].toFixed(1)));
      for (const [name, value] of Object.entries({ class: "unfinished", stroke: COLOUR, "stroke-width": 1 })) line.setAttribute(name, value);
      svg.append(line);
    }
  }
}
