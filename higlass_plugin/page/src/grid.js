// What stands around the maps, once for all of them: the names of the panes and of the rows of tracks, and the colour scales.

import { isFixed, isFloored, switchScale } from "./difference-scale.js";
import { button, element, made } from "./dom.js";
import { drawLevels, levelPanes } from "./levels.js";
import { length, levelName, roleOf } from "./series.js";
import { about, isStacked } from "./views.js";

const PAUSE = 150; // ms between two drawings of what stands around
const UNITS = { weight: "balanced", logoe: "natural log" }; // by kind of value

/** A number as it stands beside a colour scale, of two digits or more. */
export function formatValue(value, digits = 2) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 0.001 && size < 10000) return String(Number(value.toPrecision(digits)));
  return value.toExponential(digits - 2).replace("e+", "e");
}

/** Values at which a scale has ticks: powers of ten, thrice and once between, or five even steps. */
export function ticks(low, high, isLog) {
  if (!(low < high) || !Number.isFinite(low) || !Number.isFinite(high)) return [];
  if (!isLog) return [0, 0.25, 0.5, 0.75, 1].map((part) => Number((low + part * (high - low)).toPrecision(6)));
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) found.push(10 ** power, 3 * 10 ** power);
  const inside = found.filter((value) => value >= low && value <= high);
  return inside.length >= 2 ? inside : [low, high];
}

/** The colour scales of the maps that are shown, each once: title, colours, extremes, scaling, and the views and tracks that have it. */
export function scales(api, conf) {
  const found = [];
  for (const view of conf.views) {
    const { value, values = {}, level } = about(view);
    const role = roleOf(view);
    for (const { uid } of view.tracks.center?.[0]?.contents ?? []) {
      const track = api.getTrackObject(view.uid, uid);
      const domain = track?.limitedValueScale?.domain();
      if (!domain || !track.options?.colorRange) continue;
      const [low, high] = domain;
      const isLog = track.options.heatmapValueScaling !== "linear";
      const colours = track.options.colorRange;
      const what = role === "difference" ? "difference" : (values[value]?.scale ?? values[value]?.label ?? track.options.name ?? "");
      const same = found.find((s) => s.what === what && s.colours.join() === colours.join() && s.low === low && s.high === high);
      if (same) same.of.push(uid);
      else found.push({ what, value, low, high, isLog, colours, of: [uid], level, fixed: isFixed(conf), floored: isFloored(track) });
    }
  }
  // the two halves of a map may differ in their bins, and so in their scales
  for (const scale of found) {
    const others = found.filter(({ what }) => what === scale.what);
    const half = scale.of.every((uid) => uid.startsWith("measured-")) ? ", measured" : ", predicted";
    const which = scale.level ? `, ${length(scale.level.resolution)}` : half;
    const unit = UNITS[scale.value] ? ` (${UNITS[scale.value]})` : "";
    scale.title = scale.what === "difference" ? "ln edited / reference" : scale.what + unit + (others.length > 1 ? which : "");
    if (scale.what === "difference" && scale.floored) scale.title += ": hardly any change here";
  }
  return found;
}

function drawnScale({ what, level, fixed, title, low, high, isLog, colours }) {
  const bar = made("div", { className: "bar" });
  bar.style.setProperty("--colours", colours.join(", "));
  const at = (value) => (isLog ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
  for (const value of ticks(low, high, isLog)) {
    const tick = made("span", { textContent: formatValue(value) });
    tick.style.setProperty("--at", `${100 * at(value)}%`);
    bar.append(tick);
  }
  const figure = made("figure", { className: "scale" }, made("figcaption", { textContent: title.replaceAll("/", "/\u200b") }), bar);
  if (what === "difference" && !level) { // of levels side by side the scale is the fixed one: they are compared
    const [is, other] = fixed ? ["fixed", "let it follow what is seen"] : ["to what is seen", "fix it at the same values everywhere"];
    const choose = button(`scale: ${is}`, `The scale of the difference: click to ${other}`, switchScale);
    choose.setAttribute("aria-pressed", String(!fixed));
    choose.dataset.screenOnly = "";
    figure.append(choose);
  }
  return figure;
}

/** What a pane is called, and what that is. */
export function paneTitle(view) {
  const { role, name, of, level } = about(view);
  if (role === "level") return { title: [levelName(level), { edit: name, difference: "difference" }[of]].filter((text) => text).join(", "), note: "" };
  if (role === "edit") return { title: name, note: "edited, in its own coordinates" };
  if (role === "difference") return { title: "Difference", note: "edited over reference, at the reference's coordinates" };
  const halves = (view.tracks.center?.[0]?.contents ?? []).map(({ uid, options }) => [uid.split("-")[0], options?.name ?? ""]);
  const note = halves.map(([half, called]) => (halves.length > 1 ? `${half === "measured" ? "◣" : "◥"} ${called}` : called)).join("   ");
  return { title: "Reference", note };
}

let pane = 0; // the pane that is seen where there is room for one only

/** Shows one of the panes, where there is room for one only. */
export function showPane(n) {
  pane = n;
  [...element("panes").children].forEach((head, k) => head.setAttribute("aria-pressed", String(k === n)));
  element("window").scrollTop = isStacked() ? n * element("window").clientHeight : 0;
}

function drawPanes(conf, words) {
  const isOurs = conf.views.some((view) => about(view).role); // not of levels: their names stand over each
  element("panes").hidden = !isOurs;
  if (!conf.views.length) return element("panes").replaceChildren();
  element("panes").style.setProperty("--panes", conf.views.length);
  element("higlass").style.setProperty("--panes", isStacked() && isOurs ? conf.views.length : 1);
  element("panes").replaceChildren(
    ...conf.views.map((view, n) => {
      const { title, note } = paneTitle(view);
      const state = words(view.uid);
      const head = made("button", { type: "button", className: "pane", title: `${title}: ${note}` });
      head.append(made("b", { textContent: title }), made("span", { className: "state", textContent: state }), made("span", { className: "note", textContent: note }));
      head.addEventListener("click", () => showPane(n));
      return head;
    }),
  );
  return showPane(Math.min(pane, conf.views.length - 1));
}

/** The names of the tracks above the maps, beside their rows. */
function drawRows(api, conf) {
  const [first] = conf.views;
  const rows = element("rows");
  rows.replaceChildren();
  if (!first || !about(first).role) return;
  for (const { uid, type, options } of first.tracks.top ?? []) {
    const track = api.getTrackObject(first.uid, uid);
    if (!track || type.endsWith("chromosome-labels")) continue;
    const row = made("span", { textContent: options?.name ?? "", title: options?.name ?? "" });
    row.style.setProperty("--top", `${track.position[1]}px`);
    row.style.setProperty("--height", `${track.dimensions[1]}px`);
    rows.append(row);
  }
}

/** The colour of what a map has no value for. */
function groundOf(view) {
  return (view.tracks.center?.[0]?.contents ?? []).map(({ options }) => options?.backgroundColor).find((colour) => colour && colour !== "transparent");
}

/** Leaves out ticks of the colour scales that have no room beside the one before. */
function thinOut() {
  for (const bar of document.querySelectorAll(".scale .bar")) {
    let last = null;
    for (const tick of bar.children) {
      const { left, right, top, bottom, width } = tick.getBoundingClientRect();
      if (!width) continue; // left out by the style sheet
      const isFree = !last || left > last.right + 2 || right < last.left - 2 || top > last.bottom + 1 || bottom < last.top - 1;
      if (isFree) last = { left, right, top, bottom };
      else tick.hidden = true;
    }
  }
}

let timer = null;
let drawn = "";

/** Draws what stands around the maps, soon: of `shown()`, HiGlass and the viewconf. `words` tells of a view what in it is not final. */
export function drawAround(shown, words) {
  timer ??= setTimeout(() => {
    timer = null;
    const { api, conf } = shown();
    if (!api) return;
    const found = scales(api, conf);
    const rows = conf.views[0].tracks.top?.map(({ uid }) => api.getTrackObject(conf.views[0].uid, uid)?.position);
    const levels = levelPanes(api, conf);
    const now = JSON.stringify([element("scales").clientHeight, levels, conf.views.map((view) => [paneTitle(view), words(view.uid)]), rows, found, isStacked()]);
    if (now === drawn) return; // what somebody points at stays what it is
    drawn = now;
    drawLevels(levels, words);
    drawPanes(levels.length ? { views: [] } : conf, words);
    drawRows(api, levels.length ? { views: [] } : conf);
    const none = made("p", { className: "missing", textContent: "no data" });
    const ground = about(conf.views[0]).role && groundOf(conf.views[0]);
    if (ground) none.style.setProperty("--ground", ground);
    element("scales").replaceChildren(...found.map(drawnScale), ...(ground ? [none] : []));
    thinOut();
  }, PAUSE);
}
