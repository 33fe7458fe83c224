// Links to what is shown, and pictures of it.

import { request } from "./api.js";
import { element } from "./dom.js";
import { current, page } from "./page.js";
import { svgWithSurroundings, withSurroundings } from "./pictures.js";
import { undressed } from "./views.js";
import { whenFinal } from "./waiting.js";

export async function share() {
  const { uid } = await request("viewconfs/", { body: { viewconf: undressed(current()) } });
  const url = new URL(`?view=${encodeURIComponent(uid)}`, document.baseURI);
  window.history.replaceState(window.history.state, "", url);
  element("shared-url").value = url.href;
  element("shared").hidden = false;
  element("shared-url").select();
}

/** The name of a picture's file. */
const named = ({ preliminary }, ending) => `orca${preliminary ? "-preliminary" : ""}.${ending}`;

function save(name, blob) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

export async function savePng() {
  const picture = await whenFinal();
  if (picture) save(named(picture, "png"), await withSurroundings(await page.api.exportAsPngBlobPromise()));
}

export async function saveSvg() {
  const picture = await whenFinal();
  if (picture) save(named(picture, "svg"), new Blob([svgWithSurroundings(page.api.exportAsSvg())], { type: "image/svg+xml" }));
}
