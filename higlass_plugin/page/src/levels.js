// All levels side by side: the button, what stands over the maps (their names, and where the window of the next finer level is), and clicks on them.

import { element, made } from "./dom.js";
import { current, drawn, goTo, goToFiner, goToLevels, page, show } from "./page.js";
import { formatRegion } from "./region.js";
import { isSeries, levelName, levelsOf, positionOf, withSeries } from "./series.js";
import { about, edits, isStacked, reference, shownEdit } from "./views.js";

const STILL = 4; // px that the mouse may move between press and release of a click
const ABOVE = 52; // px of name and axis above a map
const BESIDE = 30; // px of the axis beside it

const middle = ([start, end]) => (start + end) / 2;

/** Where the levels look at first: the breakpoint that is looked at, if it is seen, else the middle of what is seen. */
function firstPosition(conf) {
  const { initialXDomain: x, initialYDomain: y } = reference(conf);
  const { stops = [], stop = 0 } = edits(conf).find(({ id }) => id === shownEdit(conf)?.id) ?? {};
  const [place] = stops[stop] ?? [];
  return x[0] <= place && place <= x[1] ? place : (middle(x) + middle(y)) / 2;
}

/** Shows all levels side by side, or again what was shown before. */
export async function toggleLevels() {
  const conf = current();
  const opens = !isSeries(conf);
  await show(withSeries(conf, opens ? firstPosition(conf) : undefined));
  const { initialXDomain: x, initialYDomain: y } = reference(conf);
  await (opens ? goToLevels(about(reference(current())).series, x, y) : goTo(x, y));
}

/** Draws the button, and the line that says what is seen. */
export function drawLevelsButton(conf) {
  const on = isSeries(conf);
  element("all-levels").hidden = levelsOf(conf).length < 2;
  element("all-levels").setAttribute("aria-pressed", String(on));
}

/** The maps of a drawn series, and what stands over each: {title, note, left, top, width, height, box}, px from the corner of HiGlass's canvas. */
export function levelPanes(api, conf) {
  const panes = conf.views.filter((view) => about(view).role === "level");
  return panes.flatMap((view, n) => {
    const { of, name, level } = about(view);
    const [map] = view.tracks.center[0].contents;
    const track = api.getTrackObject(view.uid, map.uid);
    if (!track) return [];
    const [left, top] = track.position;
    const [width, height] = track.dimensions;
    const finer = panes[n + 1] && about(panes[n + 1]).of === of && panes[n + 1];
    const next = finer && api.getTrackObject(finer.uid, finer.tracks.center[0].contents[0].uid);
    const ends = (domain, scale, from, side) => domain.map((position) => from + Math.min(Math.max(scale(position), 0), side));
    const box = next && {
      x: ends(next._xScale.domain(), track._xScale, left, width),
      y: ends(next._yScale.domain(), track._yScale, top, height),
    };
    const called = { reference: "", edit: name, difference: "difference" }[of];
    return [{ uid: view.uid, of, title: levelName(level), note: called, left, top, width, height, box }];
  });
}

const px = (node, sizes) => {
  for (const [name, size] of Object.entries(sizes)) node.style.setProperty(`--${name}`, `${size}px`);
  return node;
};

/** Draws what stands over the maps of a series; `words` tells of a view what in it is not final. */
export function drawLevels(panes, words) {
  const layer = element("levels");
  layer.hidden = !panes.length;
  const inRows = new Set(panes.map(({ of }) => of)).size > 1;
  let last = inRows ? null : "reference";
  layer.replaceChildren(
    ...panes.flatMap(({ uid, of, title, note, left, top, width, height, box }) => {
      const first = of !== last && !isStacked(); // of its row
      last = of;
      const row = first ? [px(made("div", { className: "row", textContent: note || "reference" }), { left: left - BESIDE - 22, top, height })] : [];
      const head = made("div", { className: "pane", title: [title, note].filter((text) => text).join(": ") });
      head.append(made("b", { textContent: title }), made("span", { className: "state", textContent: words(uid) }), made("span", { className: "note", textContent: isStacked() ? note : "" })); // else its row says so
      px(head, { left: left - BESIDE, top: top - ABOVE, width: width + BESIDE });
      if (!box || box.x[1] <= box.x[0] || box.y[1] <= box.y[0]) return [...row, head];
      const frame = made("div", { className: "finer" });
      return [...row, head, px(frame, { left: box.x[0], top: box.y[0], width: box.x[1] - box.x[0], height: box.y[1] - box.y[0] })];
    }),
  );
  const { chromsizes } = panes.length ? about(reference(current())) : {};
  const at = panes.length && positionOf(current());
  if (panes.length) element("levels-at").textContent = formatRegion([at, at + 1], chromsizes).split("-")[0];
}

/** The level under a place of the screen, and the position of the reference that is meant: {resolution, position}; null beside the maps. */
function levelAt({ clientX, clientY }) {
  const canvas = document.querySelector("#higlass canvas").getBoundingClientRect();
  for (const view of drawn().views) {
    const { shift = 0, level } = about(view);
    const track = page.api.getTrackObject(view.uid, view.tracks.center[0].contents[0].uid);
    const [x, y] = [clientX - canvas.left - track.position[0], clientY - canvas.top - track.position[1]];
    if (x < 0 || y < 0 || x >= track.dimensions[0] || y >= track.dimensions[1]) continue;
    // a dot of two places is in the middle of the windows that are centred between them
    return { resolution: level.resolution, position: (track._xScale.invert(x) + track._yScale.invert(y)) / 2 - shift };
  }
  return null;
}

/** A click on a map sends the finer levels there. */
export function listenToLevels() {
  // drags and the wheel would take a level out of its window; HiGlass's own `zoomFixed` keeps views from being sent elsewhere, too
  for (const kind of ["wheel", "mousedown", "touchstart", "dblclick"]) {
    element("window").addEventListener(kind, (event) => isSeries(current()) && event.stopPropagation(), { capture: true, passive: true });
  }
  let pressed = null;
  element("higlass").addEventListener("pointerdown", (event) => {
    pressed = event.button === 0 && !event.shiftKey && isSeries(current()) ? event : null;
  }, true);
  element("higlass").addEventListener("pointerup", (event) => {
    if (!pressed || Math.hypot(event.clientX - pressed.clientX, event.clientY - pressed.clientY) > STILL) return;
    pressed = null;
    const found = levelAt(event);
    const { chromsizes = [] } = about(reference(current()));
    const total = chromsizes.reduce((sum, [, size]) => sum + size, 0);
    if (found && found.position >= 0 && found.position < total) goToFiner(found.resolution, found.position);
  }, true);
}
