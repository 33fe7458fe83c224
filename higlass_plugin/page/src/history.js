// The browser's history: every place that is stayed at, and every edit that is opened or closed, can be gone back to; and a page that is loaded again shows what it showed.

import { element, say } from "./dom.js";
import { showCellType, viewOf } from "./edits.js";
import { current, goTo, goToLevels, page, show, state } from "./page.js";
import { about, edits, lookAt, reference, shownEdit, withEdit, withEdits, withValue } from "./views.js";

const PAUSE = 600; // ms for which nothing moves: then a place is stayed at

let timer = null;
let going = true; // back or forward, or to what was shown before the page was loaded again
let depth = window.history.state?.depth ?? 0; // entries of this page behind the present one

/** What an entry of the history brings back. */
function snapshot() {
  const conf = current();
  const { initialXDomain: x, initialYDomain: y } = reference(conf);
  const { value, cell_type, series = null, model, genome } = about(reference(conf));
  return { x, y, value, cell_type, series, of: `${model} ${genome}`, edits: edits(conf), shown: shownEdit(conf)?.id ?? null };
}

/** Whether two places are nearly the same: HiGlass moves views a little when others are opened. */
function isNear(a, b) {
  const tolerance = 0.02 * (a[1] - a[0]);
  return a.every((position, k) => Math.abs(position - b[k]) <= tolerance);
}

const kept = ({ edits: list, shown, value, cell_type: type, series }) => JSON.stringify([list.map(({ id }) => id), shown, value, type, Boolean(series)]);
const sameLevels = (a, b) => JSON.stringify(a.series) === JSON.stringify(b.series);

function note() {
  timer = null;
  if (!page.api) return undefined;
  if (going || state.moving) return remember(); // on the way
  const [now, before] = [snapshot(), window.history.state?.orca];
  const isSame = before && kept(now) === kept(before) && isNear(before.x, now.x) && isNear(before.y, now.y) && sameLevels(before, now);
  if (!before) return window.history.replaceState({ orca: now, depth }, "");
  if (isSame) return undefined;
  depth += 1;
  return window.history.pushState({ orca: now, depth }, "");
}

/** Notes what is shown, once it stays. */
export function remember() {
  clearTimeout(timer);
  timer = setTimeout(note, PAUSE);
}

async function bringBack({ orca, depth: its = 0 }) {
  depth = its;
  if (orca.cell_type !== snapshot().cell_type) await showCellType(orca.cell_type); // the edits of the entry are of that type
  let conf = current();
  const is = snapshot();
  if (orca.shown !== is.shown || orca.value !== is.value || kept(orca) !== kept(is)) {
    conf = withEdits(conf, orca.edits, orca.shown);
    const edit = orca.edits.find(({ id }) => id === orca.shown);
    if (edit && orca.shown !== is.shown) conf = withEdit(conf, await viewOf(edit));
    about(reference(conf)).series = orca.series ?? undefined;
    await show(lookAt(withValue(conf, orca.value), orca.x, orca.y));
  }
  if (orca.series) await goToLevels(orca.series, orca.x, orca.y);
  else await goTo(orca.x, orca.y);
}

/** Goes back by one entry, if that is one of this page. */
export function undo() {
  if (timer) {
    clearTimeout(timer);
    note();
  }
  if (depth > 0) window.history.back();
}

/** Shows what an entry says; nothing is noted on the way. */
async function travelTo(entry) {
  clearTimeout(timer);
  going = true;
  say(null);
  try {
    await bringBack(entry);
  } catch (error) {
    say(error.message);
  } finally {
    going = false;
    remember();
  }
}

/** A page that was loaded again shows what it showed before; of another model, which a server may have now, there is nothing to bring back. */
export async function restore() {
  const entry = window.history.state;
  if (entry?.orca?.of === snapshot().of) await travelTo(entry);
  going = false;
}

export function listenToHistory() {
  window.addEventListener("popstate", (event) => event.state?.orca && travelTo(event.state));
  element("undo").addEventListener("click", undo);
}
