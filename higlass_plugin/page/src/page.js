// What is shown: HiGlass, the viewconf in it, and how another one takes its place.

import { viewer } from "higlass";

import { noteSession, request } from "./api.js";
import { element, say } from "./dom.js";
import { isDark } from "./dark.js";
import { drawAround } from "./grid.js";
import { forget, lately } from "./known.js";
import { poll, resting } from "./polling.js";
import { formatRegion } from "./region.js";
import { arrangeSeries, isSeries, layout, levelsOf, seriesOf, withFiner, withSeries } from "./series.js";
import { isLoaded, shownIn } from "./tiles.js";
import { about, arrange, divisions, dressed, edits, isStacked, lookAt, portable, reference, shownEdit, undressed, withOneEdit } from "./views.js";
import { inWords } from "./words.js";

/** What the page is doing; tests and the curious read it. */
export const state = { ready: false, connected: true, computing: 0, shows: [], queue: null, instance: null, reloads: 0, edits: [], shown: null, moving: false, dark: false };

/** HiGlass's api, once the first view is there, and whom to tell of it: `changed(conf)` of a new viewconf, `moved(xDomain)` of another place, `around(conf)` when
 *  something may be drawn elsewhere. What is to be shown passes through `completed(conf)`. */
export const page = { api: null, changed: () => {}, moved: () => {}, around: () => {}, completed: async (conf) => conf };

let underneath = null; // the viewconf of which all levels are drawn; null where it is drawn as it is

/** The viewconf that HiGlass draws. */
export function drawn() {
  return portable(page.api.getViewConfig());
}

/** The viewconf that is shown. */
export function current() {
  return underneath ? structuredClone(underneath) : drawn();
}

/** What is drawn of a viewconf. */
function drawing(conf) {
  if (Boolean(underneath) !== isSeries(conf)) wanted = null; // it was of other views
  underneath = isSeries(conf) ? portable(conf) : null;
  return dressed(underneath ? seriesOf(underneath) : conf);
}

/** What HiGlass draws, to be looked at while one moves: views and tracks as they are, places as they were a moment ago. Reading a viewconf anew takes long. */
export const glance = () => lately(drawn);

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
const CALM_ROUNDS = 2; // and how often at least
const PATIENCE = 10000; // ms after which it is given up to send views to places
const ROUNDS = 20; // and how often they have been sent then, at least
let journey = 0;
let wanted = null; // tells where views were sent last; null if somebody has moved them by hand since

// HiGlass overlooks some changes of a view's size and place: when other views are opened or closed, for one.
const sizes = new ResizeObserver(() => {
  page.api.measureSize();
  page.api.getComponent().refreshView();
  if (wanted) travel(wanted);
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
  if (underneath || isSeries(conf)) return rebuild(conf); // the grid is another one
  page.api.setViewConfig({ ...drawing(conf), valueScaleLocks: {} }, true);
  forget();
  await settle(conf);
  told(conf);
  return poll();
}

/** Whether HiGlass has drawn a view: of others it has no place. */
const isDrawn = ({ uid }) => Boolean(page.api.getLocation(uid).xDomain);

/** A view is where it shall be if its x axis is, and the middle of its y axis: that has as much more or less as the map is high. */
function isThere(view) {
  if (!isDrawn(view)) return false;
  const { uid, initialXDomain: x, initialYDomain: y } = view;
  const { xDomain, yDomain } = page.api.getLocation(uid);
  const tolerance = 0.005 * (x[1] - x[0]);
  const middle = ([start, end]) => (start + end) / 2;
  return Math.abs(xDomain[0] - x[0]) < tolerance && Math.abs(xDomain[1] - x[1]) < tolerance && Math.abs(middle(yDomain) - middle(y)) < tolerance;
}

/** All views look at a place of the reference; of a series, all levels at the middle of it. */
export function goTo(domain, yDomain = domain) {
  if (!underneath) return travel(() => lookAt(current(), domain, yDomain).views);
  withSeries(lookAt(underneath, domain, yDomain), (domain[0] + domain[1]) / 2);
  return levelsMoved();
}

/** The levels of a series that are finer than one look at another position of the reference. */
export function goToFiner(resolution, position) {
  const { initialXDomain: [start, end] } = reference(underneath);
  const half = (end - start) / 2;
  withFiner(lookAt(underneath, [position - half, position + half]), resolution, position);
  return levelsMoved();
}

/** The levels of a series look where they looked before. */
export function goToLevels(series, domain, yDomain) {
  about(reference(lookAt(underneath, domain, yDomain))).series = structuredClone(series);
  return levelsMoved();
}

async function levelsMoved() {
  await travel(() => seriesOf(underneath).views);
  page.moved();
  around();
}

/** Sends all views to places. When views change their sizes, HiGlass moves them once more, some frames later: then they are sent again. */
async function travel(places) {
  const number = (journey += 1);
  const views = places();
  wanted = places;
  state.moving = true;
  const began = performance.now();
  let arrived = null;
  let rounds = 0; // a browser that is busy draws few frames in all that time
  const isCalm = () => arrived && performance.now() - arrived.at > CALM && rounds - arrived.rounds >= CALM_ROUNDS;
  const isLate = () => performance.now() - began > PATIENCE && rounds > ROUNDS;
  while (number === journey && !isCalm() && !isLate()) {
    const away = views.filter((view) => !isThere(view));
    arrived = away.length ? null : (arrived ?? { at: performance.now(), rounds });
    // HiGlass tells locked views of a movement by the mouse only, so each view is told; 1 ms: without a transition it forgets the place.
    if (away.length) for (const view of views.filter(isDrawn)) page.api.zoomTo(view.uid, ...view.initialXDomain, ...view.initialYDomain, 1);
    rounds += 1;
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

function watchRegion({ views }) {
  const { chromsizes } = about(reference({ views }));
  const view = underneath ? views[levelsOf(underneath).length - 1] : reference({ views }); // of a series the finest level
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

/** Lays out the views that are drawn; HiGlass measures its element. */
function laidOut(views) {
  document.body.classList.toggle("series", Boolean(underneath));
  element("levels-note").hidden = !underneath;
  if (!underneath) {
    element("higlass").style.setProperty("--panes", isStacked() ? views.views.length : 1);
    return arrange(views);
  }
  columns = null;
  gridOf(views);
  return views;
}

let columns = null; // of a series

/** Gives the views of a series the largest squares that there is room for; whether they are in as many columns as before. */
function gridOf(views) {
  const levels = levelsOf(underneath).length;
  const { clientWidth: width, clientHeight: height } = element("window");
  const found = layout(levels, views.views.length / levels, { width, height }, isStacked());
  if (columns !== null && found.columns !== columns) return false;
  columns = found.columns;
  for (const [name, pixels] of Object.entries(arrangeSeries(views, found))) element("window").style.setProperty(`--${name}`, `${pixels}px`);
  return true;
}

/** Builds HiGlass with the views of a viewconf. */
export async function mount(conf) {
  if (!page.api) listenToHands();
  await divideOnServer(conf).catch((error) => say(error.message)); // the other tracks are shown
  conf = withOneEdit(undressed(conf)); // what tracks wear is of the page as it is now
  const views = laidOut(drawing(conf));
  forget();
  page.api = await viewer(element("higlass"), { ...views, valueScaleLocks: {} }, { bounded: true, sizeMode: "bounded", theme: isDark() ? "dark" : "light" });
  window.orcaCool.hgApi = page.api;
  state.dark = isDark();
  await settle(views);
  // New tiles may be unfinished: ask about them at once, not only when the idle page asks next.
  page.api.getComponent().pubSub.subscribe("requestReceived", (url) => {
    noteSession(url);
    if (String(url).includes("/tiles/") && !state.computing) setTimeout(poll, 100);
  });
  watchRegion(views);
  told(conf);
}

/** Maps of levels stay squares when there is more or less room for them. */
export function resized() {
  around();
  if (underneath && page.api && !gridOf(seriesOf(underneath))) rebuild(current()).catch((error) => say(error.message));
}

/** Builds the views of a viewconf from nothing: HiGlass keeps a track whose tileset alone has changed. Nothing asks the server meanwhile. */
export async function rebuild(conf) {
  await resting(async () => {
    page.api.destroy();
    await mount(conf);
  });
  await poll();
}

/** Does something, such as saving a picture, on a light page: a dark one is light meanwhile. */
export async function onLight(action) {
  if (!state.dark || state.computing) return action();
  const root = document.documentElement;
  const chosen = root.dataset.theme;
  root.dataset.theme = "light";
  try {
    await rebuild(current());
    const began = performance.now();
    while (!isLoaded(page.api) && performance.now() - began < PATIENCE) await frame();
    await frame(); // what came last is drawn
    return await action();
  } finally {
    if (chosen) root.dataset.theme = chosen;
    else delete root.dataset.theme;
    await rebuild(current());
  }
}
