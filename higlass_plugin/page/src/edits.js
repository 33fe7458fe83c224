// Edited genomes: made by the server, shown beside the reference, closed, and made again for another cell type.

import { request } from "./api.js";
import { element, say } from "./dom.js";
import { current, goTo, rebuild, show, state } from "./page.js";
import { about, aligned, atStop, edits, lookAt, reference, shownEdit, withCellType, withEdit, withoutEdit } from "./views.js";

/** Goes to a breakpoint: every view has it in its middle, or shows `domain` of the reference, with the edit's view aligned there. */
export async function goToStop({ id, stops = [], domain: all }, wanted, domain) {
  if (!stops.length) return goTo(all);
  const n = (wanted + stops.length) % stops.length;
  const conf = atStop(current(), id, n);
  const [place] = stops[n];
  const [start, end] = reference(conf).initialXDomain;
  await show(aligned(conf, id, stops[n]));
  await goTo(domain ?? [place - (end - start) / 2, place + (end - start) / 2]); // what is shown already does not move to other initial domains
}

/** An edit as the server has made it for the model, genome and cell type of a reference, and its viewconf. */
async function makeEdit(asked, { model, genome, cell_type }) {
  const edited = await request("edits/", { body: { ...asked, model, genome, cell_type } });
  return [edited, await request(`viewconfs/?d=${encodeURIComponent(edited.viewconf)}`)];
}

/** The viewconf of an edit that was open before. */
export async function viewOf(edit) {
  const [, view] = await makeEdit(askedFor(edit), about(reference(current())));
  return view;
}

/** Where an edit is looked at first: what is looked at already, if its first breakpoint is there; else as much around that. */
function firstPlace(conf, { stops = [], domain }) {
  const { initialXDomain: x, initialYDomain: y } = reference(conf);
  const { chromsizes = [] } = about(reference(conf));
  const total = chromsizes.reduce((sum, [, size]) => sum + size, 0);
  const width = x[1] - x[0];
  if (!stops.length || width > 0.8 * total) return [domain, domain]; // nobody has chosen a place yet
  const [at] = stops[0];
  if (x[0] <= at && at <= x[1]) return [x, y];
  const around = [at - width / 2, at + width / 2];
  return [around, around];
}

/** Shows an edit of which the server has made a viewconf; `instead` is the id of one that is open no more then. */
async function showEdit(view, instead) {
  const edit = shownEdit(view);
  const conf = instead && instead !== edit.id ? withoutEdit(current(), instead) : current();
  const [x, y] = firstPlace(conf, edit);
  await show(lookAt(withEdit(conf, view), x, y));
  await goTo(x, y);
  return edit.id;
}

/** Makes an edit and shows it; its id. `instead` is the id of an open one whose place it takes. */
export async function openEdit(asked, instead) {
  element("apply").disabled = true;
  try {
    const [edited, view] = await makeEdit(asked, about(reference(current())));
    const id = await showEdit(view, instead);
    say(edited.problems?.length ? `Not used: ${edited.problems.join("; ")}` : null);
    if (instead && instead !== id) await drop(instead);
    return id;
  } finally {
    element("apply").disabled = false;
  }
}

/** Shows another one of the edits that are open, at the place that is looked at; of the one that is shown, its own place. */
export async function chooseEdit(edit) {
  if (edit.id === state.shown) return goToStop(edit, 0, edit.domain);
  const view = await viewOf(edit);
  const { initialXDomain: x, initialYDomain: y } = reference(current());
  await show(lookAt(withEdit(current(), view), x, y));
  return goTo(x, y);
}

/** The server needs an edit no more. */
async function drop(id) {
  await request(`edits/?d=${encodeURIComponent(id)}`, { method: "DELETE" }).catch((error) => {
    if (error.status !== 404) throw error; // the server may have dropped it itself
  });
}

export async function closeEdit(id) {
  const wasShown = id === state.shown;
  await show(withoutEdit(current(), id));
  await drop(id);
  const left = edits(current());
  if (wasShown && left.length) await chooseEdit(left.at(-1));
}

/** A VCF has tabs or a header; everything else is in the grammar of edits. */
export function asEdit(text) {
  return /\t|^##/.test(text) ? { vcf: text } : { edit: text.trim() };
}

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
  const opened = edits(conf);
  const before = shownEdit(conf)?.id;
  // the one that is shown comes last, as the last one is what is seen; then all are put in their order again
  const renamed = new Map();
  for (const edit of [...opened].sort((a, b) => (a.id === before) - (b.id === before))) {
    const [{ id }, view] = await makeEdit(askedFor(edit), { model, genome, cell_type: cellType });
    changed = withEdit(withoutEdit(changed, edit.id), view);
    renamed.set(edit.id, { ...edits(changed).at(-1), stop: edit.stop });
    if (edit.stops[edit.stop]) changed = aligned(changed, id, edit.stops[edit.stop]);
  }
  about(reference(changed)).edits = opened.map((edit) => renamed.get(edit.id));
  return lookAt(changed, initialXDomain, initialYDomain);
}

/** Shows all that is shown of another cell type. */
export async function showCellType(cellType) {
  await rebuild(await ofCellType(current(), cellType));
}
