// What is shown: HiGlass, the viewconf in it, and how another one takes its place.

import { viewer } from "higlass";

import { noteSession, request } from "./api.js";
import { element, say } from "./dom.js";
import { drawAround } from "./grid.js";
import { forget, lately } from "./known.js";
import { poll, resting } from "./polling.js";
import { formatRegion } from "./region.js";
import { shownIn } from "./tiles.js";
import { inWords } from "./unfinished.js";
import { about, arrange, divisions, dressed, edits, isStacked, lookAt, portable, reference, shownEdit, withOneEdit } from "./views.js";

/** What the page is doing; tests and the curious read it. */
export const state = { ready: false, connected: true, computing: 0, shows: [], queue: null, instance: null, reloads: 0, edits: [], shown: null, moving: false };

/** HiGlass's api, once the first view is there, and whom to tell of it: `changed(conf)` of a new viewconf, `moved(xDomain)` of another place, `around(conf)` when
 *  something may be drawn elsewhere. What is to be shown passes through `completed(conf)`. */
export const page = { api: null, changed: () => {}, moved: () => {}, around: () => {}, completed: async (conf) => conf };

/** The viewconf that is shown. */
export function current() {
  return portable(page.api.getViewConfig());
}

/** The same to be looked at while one moves: views and tracks as they are, places as they were a moment ago. Reading a viewconf anew takes long. */
export const glance = () => lately(current);

/** Draws what stands around the maps: names, colour scales. */
export function around() {
  drawAround(
    () => ({ api: page.api, conf: page.api && glance() }),
    (view) => [...new Set(shownIn(page.api, view).map(inWords))].join("; "),
  );
  if (page.api) page.around(glance());
}

function told(conf) {
  forget();
  state.edits = edits(conf).map((edit) => edit.id);
  state.shown = shownEdit(conf)?.id ?? null;
  page.changed(conf);
  around();
}

const frame = () => new Promise(requestAnimationFrame);
const CALM = 250; // ms for which all views must be found in place
const PATIENCE = 10000;
let journey = 0;
let wanted = null; // the place that views were sent to last, unless somebody has moved them by hand since

// HiGlass overlooks some changes of a view's size and place: when other views are opened or closed, for one.
const sizes = new ResizeObserver(() => {
  page.api.measureSize();
  page.api.getComponent().refreshView();
  if (wanted) goTo(...wanted);
});

/** What HiGlass is given when all views are drawn: it throws if a value scale is locked to that of a view that is not. */
async function settle(conf) {
  const component = page.api.getComponent();
  const plots = () => conf.views.map((view) => component.tiledPlots[view.uid]);
  while (!plots().every((plot) => plot?.trackRenderer)) await new Promise(requestAnimationFrame);
  component.deserializeValueScaleLocks(conf);
  for (const uid of Object.keys(component.valueScaleLocks)) component.syncValueScales(...uid.split("."));
  sizes.disconnect();
  for (const plot of plots()) sizes.observe(plot.element);
}

const isOurs = (server) => new URL(`${server}/`, document.baseURI).href === new URL("api/v1/", document.baseURI).href;

/** HiGlass divides tiles of equal numbers, which show equal places only if both maps have the same resolutions: the server divides maps of ours. */
async function divideOnServer(conf) {
  for (const data of divisions(conf)) {
    if (!data.children.every(({ server, tilesetUid, url }) => isOurs(server) && (tilesetUid || url?.startsWith("orca://")))) continue;
    const [{ server }] = data.children;
    const url = `divided://${data.children.map((child) => encodeURIComponent(child.tilesetUid ?? child.url)).join("/")}`;
    await request("register_url/", { body: { fileurl: url, filetype: "orca" } });
    for (const key of Object.keys(data)) delete data[key];
    Object.assign(data, { server, url, filetype: "orca" });
  }
}

/** Puts a viewconf in the place of the one that is shown. */
export async function show(conf) {
  conf = await page.completed(conf);
  page.api.setViewConfig({ ...dressed(conf), valueScaleLocks: {} }, true);
  forget();
  await settle(conf);
  told(conf);
  poll();
}

/** A view is where it shall be if its x axis is, and the middle of its y axis: that has as much more or less as the map is high. */
function isThere({ uid, initialXDomain: x, initialYDomain: y }) {
  const { xDomain, yDomain } = page.api.getLocation(uid);
  const tolerance = 0.005 * (x[1] - x[0]);
  const middle = ([start, end]) => (start + end) / 2;
  return Math.abs(xDomain[0] - x[0]) < tolerance && Math.abs(xDomain[1] - x[1]) < tolerance && Math.abs(middle(yDomain) - middle(y)) < tolerance;
}

/** All views look at a place of the reference. When views change their sizes, HiGlass moves them once more, some frames later: then they are sent again. */
export async function goTo(domain, yDomain = domain) {
  const number = (journey += 1);
  const { views } = lookAt(current(), domain, yDomain);
  wanted = [domain, yDomain];
  state.moving = true;
  const began = performance.now();
  let arrived = null;
  while (number === journey && performance.now() - began < PATIENCE && !(performance.now() - arrived > CALM && arrived !== null)) {
    if (!views.every(isThere)) {
      arrived = null;
      // HiGlass tells locked views of a movement by the mouse only, so each view is told; 1 ms: without a transition it forgets the place.
      for (const view of views) page.api.zoomTo(view.uid, ...view.initialXDomain, ...view.initialYDomain, 1);
    } else arrived ??= performance.now();
    for (let n = 0; n < 2; n += 1) await frame();
  }
  if (number === journey) state.moving = false;
}

/** Whoever takes the map by hand is not sent anywhere. */
function listenToHands() {
  for (const kind of ["wheel", "mousedown", "touchstart"]) {
    element("higlass").addEventListener(
      kind,
      () => {
        journey += 1;
        wanted = null;
        state.moving = false;
      },
      { capture: true, passive: true },
    );
  }
}

function watchRegion(view) {
  const { chromsizes } = about(view);
  if (!chromsizes) return;
  page.api.on(
    "location",
    ({ xDomain }) => {
      if (document.activeElement !== element("region")) element("region").value = formatRegion(xDomain, chromsizes);
      page.moved(xDomain);
      around();
    },
    view.uid,
  );
}

/** Builds HiGlass with the views of a viewconf. */
export async function mount(conf) {
  if (!page.api) listenToHands();
  await divideOnServer(conf).catch((error) => say(error.message)); // the other tracks are shown
  conf = arrange(dressed(withOneEdit(conf)));
  element("higlass").style.setProperty("--panes", isStacked() ? conf.views.length : 1); // HiGlass measures it
  forget();
  page.api = await viewer(element("higlass"), { ...conf, valueScaleLocks: {} }, { bounded: true, sizeMode: "bounded" });
  window.orcaCool.hgApi = page.api;
  await settle(conf);
  // New tiles may be unfinished: ask about them at once, not only when the idle page asks next.
  page.api.getComponent().pubSub.subscribe("requestReceived", (url) => {
    noteSession(url);
    if (String(url).includes("/tiles/") && !state.computing) setTimeout(poll, 100);
  });
  watchRegion(reference(conf));
  told(conf);
}

/** Builds the views of a viewconf from nothing: HiGlass keeps a track whose tileset alone has changed. Nothing asks the server meanwhile. */
export async function rebuild(conf) {
  await resting(async () => {
    page.api.destroy();
    await mount(conf);
  });
  await poll();
}
