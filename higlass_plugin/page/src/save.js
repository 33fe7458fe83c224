// Links to what is shown, and pictures of it.

import { request } from "./api.js";
import { element } from "./dom.js";
import { current, page } from "./page.js";
import { picture, toPng, toSvg } from "./pictures.js";
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

/** What is on the screen, when all of it is final. */
async function drawn() {
  await finalOnly();
  return picture(page.api.getComponent(), `${document.title}, ${element("region").value}`);
}

export async function savePng() {
  save("orca.png", await toPng(await drawn(), Number(element("png-scale").value)));
}

export async function saveSvg() {
  save("orca.svg", new Blob([toSvg(await drawn())], { type: "image/svg+xml" }));
}

export async function savePdf() {
  const { toPdf } = await import(new URL("static/pdf.js", document.baseURI)); // not before it is wanted: it is a third of a megabyte
  save("orca.pdf", await toPdf(await drawn()));
}
