// The page of `orca-cool serve`: HiGlass, a bar above it, and tiles that arrive when they are computed.

import { CSS, viewer } from "higlass";

import { request } from "./api.js";
import { formatRegion, offsets, parseRegion } from "./region.js";
import { computing, fetchMissing, patchTracks, refresh, shown, tiledTracks, uninformed } from "./tiles.js";
import { about, aligned, divisions, edits, lookAt, portable, reference, withCellType, withEdit, withValue, withoutEdit } from "./views.js";

const BUSY = 500; // ms between questions to the server while tiles are being computed, or it does not answer
const IDLE = 5000;
const ASKED = 1000; // tiles in one question, as many as the server takes

const element = (id) => document.getElementById(id);

/** What the page is doing; tests and the curious read it. */
const state = { ready: false, connected: true, computing: 0, shows: [], instance: null, reloads: 0, edits: [] };

let api = null; // HiGlass's, once the first view is there
window.orcaCool = { state, viewer, hgApi: null, tiledTracks: () => tiledTracks(api), parseRegion, formatRegion };
let timer = null;

// ---- what is shown ------------------------------------------------------------------------------------------------------------------

function say(text) {
  element("message").textContent = text ?? "";
  element("message").hidden = !text;
}

/** Runs what a user asked for; what goes wrong is told in words. */
function attempt(action) {
  return async (event) => {
    event?.preventDefault?.();
    try {
      say(null);
      await action(event);
    } catch (error) {
      say(error.message);
    }
  };
}

function showConnection(connected) {
  state.connected = connected;
  element("banner").hidden = connected;
}

function showProgress(count) {
  state.computing = count;
  state.shows = shown(api);
  const words = `computing ${count} ${count === 1 ? "tile" : "tiles"}`;
  element("progress").textContent = count ? [words, ...state.shows].join("; ") : "final";
  element("progress").classList.toggle("final", !count);
}

function showEdits(conf) {
  const open = edits(conf);
  state.edits = open.map((edit) => edit.id);
  element("edits").hidden = !open.length;
  element("edits").replaceChildren(
    ...open.map((edit) => {
      const item = document.createElement("li");
      const button = (text, title, action) => {
        const made = document.createElement("button");
        Object.assign(made, { type: "button", textContent: text, title });
        made.addEventListener("click", attempt(action));
        return made;
      };
      const link = Object.assign(document.createElement("a"), { href: `?view=${encodeURIComponent(edit.viewconf)}`, textContent: "link" });
      const { stops = [] } = edit;
      item.append(
        button(edit.name, `Show ${edit.url}`, () => goToStop(edit, 0, edit.domain)),
        ...(stops.length > 1
          ? [
              button("‹", "Previous breakpoint", () => goToStop(edit, stopOf(edit) - 1)),
              Object.assign(document.createElement("span"), { className: "stop", title: "Breakpoints of this edit", textContent: `${stopOf(edit) + 1}/${stops.length}` }),
              button("›", "Next breakpoint", () => goToStop(edit, stopOf(edit) + 1)),
            ]
          : []),
        link,
        button("×", "Close", () => closeEdit(edit.id)),
      );
      return item;
    }),
  );
}

// HiGlass overlooks some changes of a view's size and place: when other views are opened or closed, for one.
const sizes = new ResizeObserver(() => {
  api.measureSize();
  api.getComponent().refreshView();
});

/** What HiGlass is given when all views are drawn: it throws if a value scale is locked to that of a view that is not. */
async function settle(conf) {
  const component = api.getComponent();
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
async function show(conf) {
  api.setViewConfig({ ...conf, valueScaleLocks: {} }, true);
  await settle(conf);
  showEdits(conf);
  poll();
}

function current() {
  return portable(api.getViewConfig());
}

// ---- places -------------------------------------------------------------------------------------------------------------------------

function goTo(domain) {
  // HiGlass tells locked views of a movement by the mouse only, so each view is told; 1 ms: without a transition it forgets the place.
  const { views } = lookAt(current(), domain);
  for (const view of views) api.zoomTo(view.uid, ...view.initialXDomain, ...view.initialYDomain, 1);
}

const stopped = new Map(); // edit's id -> number of the breakpoint that was gone to last
const stopOf = ({ id }) => stopped.get(id) ?? 0;

/** Goes to a breakpoint: every view has it in its middle, or shows `domain` of the reference, with the edit's view aligned there. */
async function goToStop(edit, wanted, domain) {
  const { stops = [], id } = edit;
  if (!stops.length) return goTo(edit.domain);
  const n = (wanted + stops.length) % stops.length;
  const conf = current();
  const [place] = stops[n];
  const [start, end] = reference(conf).initialXDomain;
  const shown = domain ?? [place - (end - start) / 2, place + (end - start) / 2];
  stopped.set(id, n);
  if (edit.shift !== stops[n][1] - place) await show(aligned(conf, id, stops[n]));
  else showEdits(conf);
  goTo(shown); // what is shown already does not move to other initial domains
}

async function findRegion() {
  const { chromsizes = [], suggest } = about(reference(current()));
  const text = element("region").value;
  const domain = parseRegion(text, chromsizes);
  if (domain) return goTo(domain);
  const genes = suggest ? await request(`suggest/?d=${encodeURIComponent(suggest)}&ac=${encodeURIComponent(text.trim())}`) : [];
  const gene = genes.find((found) => found.geneName.toLowerCase() === text.trim().toLowerCase()) ?? genes[0];
  if (!gene) throw new Error(`${text}: neither a region such as ${chromsizes[0]?.[0]}:10,000-20,000 nor the start of a gene's name`);
  const begin = offsets(chromsizes).get(gene.chr);
  const margin = Math.max(10000, 2 * (gene.txEnd - gene.txStart));
  return goTo([begin + gene.txStart - margin, begin + gene.txEnd + margin]);
}

function watchRegion(view) {
  const { chromsizes } = about(view);
  if (!chromsizes) return;
  api.on(
    "location",
    ({ xDomain }) => {
      if (document.activeElement !== element("region")) element("region").value = formatRegion(xDomain, chromsizes);
    },
    view.uid,
  );
}

// ---- edits --------------------------------------------------------------------------------------------------------------------------

/** An edit as the server has made it for the model, genome and cell type of a reference, and its viewconf. */
async function makeEdit(asked, { model, genome, cell_type }) {
  const edited = await request("edits/", { body: { ...asked, model, genome, cell_type } });
  return [edited, await request(`viewconfs/?d=${encodeURIComponent(edited.viewconf)}`)];
}

async function openEdit(asked) {
  element("apply").disabled = true;
  try {
    const [edited, view] = await makeEdit(asked, about(reference(current())));
    const { domain } = edits(view)[0];
    await show(lookAt(withEdit(current(), view), domain));
    say(edited.problems?.length ? `Not used: ${edited.problems.join("; ")}` : null);
  } finally {
    element("apply").disabled = false;
  }
}

async function closeEdit(id) {
  stopped.delete(id);
  await show(withoutEdit(current(), id));
  await request(`edits/?d=${encodeURIComponent(id)}`, { method: "DELETE" }).catch((error) => {
    if (error.status !== 404) throw error; // the server may have dropped it itself
  });
}

/** A VCF has tabs or a header; everything else is in the grammar of edits. */
function asEdit(text) {
  return /\t|^##/.test(text) ? { vcf: text } : { edit: text.trim() };
}

async function dropped(event) {
  element("edit").classList.remove("over");
  const [file] = event.dataTransfer.files;
  await openEdit(file ? { vcf: await file.text() } : asEdit(event.dataTransfer.getData("text/plain")));
}

// ---- cell types ---------------------------------------------------------------------------------------------------------------------

/** What `makeEdit` is asked for to have an edit again. */
function askedFor({ url }) {
  const said = new URL(url).searchParams;
  return { edit: said.getAll("edit"), vcf: said.get("vcf") ?? undefined };
}

/** The same views of another cell type, at the same place; the edits are made for it, too. */
async function ofCellType(conf, cellType) {
  const { model, genome } = about(reference(conf));
  const { initialXDomain, initialYDomain } = reference(conf);
  const query = new URLSearchParams({ d: "default", model, genome, cell_type: cellType });
  let changed = withCellType(conf, await request(`viewconfs/?${query}`));
  for (const edit of edits(conf)) {
    const [{ id }, view] = await makeEdit(askedFor(edit), { model, genome, cell_type: cellType });
    changed = withEdit(withoutEdit(changed, edit.id), view);
    const n = stopOf(edit);
    if (n) {
      stopped.set(id, n);
      changed = aligned(changed, id, edit.stops[n]);
    }
  }
  return lookAt(changed, initialXDomain, initialYDomain);
}

async function chooseCellType() {
  element("cell-type").disabled = true;
  try {
    await rebuild(await ofCellType(current(), element("cell-type").value));
  } finally {
    describe(current()); // where it failed, the menu says again what is shown
    element("cell-type").disabled = false;
  }
}

// ---- links and pictures -------------------------------------------------------------------------------------------------------------

async function share() {
  const { uid } = await request("viewconfs/", { body: { viewconf: current() } });
  const url = new URL(`?view=${encodeURIComponent(uid)}`, document.baseURI);
  window.history.replaceState(null, "", url);
  element("shared-url").value = url.href;
  element("shared").hidden = false;
  element("shared-url").select();
}

/** A picture is saved of final tiles alone. */
function finalOnly() {
  const count = computing(api).size;
  if (count) throw new Error(`${count} ${count === 1 ? "tile is" : "tiles are"} not final yet; save the picture when they are`);
}

function save(name, blob) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

// ---- tiles that are being computed --------------------------------------------------------------------------------------------------

async function reload() {
  state.reloads += 1;
  if (uninformed(api)) {
    // A track that never learnt what it shows cannot be taught; the same views are built anew.
    const conf = current();
    api.destroy();
    await mount(conf);
  } else {
    await refresh(api);
    fetchMissing(api);
  }
}

/** Asks the server how far it is, and fetches what became ready. */
async function ask() {
  const waiting = computing(api);
  const status = await request("status/", { body: { tiles: [...waiting.keys()].slice(0, ASKED) } });
  const isNew = state.instance !== null && status.instance !== state.instance;
  const wasGone = !state.connected;
  state.instance = status.instance;
  showConnection(true);
  if (isNew || wasGone) {
    await reload();
  } else {
    const { ready = [], failed = {}, shows = {} } = status.progress ?? {};
    const better = Object.keys(shows).filter((id) => shows[id] && shows[id] !== waiting.get(id));
    const again = new Set([...ready, ...Object.keys(failed), ...better]);
    if (again.size) await refresh(api, again);
  }
  showProgress(computing(api).size);
}

let asking = false;

/** Builds the views of a viewconf from nothing: HiGlass keeps a track whose tileset alone has changed. Nothing asks the server meanwhile. */
async function rebuild(conf) {
  while (asking) await new Promise(requestAnimationFrame);
  asking = true;
  try {
    api.destroy();
    await mount(conf);
  } finally {
    asking = false;
  }
  await poll();
}

async function poll() {
  clearTimeout(timer);
  if (asking) return; // it will set the timer when it is done
  asking = true;
  try {
    await ask();
  } catch (error) {
    if (error.status) say(error.message); // it answers, but not as hoped: a token that is out of date, say
    else showConnection(false);
  }
  asking = false;
  timer = setTimeout(poll, state.computing || !state.connected ? BUSY : IDLE);
}

// ---- beginning ----------------------------------------------------------------------------------------------------------------------

async function mount(conf) {
  await divideOnServer(conf).catch((error) => say(error.message)); // the other tracks are shown
  api = await viewer(element("higlass"), { ...conf, valueScaleLocks: {} }, { bounded: true, sizeMode: "bounded" });
  window.orcaCool.hgApi = api;
  await settle(conf);
  // New tiles may be unfinished: ask about them at once, not only when the idle page asks next.
  api.getComponent().pubSub.subscribe("requestReceived", (url) => {
    if (String(url).includes("/tiles/") && !state.computing) setTimeout(poll, 100);
  });
  watchRegion(reference(conf));
  showEdits(conf);
}

async function firstView() {
  const asked = new URLSearchParams(window.location.search).get("view") ?? "default";
  for (;;) {
    try {
      return await request(`viewconfs/?d=${encodeURIComponent(asked)}`);
    } catch (error) {
      if (error.status) throw error;
      showConnection(false);
      await new Promise((resolve) => setTimeout(resolve, BUSY));
    }
  }
}

function describe(conf) {
  const { model, genome, value, values = {}, cell_type, cell_types = [] } = about(reference(conf));
  const title = model ? `${model} · ${genome}` : "orca-cool";
  element("title").textContent = title;
  document.title = title;
  element("value").replaceChildren(...Object.entries(values).map(([name, { label }]) => new Option(label, name, false, name === value)));
  element("value").hidden = Object.keys(values).length < 2;
  element("cell-type").replaceChildren(...cell_types.map((name) => new Option(name, name, false, name === cell_type)));
  element("cell-type").hidden = cell_types.length < 2;
  element("edit-form").hidden = !model;
}

function listen() {
  element("region-form").addEventListener("submit", attempt(findRegion));
  element("value").addEventListener("change", attempt(() => show(withValue(current(), element("value").value))));
  element("cell-type").addEventListener("change", attempt(chooseCellType));
  element("edit-form").addEventListener("submit", attempt(() => openEdit(asEdit(element("edit").value))));
  element("edit").addEventListener("dragover", (event) => {
    event.preventDefault();
    element("edit").classList.add("over");
  });
  element("edit").addEventListener("dragleave", () => element("edit").classList.remove("over"));
  element("edit").addEventListener("drop", attempt(dropped));
  element("link").addEventListener("click", attempt(share));
  element("shared-close").addEventListener("click", () => (element("shared").hidden = true));
  element("png").addEventListener("click", attempt(async () => {
    finalOnly();
    save("orca.png", await api.exportAsPngBlobPromise());
  }));
  element("svg").addEventListener("click", attempt(() => {
    finalOnly();
    save("orca.svg", new Blob([api.exportAsSvg()], { type: "image/svg+xml" }));
  }));
}

async function begin() {
  const styles = new CSSStyleSheet(); // not a <style>: the page's Content-Security-Policy allows no inline styles
  styles.replaceSync(CSS);
  document.adoptedStyleSheets = [styles];
  patchTracks(() => poll());
  const conf = await firstView();
  describe(conf);
  await mount(conf);
  listen();
  await poll();
  state.ready = true;
}

// Elsewhere the script is HiGlass as it is, `orcaCool.viewer(element, viewconf)`.
if (element("higlass")) begin().catch((error) => say(error.message));
