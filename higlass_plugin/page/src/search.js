// The box of places: regions, chromosomes, genes and edits, suggested while one types.

import { request } from "./api.js";
import { attempt, element, made, say } from "./dom.js";
import { chooseEdit } from "./edits.js";
import { current, goTo } from "./page.js";
import { formatRegion, offsets, readRegion, regionProblem } from "./region.js";
import { about, edits, reference } from "./views.js";

const PAUSE = 120; // ms after the last letter until the server is asked for genes
const MOST = 12; // suggestions that are shown
const LEAST_MARGIN = 10000; // bp beside a gene

/** Genes whose names begin with a text: those of that very name first, of all files that have names. */
async function genes(text, { search, suggest }) {
  const uids = search?.length ? search : [suggest].filter(Boolean);
  const ask = (uid) => request(`suggest/?d=${encodeURIComponent(uid)}&ac=${encodeURIComponent(text)}`);
  const found = text ? (await Promise.all(uids.map(ask))).flat() : [];
  const isIt = ({ geneName }) => geneName.toLowerCase() === text.toLowerCase();
  return [...found.filter(isIt), ...found.filter((gene) => !isIt(gene))];
}

function around({ chr, txStart, txEnd }, chromsizes) {
  const begin = offsets(chromsizes).get(chr);
  const margin = Math.max(LEAST_MARGIN, 2 * (txEnd - txStart));
  return [begin + txStart - margin, begin + txEnd + margin];
}

/** What a text may mean, the likeliest first: {kind, name, note, go()}. */
export async function suggestions(text) {
  const conf = current();
  const orca = about(reference(conf));
  const { chromsizes = [] } = orca;
  const wanted = text.trim().toLowerCase();
  const found = [];
  const place = readRegion(text, chromsizes);
  if (place) {
    const go = () => {
      say(place.note);
      return goTo(place.domain);
    };
    found.push({ kind: "region", name: formatRegion(place.domain, chromsizes), note: place.note, go });
  }
  for (const [name, size] of wanted ? chromsizes : []) {
    if (place || !name.toLowerCase().includes(wanted)) continue;
    const begin = offsets(chromsizes).get(name);
    found.push({ kind: "chromosome", name, note: `${size.toLocaleString("en-GB")} bp`, go: () => goTo([begin, begin + size]) });
  }
  // a place is gone to while the server does not answer, too
  const known = await genes(text.trim(), orca).catch((error) => {
    if (!found.length) throw error;
    return [];
  });
  for (const gene of known) {
    const at = formatRegion([gene.txStart, gene.txEnd].map((position) => position + offsets(chromsizes).get(gene.chr)), chromsizes);
    found.push({ kind: "gene", name: gene.geneName, note: at, go: () => goTo(around(gene, chromsizes)) });
  }
  for (const edit of edits(conf)) {
    if (edit.name.toLowerCase().includes(wanted)) found.push({ kind: "edit", name: edit.name, note: "open", go: () => chooseEdit(edit) });
  }
  return found.slice(0, MOST);
}

/** Goes to what was typed. */
export async function findRegion() {
  const text = element("region").value;
  const chosen = at >= 0 ? listed[at] : undefined;
  close();
  if (chosen) {
    element("region").blur();
    return chosen.go();
  }
  const [best] = await suggestions(text);
  if (best) {
    element("region").blur(); // the keyboard is the map's again, and the box tells where that is
    return best.go();
  }
  const { chromsizes = [] } = about(reference(current()));
  throw new Error(
    regionProblem(text, chromsizes) ?? `${text}: neither a region such as ${chromsizes[0]?.[0]}:10,000-20,000 nor the start of a gene's name`,
  );
}

// ---- the list below the box

let listed = [];
let at = -1; // which of them is chosen
let asked = 0;
let timer = null;

function close() {
  clearTimeout(timer);
  asked += 1; // an answer that is on its way is of no use any more
  listed = [];
  at = -1;
  element("suggestions").hidden = true;
  element("region").setAttribute("aria-expanded", "false");
  element("region").removeAttribute("aria-activedescendant");
}

function choose(n) {
  at = n;
  [...element("suggestions").children].forEach((item, k) => item.setAttribute("aria-selected", String(k === n)));
  if (n >= 0) element("region").setAttribute("aria-activedescendant", `suggestion-${n}`);
  else element("region").removeAttribute("aria-activedescendant");
}

async function suggest() {
  const number = (asked += 1);
  const found = await suggestions(element("region").value).catch(() => []); // the server may not answer: Enter tells
  if (number !== asked) return;
  listed = found;
  const items = found.map(({ kind, name, note }, n) => {
    const item = made("li", { id: `suggestion-${n}` }, made("span", { className: "kind", textContent: kind }), made("b", { textContent: name }), made("span", { textContent: note }));
    item.setAttribute("role", "option");
    item.addEventListener("pointerdown", (event) => {
      event.preventDefault(); // the box keeps the focus until the place is gone to
      choose(n);
      element("region").blur();
      attempt(findRegion)();
    });
    return item;
  });
  element("suggestions").replaceChildren(...items);
  element("suggestions").hidden = !items.length;
  element("region").setAttribute("aria-expanded", String(items.length > 0));
  choose(-1);
}

export function listenToSearch() {
  const box = element("region");
  element("region-form").addEventListener("submit", attempt(findRegion));
  box.addEventListener("focus", () => box.select());
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(suggest, PAUSE);
  });
  box.addEventListener("blur", () => {
    if (at < 0) close();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      if (element("suggestions").hidden) box.blur();
      close();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !listed.length) return;
    event.preventDefault();
    choose(((at + 1 + step + listed.length + 1) % (listed.length + 1)) - 1);
  });
}
