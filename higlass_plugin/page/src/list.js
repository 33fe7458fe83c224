// A list to walk through: variants of a VCF with their scores, or regions of a BED.

import { button, element, made } from "./dom.js";
import { current, state } from "./page.js";
import { askScores } from "./scores.js";
import { about, reference } from "./views.js";

const MOST = 1000; // entries of a list
const FIRST = "log_fold_change"; // the score that is shown first: the paper's

/** What the scores are called in words; all others have the names of the table of `orca-cool variants`. */
const WORDS = {
  log_fold_change: "mean |ln edited/reference| of its bins",
  mse: "mean squared change",
  one_minus_r: "1 - Pearson's r",
  one_minus_scc: "1 - SCC",
  insulation: "mean |change| of insulation",
  insulation_at: "change of insulation there",
  compartment: "change of compartments",
};

let shown = null; // the list that is open

/** A score in three digits. */
const inDigits = (value) => (value === 0 || Math.abs(value) >= 1e-4 ? String(Number(value.toPrecision(3))) : value.toExponential(2));

/** A list of entries {name, go(instead), vcf}, in the order in which it is walked through. `go` returns the id of the edit that it opened, if it is one, in the place of the one with the id `instead`. */
class List {
  constructor(title, entries, all) {
    this.entries = entries.slice(0, MOST);
    this.answers = this.entries.map(() => null);
    this.order = this.entries.map((_, n) => n);
    this.at = -1;
    this.wanted = null; // the entry to which walking goes next
    this.walking = null; // settles when it has gone there
    this.walked = null; // the edit that walking has opened last: the next one takes its place, or a long list would open as many tabs
    this.isSorted = false;
    this.score = null; // once the server has told which there are
    this.level = "";
    this.items = this.entries.map(({ name, vcf }, n) => {
      const item = made("li", {}, button(name, vcf ? "Show it; what is shown stays open" : "Go there", () => this.go(n)));
      if (vcf) item.append(made("span", { className: "score", textContent: "not scored yet" }));
      return item;
    });
    this.bar = made(
      "p",
      {},
      made("b", { textContent: entries.length > MOST ? `${title}: the first ${MOST.toLocaleString("en-GB")} of ${entries.length.toLocaleString("en-GB")}` : title }),
      button("‹", "Previous of the list", () => this.walk(-1)),
      button("›", "Next of the list", () => this.walk(1)),
      ...(all ? [button("all on one genome", "Make all of these variants together", all)] : []),
      ...(this.entries.some(({ vcf }) => vcf) ? this.controls() : []),
      button("×", "Close the list", () => close()),
    );
    this.rows = made("ol", {}, ...this.items);
    this.ask();
  }

  controls() {
    this.scoreBox = made("select", { id: "list-score", title: "What the variants are scored by", hidden: true });
    this.levelBox = made("select", { id: "list-level", title: "The size of bins at which they are scored", hidden: true });
    this.sortBox = button("strongest first", "Sort by the size of the score", () => this.sort(!this.isSorted));
    this.sortBox.id = "list-sort";
    this.sortBox.setAttribute("aria-pressed", "false");
    this.told = made("span", { id: "list-state" });
    this.told.setAttribute("role", "status");
    this.scoreBox.setAttribute("aria-label", "Score");
    this.levelBox.setAttribute("aria-label", "Size of bins");
    this.scoreBox.addEventListener("change", () => {
      this.score = this.scoreBox.value;
      this.draw();
    });
    this.levelBox.addEventListener("change", () => {
      this.level = this.levelBox.value;
      this.draw();
    });
    return [this.scoreBox, this.levelBox, this.sortBox, this.told];
  }

  /** Asks for the scores of the model that is shown, and tells those that come. */
  ask() {
    this.stop?.();
    const { model, genome, cell_type } = about(reference(current()));
    this.of = JSON.stringify({ model, genome, cell_type });
    this.answers.fill(null);
    const texts = this.entries.map(({ vcf }) => vcf);
    if (!model || !texts.some(Boolean)) return;
    this.stop = askScores(texts, { model, genome, cell_type }, () => Math.max(0, this.at), (found, about) => this.take(found, about));
    this.draw();
  }

  take(found, { names, resolutions }) {
    for (const [n, answer] of found) this.answers[n] = answer;
    if (this.score === null && names) {
      this.score = names.includes(FIRST) ? FIRST : names[0];
      this.scoreBox.replaceChildren(...names.filter((name) => name !== "pixels").map((name) => new Option(WORDS[name] ?? name.replaceAll("_", " "), name, false, name === this.score)));
      const levels = resolutions.map((bp) => new Option(`bins of ${bp.toLocaleString("en-GB")} bp`, String(bp)));
      this.levelBox.replaceChildren(new Option("largest of all levels", ""), ...levels);
      this.scoreBox.hidden = false;
      this.levelBox.hidden = false;
    }
    this.draw();
  }

  /** The score of an entry that is shown: {value, resolution} of the largest one; null if there is none. */
  valueOf(n) {
    const rows = (this.answers[n]?.variants ?? []).flatMap((variant) => variant.rows);
    const fit = rows.filter((row) => Number.isFinite(row[this.score]) && (!this.level || String(row.resolution) === this.level));
    const [best] = fit.sort((a, b) => Math.abs(b[this.score]) - Math.abs(a[this.score]));
    return best ? { value: best[this.score], resolution: best.resolution } : null;
  }

  textOf(n) {
    const answer = this.answers[n];
    if (!answer || answer.state === "computing") return [answer ? "being scored" : "not scored yet", ""];
    const problems = (answer.variants ?? []).map(({ status }) => status).filter((status) => !status.startsWith("ok"));
    if (answer.error || problems.length) return ["no score", answer.error ?? problems.join("; ")];
    const best = this.valueOf(n);
    if (!best) return ["no score", "Too little of the map is known there"];
    const at = this.level ? "" : ` (${best.resolution.toLocaleString("en-GB")} bp)`;
    return [`${inDigits(best.value)}${at}`, ""];
  }

  draw() {
    let known = 0;
    this.items.forEach((item, n) => {
      const label = item.querySelector(".score");
      if (!label) return;
      const [text, title] = this.textOf(n);
      known += Boolean(this.answers[n] && this.answers[n].state !== "computing");
      if (label.textContent !== text) label.textContent = text;
      label.title = title;
    });
    if (this.told) this.told.textContent = known < this.items.length ? `${known} of ${this.items.length} scored` : "";
    if (this.isSorted) this.sort(true);
  }

  /** The strongest first, those without a score last; or in the order of the file. */
  sort(isSorted) {
    this.isSorted = isSorted;
    this.sortBox.setAttribute("aria-pressed", String(isSorted));
    const size = this.entries.map((_, n) => Math.abs(this.valueOf(n)?.value ?? -1) * (this.valueOf(n) ? 1 : -1));
    const order = this.entries.map((_, n) => n);
    if (isSorted) order.sort((a, b) => size[b] - size[a] || a - b);
    if (order.join() === this.order.join()) return;
    this.order = order;
    this.rows.append(...order.map((n) => this.items[n])); // which moves them
  }

  /** Goes to an entry by its number in the file; what it opens takes the place of the edit with the id `instead`. */
  go(n, instead = null) {
    this.at = n;
    this.walked = null;
    this.items.forEach((item, k) => item.toggleAttribute("aria-current", k === n));
    this.items[n].scrollIntoView({ block: "nearest" });
    return this.entries[n].go(instead);
  }

  /** Goes to the next or the previous one, in the order that is shown. Of several steps while one is being opened only the last is gone to. */
  walk(by) {
    const place = this.order.indexOf(this.wanted ?? this.at);
    this.wanted = this.order[(place + by + this.order.length) % this.order.length];
    this.walking ??= this.follow().finally(() => {
      this.walking = null;
    });
    return this.walking;
  }

  /** Goes to the entry that walking has come to, until there is none it has not gone to. */
  async follow() {
    while (this.wanted !== null) {
      const n = this.wanted;
      this.wanted = null;
      const [before, open] = [this.walked, state.edits];
      let opened = before; // where the next one cannot be shown, the one before still is
      try {
        const found = await this.go(n, before);
        opened = found === before || !open.includes(found) ? found : null; // what was open already was opened by somebody else
      } catch (error) {
        if (this.wanted === null) throw error;
      } finally {
        if (this.at === n) this.walked = opened ?? null;
      }
    }
  }
}

function close() {
  shown?.stop?.();
  shown = null;
  element("list").hidden = true;
}

/** Shows a list, and goes to its first entry. */
export function showList(title, entries, all) {
  close();
  shown = new List(title, entries, all);
  element("list").replaceChildren(shown.bar, shown.rows);
  element("list").hidden = false;
  return shown.walk(1);
}

/** The next or the previous entry of the list that is open. */
export function walkList(by) {
  return shown?.walk(by);
}

/** The scores are those of the model and cell type that is shown. */
export function followModel(conf) {
  const { model, genome, cell_type } = about(reference(conf));
  if (shown && shown.of !== JSON.stringify({ model, genome, cell_type })) shown.ask();
}
