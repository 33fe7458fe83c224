// Asks the server how far it is, and fetches tiles when they are ready.

import { request } from "./api.js";
import { element, say } from "./dom.js";
import { around, current, mount, page, state } from "./page.js";
import { computing, fetchMissing, refresh, shown, uninformed } from "./tiles.js";
import { inWords, queueInWords } from "./words.js";

const BUSY = 500; // ms between questions to the server while tiles are being computed, or it does not answer
const IDLE = 5000;
const ASKED = 1000; // tiles in one question, as many as the server takes

let timer = null;
let asking = false;

/** ms after which it is worth to ask again a server that does not answer. */
export const SOON = BUSY;

export function showConnection(connected) {
  state.connected = connected;
  element("banner").hidden = connected;
}

function showProgress(count) {
  state.computing = count;
  state.shows = shown(page.api);
  const words = `computing ${count} ${count === 1 ? "tile" : "tiles"}`;
  const told = [...new Set(state.shows.map(inWords)), ...queueInWords(state.queue)];
  element("progress").textContent = count ? [words, ...told].join("; ") : "final";
  element("progress").classList.toggle("final", !count);
  around();
}

async function reload() {
  state.reloads += 1;
  if (uninformed(page.api)) {
    // A track that never learnt what it shows cannot be taught; the same views are built anew.
    const conf = current();
    page.api.destroy();
    await mount(conf);
  } else {
    await refresh(page.api);
    fetchMissing(page.api);
  }
}

/** Asks the server how far it is, and fetches what became ready. */
async function ask() {
  const waiting = computing(page.api);
  const status = await request("status/", { body: { tiles: [...waiting.keys()].slice(0, ASKED) } });
  const isNew = state.instance !== null && status.instance !== state.instance;
  const wasGone = !state.connected;
  state.instance = status.instance;
  showConnection(true);
  if (isNew || wasGone) {
    await reload();
  } else {
    const { ready = [], failed = {}, shows = {}, queue = null } = status.progress ?? {};
    state.queue = queue;
    const better = Object.keys(shows).filter((id) => shows[id] && shows[id] !== waiting.get(id));
    const again = new Set([...ready, ...Object.keys(failed), ...better]);
    if (again.size) await refresh(page.api, again);
  }
  showProgress(computing(page.api).size);
}

/** Does something while nobody asks the server. */
export async function resting(action) {
  while (asking) await new Promise(requestAnimationFrame);
  asking = true;
  try {
    await action();
  } finally {
    asking = false;
  }
}

export async function poll() {
  clearTimeout(timer);
  if (asking) return; // it will set the timer when it is done
  asking = true;
  try {
    await ask();
  } catch (error) {
    if (error.status) say(error.message); // it answers, but not as hoped: a token that is out of date, say
    else showConnection(false);
  }
  asking = false;
  timer = setTimeout(poll, state.computing || !state.connected ? BUSY : IDLE);
}
