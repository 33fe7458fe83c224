// The prediction against the measured map: kinds of value of the reference's view, and how well the two agree where one looks.

import { request } from "./api.js";
import { attempt, element, made } from "./dom.js";
import { current, page, show } from "./page.js";
import { seenOf, withinChromosomes } from "./seen.js";
import { about, reference, withValue } from "./views.js";

const KIND = "against-";
const FIRST = `${KIND}difference`;
const PAUSE = 400; // ms for which nothing moves before the server is asked
const AGAIN = 1000; // ms after which a server that computes is asked again
const LEAST = 30; // pairs of bins of which a correlation says something

let before = null; // the kind of value that was shown before
let timer = null;
let asking = null; // the request that is on its way
let asked = ""; // what it asks

const values = (conf) => about(reference(conf)).values ?? {};
const isShown = (conf) => (about(reference(conf)).value ?? "").startsWith(KIND);

const number = (value) => (value === null ? "–" : value.toFixed(2));

function part(label, value, title) {
  return made("span", { title }, `${label} `, made("b", { textContent: value }));
}

/** What a server's answer says, in words. */
function inWords({ pixels, resolution, r, scc, r_at_distance: distance, regions }) {
  const bins = `${pixels.toLocaleString("en-GB")} pairs of bins of ${resolution.toLocaleString("en-GB")} bp`;
  const where = regions.length > 1 ? `, of ${regions.length} chromosomes` : "";
  if (pixels < LEAST || r === null) {
    return [`Too little to compare here: ${bins}${where} have a value in both maps. Zoom out, or look nearer to the diagonal.`];
  }
  return [
    part("Pearson's r", number(r), "Of log observed/expected of both maps, pairs of bins two or more apart"),
    part("SCC", number(scc), "HiCRep's stratum-adjusted correlation: the mean of the correlations at each distance, of maps smoothed by one bin"),
    part("r at equal distance", number(distance), "Pearson's r after the mean of each distance is subtracted from both maps"),
    made("span", { textContent: `of ${bins}${where}, as seen` }),
  ];
}

function tell(...parts) {
  element("agreement-text").replaceChildren(...parts);
}

/** The tileset that is drawn against the measured map. */
function drawnMap(conf) {
  const view = reference(conf);
  const [map] = view.tracks.center?.[0]?.contents ?? [];
  return map && page.api.getTrackObject(view.uid, map.uid);
}

async function ask(query, signal) {
  for (;;) {
    try {
      return await request(`compare/?${query}`, { signal });
    } catch (error) {
      if (error.status !== 503 && error.status !== 429) throw error;
      tell("What is seen is being computed ...");
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
      signal.throwIfAborted();
    }
  }
}

async function compare() {
  timer = null;
  const conf = current();
  if (!isShown(conf)) return;
  const seen = seenOf(drawnMap(conf), true);
  const places = seen ? withinChromosomes(seen) : [];
  if (!seen) return; // its tileset is not known yet: it is drawn when it is, and then asked about
  const query = new URLSearchParams({ d: seen.d, resolution: seen.resolution });
  for (const [region, rows] of places) {
    query.append("region", region);
    query.append("rows", rows);
  }
  if (String(query) === asked) return;
  asking?.abort();
  asked = String(query);
  const own = (asking = new AbortController());
  if (!places.length) {
    tell("Two chromosomes are seen, between which nothing is compared.");
    return;
  }
  element("agreement").classList.add("old"); // what is told is of another place
  try {
    const found = await ask(query, own.signal);
    tell(...inWords(found));
  } catch (error) {
    if (own.signal.aborted) return;
    tell(error.message);
    asked = ""; // the next movement asks again
  }
  if (asking === own) element("agreement").classList.remove("old");
}

/** The numbers of what is seen are asked for, once nothing moves. */
export function compareSoon() {
  if (element("agreement").hidden) return;
  clearTimeout(timer);
  timer = setTimeout(compare, PAUSE);
}

/** Shows or hides the line of numbers, as the viewconf says. */
export function drawAgainst(conf) {
  const kinds = Object.entries(values(conf)).filter(([name]) => name.startsWith(KIND));
  const { value } = about(reference(conf));
  element("against").hidden = !kinds.length;
  element("against").setAttribute("aria-pressed", String(isShown(conf)));
  element("agreement").hidden = !isShown(conf);
  if (!isShown(conf)) {
    before = value;
    asking?.abort();
    asked = "";
    return;
  }
  element("agreement-kind").replaceChildren(...kinds.map(([name, { label }]) => new Option(label, name, false, name === value)));
  asked = "";
  compareSoon();
}

const showValue = (value) => show(withValue(current(), value));

export function listenToAgainst() {
  const leave = () => showValue(before in values(current()) ? before : "weight");
  element("against").addEventListener("click", attempt(() => (isShown(current()) ? leave() : showValue(FIRST))));
  element("agreement-kind").addEventListener("change", attempt(() => showValue(element("agreement-kind").value)));
  element("agreement-close").addEventListener("click", attempt(leave));
}
