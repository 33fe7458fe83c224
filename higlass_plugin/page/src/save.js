// Links to what is shown, and pictures of it.

import { request } from "./api.js";
import { element } from "./dom.js";
import { current, page } from "./page.js";
import { picture, toPng, toSvg } from "./pictures.js";
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

/** Gives the user a file. */
export function save(name, blob) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/** What is on the screen, when all of it is final, or as somebody takes it: its marks, and what files of it are called but for their endings; null where it is not wanted any more. */
async function drawn() {
  const wanted = await whenFinal();
  if (!wanted) return null;
  const name = `orca${wanted.preliminary ? "-preliminary" : ""}`;
  return { name, marks: picture(page.api.getComponent(), `${document.title}, ${element("region").value}`) };
}

export async function savePng() {
  const found = await drawn();
  if (found) save(`${found.name}.png`, await toPng(found.marks, Number(element("png-scale").value)));
}

export async function saveSvg() {
  const found = await drawn();
  if (found) save(`${found.name}.svg`, new Blob([toSvg(found.marks)], { type: "image/svg+xml" }));
}

export async function savePdf() {
  const found = await drawn();
  if (!found) return;
  const { toPdf } = await import(new URL("static/pdf.js", document.baseURI)); // not before it is wanted: it is a third of a megabyte
  save(`${found.name}.pdf`, await toPdf(found.marks));
}
