// The menu that downloads what is seen: numbers as files, the viewconf, the sequence. Nothing is given that is not final.

import { download } from "./api.js";
import { attempt, button, element, made } from "./dom.js";
import { paneTitle } from "./grid.js";
import { current, page } from "./page.js";
import { save } from "./save.js";
import { mostOf, seenOf } from "./seen.js";
import { computing } from "./tiles.js";
import { about, undressed } from "./views.js";

const PAUSE = 400; // ms between two looks at whether all is final
const AGAIN = 1000; // ms after which a server that computes is asked again
const MOST_LETTERS = 10000;
const FORMATS = { map: ["npz", "tsv"], frequencies: ["npz", "tsv", "cool", "mcool"], track: ["npz", "tsv", "bw"] };
const TITLES = {
  npz: "Arrays of numpy",
  tsv: "A table: of a map a line for each pair of bins",
  cool: "A cooler: balanced values are contact frequencies",
  mcool: "A multi-resolution cooler of this one resolution, as HiGlass takes it",
  bw: "bigWig",
};

/** How the values of a tileset may be had. */
function kindOf({ tilesetInfo: { transforms = [] } }, isMap) {
  if (!isMap) return "track";
  return ["logoe", "weight"].every((value) => transforms.some((one) => one.value === value)) ? "frequencies" : "map";
}

/** The kind of value to ask for by name: a tileset without contact frequencies of its own may have several. */
const valueOf = (options, kind) => (kind === "map" && options?.dataTransform) || "";

/** What can be downloaded: [{name, view, kind, value, seen}], the maps first. */
function things(conf) {
  const found = [];
  const add = (view, { uid, options }, isMap) => {
    const track = page.api.getTrackObject(view.uid, uid);
    const seen = track?.tilesetInfo && seenOf(track, isMap);
    if (!seen || !seen.columns.length || (isMap && !seen.rows.length)) return;
    const kind = kindOf(track, isMap);
    const { title } = paneTitle(view);
    found.push({ name: `${title}: ${options?.name || uid}`, view, kind, value: valueOf(options, kind), seen });
  };
  for (const view of conf.views) for (const map of view.tracks.center?.[0]?.contents ?? []) add(view, map, true);
  for (const view of conf.views) for (const track of view.tracks.top ?? []) if (/bar|line|point/.test(track.type)) add(view, track, false);
  return found;
}

let going = null; // what stops the download that is under way

function tell(text) {
  element("download-state").textContent = text;
}

const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until all that is seen is final. */
async function whenFinal(signal) {
  for (;;) {
    signal.throwIfAborted();
    const count = computing(page.api).size;
    if (!count) return;
    tell(`Waits until what is seen is final: ${count} ${count === 1 ? "tile" : "tiles"} to be computed.`);
    await rest(PAUSE);
  }
}

/** Gives the user a file of the server's, once that has computed it. */
async function fetchFile(path, query, signal) {
  for (;;) {
    try {
      const { blob, name } = await download(`${path}?${new URLSearchParams(query)}`, signal);
      save(name || "orca", blob);
      return tell(`Saved: ${name}`);
    } catch (error) {
      if (error.status !== 503 && error.status !== 429) throw error;
      tell(`Waits for the server: ${error.message}`);
      await rest(AGAIN);
      signal.throwIfAborted();
    }
  }
}

/** Runs a download; another one, or closing the menu, stops it. */
function start(action) {
  return attempt(async () => {
    going?.abort();
    const own = (going = new AbortController());
    try {
      await whenFinal(own.signal);
      await action(own.signal);
    } catch (error) {
      if (own.signal.aborted) return;
      tell(error.message);
    }
  });
}

/** What is chosen, as it is seen now: one may have moved while the menu was open. */
function chosen() {
  const all = things(current());
  const wanted = element("download-of").value;
  return all.find(({ name }) => name === wanted) ?? all[0];
}

function saveNumbers(format) {
  return start(async (signal) => {
    const { seen, value } = chosen();
    const { region, rows } = mostOf(seen);
    await fetchFile("download/", { d: seen.d, region, rows, value, resolution: seen.resolution, format }, signal);
  });
}

/** The tileset whose sequence is that of a view. */
function predictedIn(view) {
  const { values = {} } = about(view);
  const all = [...(values.weight?.contents ?? []), ...(view.tracks.center?.[0]?.contents ?? [])];
  const map = all.find(({ uid }) => /^(predicted|edited|difference)/.test(uid));
  return map?.tilesetUid ?? (map && page.api.getTrackObject(view.uid, map.uid)?.tilesetUid);
}

async function saveSequence() {
  const { view, seen } = chosen();
  const { region, size } = mostOf(seen);
  if (size > MOST_LETTERS) throw new Error(`${region} has ${size.toLocaleString("en-GB")} bp; at most ${MOST_LETTERS.toLocaleString("en-GB")} are given: zoom in`);
  const d = predictedIn(view);
  const { blob } = await download(`sequence/?${new URLSearchParams({ d, region })}`);
  const { letters } = JSON.parse(await blob.text());
  const lines = letters.match(/.{1,60}/g).join("\n");
  const of = about(view).role === "edit" ? ` ${about(view).name}` : "";
  const name = `${region.replace(/[:-]/g, "_")}.fa`;
  save(name, new Blob([`>${region}${of}\n${lines}\n`], { type: "text/plain" }));
  tell(`Saved: ${name}`);
}

/** The viewconf for other pages: it names the server with its origin. */
export function forOthers(conf) {
  const full = (key, value) => ((key === "server" || key === "exportViewUrl") && typeof value === "string" ? new URL(value, document.baseURI).href : value);
  const found = JSON.parse(JSON.stringify(undressed(conf), full));
  found.trackSourceServers = (found.trackSourceServers ?? []).map((server) => new URL(server, document.baseURI).href);
  return found;
}

function saveViewconf() {
  save("orca.viewconf.json", new Blob([JSON.stringify(forOthers(current()), null, 1)], { type: "application/json" }));
  tell("Saved: orca.viewconf.json");
}

function drawFormats() {
  const { kind, view, seen } = chosen();
  const { region, rows, size, more } = mostOf(seen);
  const place = [region, rows].filter(Boolean).join(" × ").replace(/\d{4,}/g, (digits) => Number(digits).toLocaleString("en-GB"));
  const only = more ? " (of one chromosome at a time, that of which most is seen)" : "";
  element("download-where").textContent = `${place}, bins of ${seen.resolution.toLocaleString("en-GB")} bp${only}`;
  element("download-formats").replaceChildren(
    ...FORMATS[kind].map((format) => {
      const made = button(`.${format}`, TITLES[format], saveNumbers(format));
      made.dataset.format = format;
      return made;
    }),
  );
  const fasta = element("download-fasta");
  fasta.disabled = size > MOST_LETTERS || !predictedIn(view);
  fasta.title = fasta.disabled ? `Of at most ${MOST_LETTERS.toLocaleString("en-GB")} bp: zoom in` : "The letters of what is seen";
}

function close() {
  going?.abort();
  element("download-menu").hidden = true;
  element("download").setAttribute("aria-expanded", "false");
}

function open() {
  const all = things(current());
  tell("");
  element("download-of").replaceChildren(...all.map(({ name }) => made("option", { value: name, textContent: name })));
  const none = !all.length;
  element("download-of").hidden = none;
  element("download-formats").replaceChildren();
  element("download-where").textContent = none ? "Nothing is shown yet whose numbers are known." : "";
  element("download-fasta").hidden = none;
  if (!none) drawFormats();
  element("download-menu").hidden = false;
  element("download").setAttribute("aria-expanded", "true");
}

export function listenToDownloads() {
  element("download").addEventListener("click", attempt(() => (element("download-menu").hidden ? open() : close())));
  element("download-of").addEventListener("change", attempt(drawFormats));
  element("download-conf").addEventListener("click", attempt(saveViewconf));
  element("download-fasta").addEventListener("click", attempt(saveSequence));
  element("download-close").addEventListener("click", close);
  element("download-menu").addEventListener("keydown", ({ key }) => key === "Escape" && close());
}
