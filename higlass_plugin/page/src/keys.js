// The keyboard: moving, zooming, and going to the boxes.

import { attempt, element } from "./dom.js";
import { goToStop } from "./edits.js";
import { undo } from "./history.js";
import { walkList } from "./list.js";
import { current, goTo, state } from "./page.js";
import { isSeries, levelsOf, positionOf } from "./series.js";
import { edits, reference } from "./views.js";

const STEP = 0.25; // of what is seen

/** Moves by parts of what is seen, and zooms about the middle: along both axes, or along y alone. */
function look({ x = 0, y = x, zoom = 1 }) {
  const conf = current();
  if (isSeries(conf)) {
    if (!x) return undefined; // windows of levels have one size, and lie on the diagonal
    const [, window] = levelsOf(conf).at(-1);
    const { initialXDomain: [start, end] } = reference(conf);
    const [at, half] = [positionOf(conf) + x * window, (end - start) / 2];
    return goTo([at - half, at + half]);
  }
  const { initialXDomain, initialYDomain } = reference(conf);
  const changed = ([start, end], by) => {
    const [middle, half] = [(start + end) / 2 + by * (end - start), (end - start) / 2 / zoom];
    return [middle - half, middle + half];
  };
  return goTo(changed(initialXDomain, x), changed(initialYDomain, y));
}

function stop(by) {
  const edit = edits(current()).find(({ id }) => id === state.shown);
  return edit?.stops?.length ? goToStop(edit, (edit.stop ?? 0) + by) : undefined;
}

const box = (id) => () => element(id).focus();

const KEYS = {
  ArrowLeft: () => look({ x: -STEP }),
  ArrowRight: () => look({ x: STEP }),
  ArrowUp: () => look({ x: 0, y: -STEP }),
  ArrowDown: () => look({ x: 0, y: STEP }),
  "+": () => look({ zoom: 2 }),
  "=": () => look({ zoom: 2 }),
  "-": () => look({ zoom: 0.5 }),
  "/": box("region"),
  e: box("edit"),
  n: () => stop(1),
  p: () => stop(-1),
  j: () => walkList(1),
  k: () => walkList(-1),
  u: undo,
  "?": () => element("help").showModal(),
};

/** Whether somebody is typing, or a dialog is open. */
function isBusy(target) {
  return target.closest?.("input, textarea, select, dialog") || element("help").open;
}

export function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (isBusy(event.target) || event.altKey) return;
    const action = event.ctrlKey || event.metaKey ? { z: undo }[event.key] : KEYS[event.key];
    if (!action) return;
    event.preventDefault();
    attempt(action)();
  });
  element("keys").addEventListener("click", () => element("help").showModal());
  element("help-close").addEventListener("click", () => element("help").close());
}
