// The menu of what can be done with a region: the box of edits is filled with it, and Enter makes it.

import { attempt, element } from "./dom.js";
import { current, drawn, page } from "./page.js";
import { formatRegion, readRegion } from "./region.js";
import { roleOf } from "./series.js";
import { about, reference } from "./views.js";

const PLACE = "PLACE";
const SEQUENCE = "SEQUENCE";

/** The text of an edit of a region, and the part of it that is still to be written (undefined if there is none). */
export function textOf(kind, region) {
  const chrom = region.slice(0, region.lastIndexOf(":"));
  const [start] = region.slice(chrom.length + 1).split("-");
  return {
    del: [`${region} del`],
    dup: [`${region} dup`],
    inv: [`${region} inv`],
    ins: [`${chrom}:${start} ins ${SEQUENCE}`, SEQUENCE],
    move: [`${region} del; ${chrom}:${PLACE} ins ${region}`, PLACE],
  }[kind];
}

let selected = null; // what was dragged over, as text

/** The region that is meant: what was dragged over, else what the box of places says, else what is seen; on one chromosome. */
function meant() {
  const { chromsizes = [] } = about(reference(current()));
  const place = readRegion(element("region").value, chromsizes)?.domain ?? reference(current()).initialXDomain;
  const text = selected ?? formatRegion(place, chromsizes);
  if ((text.match(/:/g) ?? []).length > 1) throw new Error(`${text}: an edit is of one chromosome; drag over a part of one with Shift held down`);
  return text;
}

function fill(kind) {
  const [text, open] = textOf(kind, meant());
  const box = element("edit");
  box.value = text;
  box.focus();
  if (open) box.setSelectionRange(text.indexOf(open), text.indexOf(open) + open.length);
}

/** The pane under a place of the screen whose coordinates are the reference's: its view, and the map in it. */
function paneAt({ clientX: x, clientY: y }) {
  const canvas = document.querySelector("#higlass canvas").getBoundingClientRect();
  for (const view of drawn().views) {
    const [map] = view.tracks.center?.[0]?.contents ?? [];
    const track = map && page.api.getTrackObject(view.uid, map.uid);
    if (!track) continue;
    const left = canvas.left + track.position[0];
    const [top, bottom] = [canvas.top + track.position[1], canvas.top + track.position[1] + track.dimensions[1]];
    if (about(view).level && (y < top || y > bottom)) continue; // there are maps below each other
    if (x >= left && x <= left + track.dimensions[0]) return { left, track, role: roleOf(view) };
  }
  return null;
}

/** With Shift held down, dragging over a map chooses a stretch of the genome. */
function listenToDragging() {
  let from = null;
  let pane = null;
  const band = element("band");
  const frame = element("window");
  const draw = (x) => {
    const [left, right] = [Math.min(from, x), Math.max(from, x)];
    band.style.setProperty("--left", `${left - frame.getBoundingClientRect().left}px`);
    band.style.setProperty("--width", `${right - left}px`);
    band.hidden = false;
  };
  const take = (event) => {
    event.preventDefault();
    event.stopPropagation();
  };
  frame.addEventListener(
    "mousedown",
    (event) => {
      if (!event.shiftKey || event.button !== 0) return;
      pane = paneAt(event);
      if (!pane) return;
      take(event);
      from = event.clientX;
      draw(from);
    },
    true,
  );
  window.addEventListener(
    "mousemove",
    (event) => {
      if (from === null) return;
      take(event);
      draw(event.clientX);
    },
    true,
  );
  window.addEventListener(
    "mouseup",
    attempt((event) => {
      if (from === null) return;
      take(event);
      const ends = [from, event.clientX].sort((a, b) => a - b).map((x) => pane.track._xScale.invert(x - pane.left));
      from = null;
      if (pane.role === "edit") {
        band.hidden = true;
        throw new Error("drag over the reference or the difference: edits are in the reference's coordinates");
      }
      const { chromsizes = [] } = about(reference(current()));
      selected = formatRegion(ends, chromsizes);
      element("region").value = selected;
      openMenu(true);
      element("this-name").textContent = selected;
    }),
    true,
  );
}

function forget() {
  selected = null;
  element("band").hidden = true;
  openMenu(false);
}

function openMenu(open) {
  element("this-menu").hidden = !open;
  element("this").setAttribute("aria-expanded", String(open));
}

export function listenToMenu() {
  listenToDragging();
  element("this").addEventListener("click", attempt(() => {
    const isOpen = !element("this-menu").hidden;
    if (isOpen) return forget();
    element("this-name").textContent = meant();
    openMenu(true);
    return undefined;
  }));
  for (const item of element("this-menu").querySelectorAll("button[data-kind]")) {
    item.addEventListener("click", attempt(() => {
      fill(item.dataset.kind);
      forget();
    }));
  }
  element("this-close").addEventListener("click", forget);
  window.addEventListener("keydown", ({ key }) => key === "Escape" && !element("this-menu").hidden && forget());
}
