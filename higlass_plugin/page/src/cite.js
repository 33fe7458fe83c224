// What to cite with what is shown.

import { request } from "./api.js";
import { attempt, element, made } from "./dom.js";
import { current } from "./page.js";
import { about, reference } from "./views.js";

/** The citations as lines of text. */
const asText = ({ line, papers }) => [line, ...papers.map(({ text, doi }) => `${text}. doi:${doi}`)].join("\n");

let shown = "";

async function show() {
  const { model, genome, cell_type } = about(reference(current()));
  const query = Object.entries({ model, genome, cell_type }).filter(([, value]) => value);
  const found = await request(`cite/?${new URLSearchParams(query)}`);
  shown = asText(found);
  const items = found.papers.map(({ for: what, text, doi }) => {
    const link = made("a", { href: `https://doi.org/${doi}`, rel: "noreferrer", target: "_blank", textContent: `doi:${doi}` });
    return made("li", {}, made("b", { textContent: `${what}: ` }), `${text}. `, link);
  });
  const state = made("p", { id: "cite-state" });
  state.setAttribute("role", "status");
  element("cite-text").replaceChildren(made("p", {}, made("b", { textContent: "this page: " }), found.line), made("ul", {}, ...items), state);
  element("cite-dialog").showModal();
}

async function copy() {
  await navigator.clipboard.writeText(shown);
  element("cite-state").textContent = "Copied.";
}

export function listenToCite() {
  element("cite").addEventListener("click", attempt(show));
  element("cite-copy").addEventListener("click", attempt(copy));
  element("cite-close").addEventListener("click", () => element("cite-dialog").close());
}
