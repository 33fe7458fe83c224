// The box of places: regions, genes and edits are found while one types.

import { request } from "./api.js";
import { element, say } from "./dom.js";
import { current, goTo } from "./page.js";
import { offsets, readRegion, regionProblem } from "./region.js";
import { about, reference } from "./views.js";

export async function findRegion() {
  const { chromsizes = [], suggest } = about(reference(current()));
  const text = element("region").value;
  const place = readRegion(text, chromsizes);
  if (place) {
    say(place.note);
    return goTo(place.domain);
  }
  const genes = suggest ? await request(`suggest/?d=${encodeURIComponent(suggest)}&ac=${encodeURIComponent(text.trim())}`) : [];
  const gene = genes.find((found) => found.geneName.toLowerCase() === text.trim().toLowerCase()) ?? genes[0];
  if (!gene) throw new Error(regionProblem(text, chromsizes) ?? `${text}: neither a region such as ${chromsizes[0]?.[0]}:10,000-20,000 nor the start of a gene's name`);
  const begin = offsets(chromsizes).get(gene.chr);
  const margin = Math.max(10000, 2 * (gene.txEnd - gene.txStart));
  return goTo([begin + gene.txStart - margin, begin + gene.txEnd + margin]);
}
