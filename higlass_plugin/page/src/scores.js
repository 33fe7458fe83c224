// The scores of variants, asked of the server some at a time: it computes them when nothing else is asked for.

import { request } from "./api.js";

const AT_ONCE = 16; // variants in one question
const PAUSE = 1000; // ms between two questions
const LATER = 5000; // ms after one that was not answered

/** Asks until all are known, those near `at()` first. `told(found, about)` is told of answers: [[number, answer], ...]. Returns what stops it.
 *  `texts` has a line of VCF for each, or nothing for what has no score; `of` names model, genome and cell type. */
export function askScores(texts, of, at, told) {
  let timer = null;
  let isOver = false;
  const missing = new Set(texts.map((text, n) => (text ? n : -1)).filter((n) => n >= 0));
  const next = async () => {
    const near = [...missing].sort((a, b) => Math.abs(a - at()) - Math.abs(b - at())).slice(0, AT_ONCE);
    let pause = PAUSE;
    if (document.hidden) pause = LATER; // nobody looks
    else {
      try {
        const { scores, ...about } = await request("scores/", { body: { ...of, vcf: near.map((n) => texts[n]) } });
        if (isOver) return;
        scores.forEach(({ state }, k) => state !== "computing" && missing.delete(near[k]));
        told(scores.map((answer, k) => [near[k], answer]), about);
      } catch {
        pause = LATER; // the page says elsewhere that the server does not answer
      }
    }
    if (missing.size && !isOver) timer = setTimeout(next, pause);
  };
  if (missing.size) next();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}
