// A map in a notebook: HiGlass with one view, or with the reference, an edited genome and their difference side by side.
//
// The kernel writes the viewconf (higlass_plugin/notebook/panes.py). Here it is laid out so that every map is a square, and what HiGlass cannot
// draw outside of a map is drawn above it: its name, and its colour bar with numbers and unit.

import { CSS, viewer } from "higlass";

import { formatRegion } from "../src/region.js";
import { computing, patchTracks, refresh, shown, tiledTracks } from "../src/tiles.js";
import { inWords } from "../src/words.js";
import { Channel, registerFetcher } from "./channel.js";
import OURS from "./notebook.css";

const COLUMNS = 12; // of HiGlass's layout
const WIDEST = 620; // px: side of a map at most
const NARROWEST = 250; // px: where three maps would be narrower, they are below each other
const MARGIN = 10; // px: of HiGlass, around every view
const MAP = "map"; // the central track of every view

patchTracks(() => {});
registerFetcher();

const style = (text) => {
  const made = new CSSStyleSheet();
  made.replaceSync(text);
  return made;
};
const styles = [style(CSS), style(OURS)];

function make(tag, className, parent) {
  const made = document.createElement(tag);
  made.className = className;
  parent.append(made);
  return made;
}

const allTracks = (tracks) => tracks.flatMap((track) => [track, ...allTracks(track.contents ?? [])]);

/** The viewconf, with tiles from a channel, and its views in so many columns. */
function laidOut(viewconf, channel, columns) {
  const conf = structuredClone(viewconf);
  conf.views.forEach((view, n) => {
    view.layout = { x: ((n % columns) * COLUMNS) / columns, y: Math.floor(n / columns), w: COLUMNS / columns, h: 1 };
    for (const { data } of allTracks(Object.values(view.tracks).flat())) {
      if (data) data.server = channel;
    }
  });
  return conf;
}

const sum = (tracks, side) => (tracks ?? []).reduce((total, track) => total + track[side], 0);

/** Columns, and width and height of all maps together, so that each is a square. */
function measures(viewconf, width) {
  const { views } = viewconf;
  const columns = Math.max(1, Math.min(views.length, Math.floor(width / NARROWEST)));
  const rows = Math.ceil(views.length / columns);
  const left = Math.max(...views.map(({ tracks }) => sum(tracks.left, "width")));
  const top = Math.max(...views.map(({ tracks }) => sum(tracks.top, "height")));
  const side = Math.min(WIDEST, width / columns - left - MARGIN);
  const height = rows * (side + top + MARGIN) + MARGIN;
  return { columns, width: Math.floor(columns * (side + left + MARGIN)), height: Math.round(height) };
}

const number = (value) => (value !== 0 && (Math.abs(value) < 0.01 || Math.abs(value) >= 1000) ? value.toExponential(0) : String(Number(value.toPrecision(2))));

class Drawing {
  constructor(model, el) {
    this.model = model;
    this.root = el.shadowRoot ?? el.attachShadow({ mode: "open" });
    this.root.adoptedStyleSheets = styles;
    this.root.innerHTML = "";
    this.box = make("div", "orca-cool", this.root);
    this.maps = make("div", "maps", this.box);
    const status = make("div", "status", this.box);
    this.place = make("span", "place", status);
    this.progress = make("span", "state", status);
    this.channel = new Channel(model, { onTiles: (ids) => this.better(ids), onAnswer: () => this.changed() });
    this.told = "{}";
    this.over = [];
  }

  get viewconf() {
    return this.model.get("_viewconf");
  }

  view(uid) {
    return this.api.getTrackObject(uid, MAP);
  }

  async mount(width) {
    // HiGlass does not follow its element's height: in another width all is built anew, at the same place
    this.api?.destroy();
    this.api = null;
    this.maps.replaceChildren();
    this.over = [];
    const { columns, width: across, height } = measures(this.viewconf, width);
    Object.assign(this.maps.style, { width: `${across}px`, height: `${height}px` });
    const conf = laidOut(this.viewconf, this.channel.name, columns);
    const domain = this.model.get("_domain");
    conf.views.forEach((view) => {
      const shift = this.pane(view.uid).shift;
      view.initialXDomain = view.initialYDomain = domain.map((position) => position + shift);
    });
    const made = await viewer(make("div", "higlass", this.maps), { ...conf, valueScaleLocks: {} }, { bounded: true, sizeMode: "bounded" });
    await this.settle(made, conf);
    this.api = made;
    const [{ uid }] = conf.views;
    this.api.on("location", ({ xDomain }) => this.moved(xDomain), uid);
    this.changed();
  }

  /** HiGlass throws if a scale of values is locked to that of a view that is not drawn yet. */
  async settle(api, conf) {
    const component = api.getComponent();
    const drawn = () => conf.views.every(({ uid }) => component.tiledPlots[uid]?.trackRenderer);
    while (!drawn()) await new Promise((done) => setTimeout(done, 20));
    component.deserializeValueScaleLocks(conf);
    for (const uid of Object.keys(component.valueScaleLocks)) component.syncValueScales(...uid.split("."));
  }

  /** What the kernel says of a view beside its viewconf: name, unit, and shift (bp from the reference's coordinates to the view's). */
  pane(uid) {
    return this.model.get("_about").panes[uid];
  }

  // ---- what is drawn around the maps

  /** Names and colour bars above the maps, and a hatching over those that are not final. */
  decorate() {
    for (const element of this.over) element.remove();
    this.over = [];
    const unfinished = computing(this.api);
    for (const { uid } of this.viewconf.views) {
      const track = this.view(uid);
      if (!track?.position) continue;
      const [x, y] = track.position;
      const [width, height] = track.dimensions;
      this.over.push(this.head(uid, track, x, width));
      if (tiledTracks(this.api).some((other) => other === track && [...unfinished.keys()].some((id) => id.startsWith(`${track.tilesetUid}.`)))) {
        const hatching = make("div", "unfinished", this.maps);
        Object.assign(hatching.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
        this.over.push(hatching);
      }
    }
    const count = unfinished.size;
    const words = `computing ${count} ${count === 1 ? "tile" : "tiles"}`;
    this.progress.textContent = count ? [words, ...new Set([...shown(this.api)].map(inWords))].join("; ") : "final";
  }

  head(uid, track, x, width) {
    const { name, unit } = this.pane(uid);
    const top = this.api.getTrackObject(uid, "head").position[1];
    const head = make("div", "head", this.maps);
    Object.assign(head.style, { left: `${x}px`, top: `${top}px`, width: `${width}px` });
    head.title = name;
    make("div", "name", head).textContent = name;
    const scale = make("div", "scale", head);
    const [low, high] = track.limitedValueScale?.domain() ?? [];
    if (low !== undefined) {
      make("span", "low", scale).textContent = number(low);
      make("span", "bar", scale).style.background = `linear-gradient(to right, ${track.options.colorRange.join(", ")})`;
      make("span", "high", scale).textContent = number(high);
    }
    make("span", "unit", scale).textContent = unit;
    return head;
  }

  // ---- tiles that come

  /** What is drawn has changed: it is described anew, and the kernel told what is unfinished. */
  changed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (this.closed || !this.api) return;
      this.decorate();
      const waiting = Object.fromEntries(computing(this.api));
      const text = JSON.stringify(waiting);
      if (text !== this.told) this.channel.tell(waiting);
      this.told = text;
    }, 100);
  }

  async better(ids) {
    if (this.api) await refresh(this.api, new Set(ids));
    for (const id of ids) this.channel.pushed.delete(id);
    this.changed();
  }

  // ---- places

  /** The view was moved: the notebook's `region` follows. */
  moved(domain) {
    this.place.textContent = formatRegion(domain, this.model.get("_about").chromsizes);
    this.changed();
    clearTimeout(this.moving);
    this.moving = setTimeout(() => {
      this.domain = domain.map(Math.round);
      this.model.set("_domain", this.domain);
      this.model.save_changes();
    }, 300);
  }

  /** The notebook has set `region`. */
  go() {
    const domain = this.model.get("_domain");
    if (!this.api || `${domain}` === `${this.domain}`) return;
    this.domain = domain;
    for (const { uid } of this.viewconf.views) {
      const [start, end] = domain.map((position) => position + this.pane(uid).shift);
      this.api.zoomTo(uid, start, end, start, end, 1);
    }
  }

  close() {
    this.closed = true;
    clearTimeout(this.moving);
    this.channel.close();
    this.api?.destroy();
  }
}

/** Draws a map of a notebook's widget; returns what takes it away. */
export async function show({ model, el }) {
  const drawing = new Drawing(model, el);
  el.classList.add("orca-cool-map");
  el.orcaCool = { drawing, computing: () => computing(drawing.api), tracks: () => tiledTracks(drawing.api) }; // for tests and the curious
  // the page around it must not scroll while somebody zooms, nor show its own menu
  const stop = new AbortController();
  const own = (event) => event.stopPropagation();
  el.addEventListener("contextmenu", own, { signal: stop.signal });
  el.addEventListener("wheel", (event) => (event.preventDefault(), own(event)), { signal: stop.signal, passive: false });
  const go = () => drawing.go();
  model.on("change:_domain", go);
  // a cell may be drawn before it is on the screen, without a width
  let work = Promise.resolve();
  let last = 0;
  let soon = null;
  const fit = () => {
    const width = el.clientWidth;
    if (!width || drawing.closed || Math.abs(width - last) < 2) return null;
    last = width;
    return drawing.mount(width);
  };
  const sizes = new ResizeObserver(() => {
    clearTimeout(soon);
    soon = setTimeout(() => {
      work = work.then(fit).catch((error) => {
        drawing.progress.textContent = `The map cannot be drawn: ${error.message}`;
      });
    }, 100);
  });
  sizes.observe(el);
  return () => {
    sizes.disconnect();
    clearTimeout(soon);
    stop.abort();
    model.off("change:_domain", go);
    drawing.close();
  };
}
