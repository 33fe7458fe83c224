// The page of `orca-cool serve`: HiGlass, a bar above it, and tiles that arrive when they are computed.

import { CSS, viewer } from "higlass";

import { request } from "./api.js";
import { compareSoon, drawAgainst, listenToAgainst } from "./against.js";
import { listenToCite } from "./cite.js";
import { attempt, element, say } from "./dom.js";
import { listenToDownloads } from "./downloads.js";
import { drawTabs } from "./edit-tabs.js";
import { listenToDrops } from "./drop.js";
import { listenToMenu } from "./edit-menu.js";
import { asEdit, chooseEdit, closeEdit, goToStop, openEdit, showCellType } from "./edits.js";
import { listenToHistory, remember, restore } from "./history.js";
import { listenToKeys } from "./keys.js";
import { followModel } from "./list.js";
import { savePdf, savePng, saveSvg, share } from "./save.js";
import { around, current, mount, onLight, page, rebuild, resized, show, state } from "./page.js";
import { SOON, poll, showConnection } from "./polling.js";
import { listenToCursor } from "./readout.js";
import { formatRegion, parseRegion } from "./region.js";
import { drawLetters } from "./letters.js";
import { isDark } from "./dark.js";
import { drawLevelsButton, listenToLevels, toggleLevels } from "./levels.js";
import { listenToSearch } from "./search.js";
import { patchTracks, tiledTracks } from "./tiles.js";
import { drawUnfinished } from "./unfinished.js";
import { about, edits, reference, withValue } from "./views.js";
import { rescale } from "./difference-scale.js";
import { drawAnswers, listenForWhy, withAnswers } from "./why.js";

window.orcaCool = { state, viewer, hgApi: null, tiledTracks: () => tiledTracks(page.api), parseRegion, formatRegion };

async function firstView() {
  const asked = new URLSearchParams(window.location.search).get("view") ?? "default";
  for (;;) {
    try {
      return await request(`viewconfs/?d=${encodeURIComponent(asked)}`);
    } catch (error) {
      if (error.status) throw error;
      showConnection(false);
      await new Promise((resolve) => setTimeout(resolve, SOON));
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

/** A server of several models has a list of them. */
async function linkModels() {
  const { models } = await request("models/");
  element("models").hidden = models.length < 2;
}

async function chooseCellType() {
  element("cell-type").disabled = true;
  try {
    await showCellType(element("cell-type").value);
  } finally {
    describe(current()); // where it failed, the menu says again what is shown
    element("cell-type").disabled = false;
  }
}

function listen() {
  window.matchMedia("(max-width: 700px)").addEventListener("change", attempt(() => rebuild(current())));
  new ResizeObserver(resized).observe(element("window"));
  document.addEventListener("themechange", attempt(async () => {
    if (state.dark !== isDark()) await rebuild(current());
  }));
  listenToSearch();
  listenToMenu();
  listenToDrops();
  listenToKeys();
  listenToHistory();
  listenToCursor();
  listenToLevels();
  element("all-levels").addEventListener("click", attempt(toggleLevels));
  element("value").addEventListener("change", attempt(() => show(withValue(current(), element("value").value))));
  element("cell-type").addEventListener("change", attempt(chooseCellType));
  element("edit-form").addEventListener("submit", attempt(() => openEdit(asEdit(element("edit").value))));
  element("link").addEventListener("click", attempt(share));
  element("shared-close").addEventListener("click", () => (element("shared").hidden = true));
  for (const [name, action] of Object.entries({ png: savePng, svg: saveSvg, pdf: savePdf })) element(name).addEventListener("click", attempt(() => onLight(action)));
  listenForWhy();
  listenToAgainst();
  listenToDownloads();
  listenToCite();
  page.completed = withAnswers;
  page.around = (conf) => {
    drawLetters(conf);
    drawUnfinished(conf);
    rescale();
    compareSoon();
  };
  page.changed = (conf) => {
    drawAnswers(conf);
    drawLevelsButton(conf);
    drawAgainst(conf);
    followModel(conf);
    drawTabs(edits(conf), state.shown, { open: chooseEdit, stop: goToStop, close: ({ id }) => closeEdit(id) });
    const { value = "", cell_type = "" } = about(reference(conf)); // they may have been gone back to
    element("value").value = value;
    element("cell-type").value = cell_type;
    remember();
  };
  page.moved = remember;
}

async function begin() {
  const styles = new CSSStyleSheet(); // not a <style>: the page's Content-Security-Policy allows no inline styles
  styles.replaceSync(CSS);
  document.adoptedStyleSheets = [styles];
  patchTracks(() => poll(), around);
  const conf = await firstView();
  describe(conf);
  linkModels().catch(() => {}); // a link less; that the server does not answer is told elsewhere
  listen();
  await mount(conf);
  await poll();
  await restore();
  state.ready = true;
}

// Elsewhere the script is HiGlass as it is, `orcaCool.viewer(element, viewconf)`.
if (element("higlass")) begin().catch((error) => say(error.message));
