// "Why?": a click on a map offers what can be asked of that pixel, in words. A choice adds a row of tracks above the maps that answers it: what
// every base of the sequence contributes (attribution), of the reference and of the edit that is shown.

import { request } from "./api.js";
import { attempt, button, element, made } from "./dom.js";
import { infoOf } from "./known.js";
import { current, glance, page, show } from "./page.js";
import { placeOf } from "./region.js";
import { about, reference } from "./views.js";

const STILL = 4; // px that the mouse may move between press and release of a click
const HEIGHT = 60; // px of a row of answers
const COLOUR = "#1b7837";
export const PREFIX = "why-";

const heatmaps = (view) => (view.tracks.center?.[0]?.contents ?? []).filter(({ type }) => type === "heatmap");

/** The predicted map of a view, as the viewconf has it. */
const predictedMap = (view) => heatmaps(view).find(({ uid }) => uid.startsWith("predicted")) ?? heatmaps(view)[0];

/** The uid of the tileset that an address stands for. */
const registered = async (fileurl) => (await request("register_url/", { body: { fileurl, filetype: "orca" } })).uid;

/** Where a pixel is: in which view, and how that names its two positions.
 *
 *  frame: "reference" (the reference's view, and that of a difference, which has its coordinates) or the id of an edit;  first, second: "chrII:238265". */
export function pixelAt({ clientX, clientY }) {
  const canvas = document.querySelector("#higlass canvas")?.getBoundingClientRect();
  for (const view of canvas ? glance().views : []) {
    const map = predictedMap(view);
    const track = map && page.api.getTrackObject(view.uid, map.uid);
    if (!track?.tilesetInfo?.resolutions) continue;
    const [left, top] = [clientX - canvas.left - track.position[0], clientY - canvas.top - track.position[1]];
    if (left < 0 || top < 0 || left >= track.dimensions[0] || top >= track.dimensions[1]) continue;
    const levels = [...track.tilesetInfo.resolutions].sort((a, b) => b - a);
    const { role, id } = about(view);
    const [first, second] = [track._xScale.invert(left), track._yScale.invert(top)].map((at) => placeOf(Math.max(0, Math.floor(at)), track.tilesetInfo.chromsizes).join(":"));
    return { view: view.uid, frame: role === "edit" ? id : "reference", first, second, resolution: levels[Math.min(track.zoomLevel, levels.length - 1)] };
  }
  return null;
}

/** What can be asked of a place on a view's map, from the server. */
async function questionsOn(view, first, second, resolution) {
  // the view may be one that is not drawn yet, and one that shows the prediction against a measured map
  const { tilesetUid, data } = about(view).values?.weight?.contents.find(({ uid }) => /^(predicted|edited)/.test(uid)) ?? predictedMap(view);
  const d = tilesetUid ?? (await registered(data.url));
  const known = (await infoOf(d)).resolutions.filter((bp) => bp <= resolution);
  return request(`questions/?${new URLSearchParams({ d, first, second, resolution: known.length ? Math.max(...known) : resolution })}`);
}

/** The same in the genome of a view, of a pixel that somebody has asked about in this or another one; null where the pixel is not in that genome.
 *
 *  Where an edit's view is asked for a pixel of the reference, the view of the difference says where that lies in the edit: views differ by more than a shift. */
async function questionsIn(conf, view, { frame, first, second, reference: origin, resolution }) {
  const { role, id } = about(view);
  if (role === "edit" && frame === id) return questionsOn(view, first, second, resolution);
  const there = frame === "reference" ? [first, second] : origin;
  if (!there?.[0]) return null;
  if (role === "reference") return questionsOn(view, ...there, resolution);
  const difference = conf.views.find((other) => about(other).role === "difference" && about(other).id === id);
  return difference ? questionsOn(difference, ...there, resolution) : null;
}

/** The rows of answers that are shown: {uid, n, asked}; `asked`: {words, objective, number, pixel}. */
export function answers(conf) {
  return (reference(conf).tracks.top ?? [])
    .filter(({ uid }) => uid.startsWith(PREFIX))
    .map(({ uid, options }) => ({ uid, n: Number(uid.slice(PREFIX.length)), asked: options.why }));
}

export function withoutAnswer(conf, uid) {
  for (const view of conf.views) view.tracks.top = (view.tracks.top ?? []).filter((track) => track.uid !== uid);
  return conf;
}

const kind = ({ objective }) => objective.split(" ")[0];

/** The tileset that answers a question in a view; undefined where the same cannot be asked there. */
async function tilesetIn(conf, view, asked) {
  const found = await questionsIn(conf, view, asked.pixel);
  const same = found?.questions.filter((question) => kind(question) === kind(asked))[asked.number];
  if (!same) return undefined;
  return registered(same.url);
}

/** What the numbers of a row are: the objective's own units. */
const unit = (objective) => ({ insulation: "log2", e1: "E1", profile: "probability" })[objective.split(" ")[0]] ?? "ln";

/** A viewconf in which every view has all rows of answers, so that the maps stay at one height. */
export async function withAnswers(conf, rows = answers(conf)) {
  const first = reference(conf);
  for (const { uid, asked } of rows) {
    const [{ data, server = data.server }] = heatmaps(first);
    const name = `why: ${asked.name ?? asked.objective} (${unit(asked.objective)})`;
    const of = { reference: await tilesetIn(conf, first, asked) };
    for (const view of conf.views) {
      const top = (view.tracks.top ??= []);
      if (top.some((track) => track.uid === uid)) continue;
      const { role } = about(view);
      // the difference has the reference's coordinates; what cannot be asked of a genome leaves its row empty
      const tilesetUid = role === "edit" ? await tilesetIn(conf, view, asked) : of.reference;
      const options = { name, why: asked, labelPosition: "topLeft", labelShowAssembly: false };
      const bars = { type: "horizontal-bar", server, tilesetUid, options: { ...options, barFillColor: COLOUR, axisPositionHorizontal: "right" } };
      top.push({ uid, height: HEIGHT, ...(tilesetUid ? bars : { type: "empty", options }) });
    }
  }
  return conf;
}

/** Adds the row that answers a question. */
async function answer(asked) {
  close();
  const conf = current();
  const uid = `${PREFIX}${Math.max(0, ...answers(conf).map(({ n }) => n)) + 1}`;
  await show(await withAnswers(conf, [...answers(conf), { uid, asked }]));
}

function close() {
  element("why").hidden = true;
}

/** Offers what can be asked of a pixel. */
async function askAbout(event, pixel) {
  close(); // what was offered is of another pixel
  const view = current().views.find(({ uid }) => uid === pixel.view);
  const found = await questionsOn(view, pixel.first, pixel.second, pixel.resolution);
  draw(event, { ...pixel, reference: found.reference }, found);
}

function draw({ clientX, clientY }, pixel, found) {
  const panel = element("why");
  const ask = (question, n) => () => {
    const number = found.questions.slice(0, n).filter((other) => kind(other) === kind(question)).length; // of those of its kind
    const { words, objective, name } = question;
    return answer({ words, objective, name, number, pixel });
  };
  const list = found.questions.map((question, n) => made("li", {}, button(question.words, question.objective, ask(question, n))));
  panel.replaceChildren(
    made("header", {}, made("strong", { textContent: found.about }), button("×", "Close", close)),
    list.length ? made("ul", {}, ...list) : made("p", { textContent: found.without }),
    ...(list.length && found.note ? [made("p", { textContent: found.note })] : []),
  );
  panel.hidden = false;
  const room = document.documentElement;
  panel.style.setProperty("--left", `${Math.max(0, Math.min(clientX + 8, room.clientWidth - panel.offsetWidth - 8))}px`);
  panel.style.setProperty("--top", `${Math.max(0, Math.min(clientY + 8, room.clientHeight - panel.offsetHeight - 8))}px`);
  panel.querySelector("li button")?.focus();
}

/** The list of what was asked, each with a button that takes the answer away. */
export function drawAnswers(conf) {
  const shown = answers(conf);
  element("answers").hidden = !shown.length;
  element("answers").replaceChildren(
    ...shown.map(({ uid, asked }) => made("li", {}, made("span", { textContent: asked.words }), button("×", "Take this answer away", () => show(withoutAnswer(current(), uid))))),
  );
}

/** Listens to clicks on the maps; a press that moves is a drag, and not asked about. */
export function listenForWhy() {
  let pressed = null;
  element("higlass").addEventListener("pointerdown", (event) => {
    pressed = event.button === 0 && !event.shiftKey ? event : null;
  }, true);
  window.addEventListener("pointermove", ({ clientX, clientY }) => {
    if (pressed && Math.hypot(clientX - pressed.clientX, clientY - pressed.clientY) > STILL) pressed = null; // also if it comes back
  });
  element("higlass").addEventListener("pointerup", (event) => {
    const still = pressed;
    pressed = null;
    if (!still) return close();
    const pixel = pixelAt(event);
    if (!pixel || !about(reference(current())).model) return close();
    return attempt(() => askAbout(event, pixel))();
  }, true);
  window.addEventListener("keydown", ({ key }) => key === "Escape" && close());
}
