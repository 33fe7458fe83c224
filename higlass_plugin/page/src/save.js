// Links to what is shown, and pictures of it.

import { request } from "./api.js";
import { element } from "./dom.js";
import { current, page } from "./page.js";
import { svgWithSurroundings, withSurroundings } from "./pictures.js";
import { computing } from "./tiles.js";
import { undressed } from "./views.js";

export async function share() {
  const { uid } = await request("viewconfs/", { body: { viewconf: undressed(current()) } });
  const url = new URL(`?view=${encodeURIComponent(uid)}`, document.baseURI);
  window.history.replaceState(window.history.state, "", url);
  element("shared-url").value = url.href;
  element("shared").hidden = false;
  element("shared-url").select();
}

/** A picture is saved of final tiles alone. */
function finalOnly() {
  const count = computing(page.api).size;
  if (count) throw new Error(`${count} ${count === 1 ? "tile is" : "tiles are"} not final yet; save the picture when they are`);
}

/** Gives the user a file. */
export function save(name, blob) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

export async function savePng() {
  finalOnly();
  save("orca.png", await withSurroundings(await page.api.exportAsPngBlobPromise()));
}

export function saveSvg() {
  finalOnly();
  save("orca.svg", new Blob([svgWithSurroundings(page.api.exportAsSvg())], { type: "image/svg+xml" }));
}
