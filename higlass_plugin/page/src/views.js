// Viewconfs. What the page must know of a view, the server wrote into the options of its centre track, `options.orca`: it survives every
// export and import of HiGlass, and other pages ignore it.
//
//   role: "reference" | "edit" | "difference";  value, values: {name: {label, contents}}, the centre's tracks by kind of value
//   shift (bp from the reference's coordinates to the view's);  reference: model, genome, chromsizes, suggest (uid of a gene annotation, or null)
//   reference of a model of several cell types: cell_type (the one that is shown), cell_types
//   reference, written by this page: edits (all that are open, as below without values, each with `stop`, the breakpoint that is looked at)
//   edit and difference: id, name, url, viewconf, domain (of the reference, around the breakpoints)
//   edit: stops ([position in the reference, in the view's coordinates] of each breakpoint)

import { darkOptions, isDark } from "./dark.js";

const COLUMNS = 12;
const LOCKS = ["locationLocks", "zoomLocks", "valueScaleLocks"];

/** What the server wrote into a view; of a view from elsewhere, an empty object. */
export function about(view) {
  return view.tracks?.center?.[0]?.options?.orca ?? {};
}

/** The view of the reference, or else the first one. */
export function reference(conf) {
  return conf.views.find((view) => about(view).role === "reference") ?? conf.views[0];
}

/** The edit that is shown beside the reference; undefined if none is. */
export function shownEdit(conf) {
  return conf.views.map(about).find((orca) => orca.role === "edit");
}

/** What the page keeps of an edit whose views are not shown. */
function summary({ id, name, url, viewconf, domain, stops, stop = 0 }) {
  return { id, name, url, viewconf, domain, stops, stop };
}

/** All edits that are open, in order: one of them is shown. */
export function edits(conf) {
  const { edits: kept = [] } = about(reference(conf));
  const shown = conf.views.map(about).filter((orca) => orca.role === "edit" && !kept.some(({ id }) => id === orca.id));
  return [...kept, ...shown.map(summary)];
}

/** HiGlass writes servers with their origin; a link must work under whatever name the server has next time. */
export function portable(conf) {
  return JSON.parse(
    JSON.stringify(conf, (key, value) => {
      if (key !== "server" || typeof value !== "string" || !URL.canParse(value)) return value;
      const url = new URL(value);
      return url.origin === window.location.origin ? url.pathname : value; // HiGlass also copies the page's ?view=
    }),
  );
}

const allTracks = (tracks) => tracks.flatMap((track) => [track, ...allTracks(track.contents ?? [])]);

/** Data that divides one map by another, wherever in a viewconf. */
export function divisions(conf) {
  return conf.views
    .flatMap((view) => allTracks(Object.values(view.tracks ?? {}).flat()))
    .map((track) => track.data)
    .filter((data) => data?.type === "divided" && data.children?.length === 2);
}

/** All tracks of a view, also those of the kinds of value that it does not show. */
function everyTrack(view) {
  const hidden = Object.values(about(view).values ?? {}).flatMap(({ contents }) => contents);
  return allTracks([...Object.values(view.tracks ?? {}).flat(), ...hidden]);
}

/** The reference's view shows the tilesets of another viewconf's, which is of another cell type: wherever it names one of a track that both have. */
export function withCellType(conf, other) {
  const wanted = reference(other);
  const there = new Map(everyTrack(wanted).map((track) => [track.uid, track]));
  const renamed = new Map();
  for (const track of everyTrack(reference(conf))) {
    const fresh = there.get(track.uid);
    if (!fresh || !track.tilesetUid || fresh.tilesetUid === track.tilesetUid) continue;
    renamed.set(track.tilesetUid, fresh.tilesetUid);
    if (track.options?.name) renamed.set(track.options.name, fresh.options.name);
  }
  const follow = (_, value) => {
    if (typeof value !== "string" || !/^(divided|compared):\/\//.test(value)) return renamed.get(value) ?? value;
    return [...renamed].reduce((url, [old, now]) => url.replaceAll(old, () => now), value);
  };
  const changed = JSON.parse(JSON.stringify(reference(conf)), follow);
  Object.assign(about(changed), { cell_type: about(wanted).cell_type });
  conf.views = conf.views.map((view) => (view === reference(conf) ? changed : view));
  return conf;
}

/** Every view shows the same kind of value, if it has it. */
export function withValue(conf, value) {
  for (const view of conf.views) {
    const orca = about(view);
    if (!orca.values?.[value]) continue;
    orca.value = value;
    view.tracks.center[0].contents = structuredClone(orca.values[value].contents);
    // What is made last is drawn on top: marks have new names too, so that they are made after the maps.
    for (const mark of view.tracks.whole ?? []) mark.uid = `${mark.uid.split("@")[0]}@${value}`;
  }
  return conf;
}

/** All views beside each other, or one below the other. */
export function arrange(conf, stacked = isStacked()) {
  const width = stacked ? COLUMNS : COLUMNS / conf.views.length;
  conf.views.forEach((view, n) => {
    view.layout = stacked ? { x: 0, y: COLUMNS * n, w: COLUMNS, h: COLUMNS } : { x: n * width, y: 0, w: width, h: COLUMNS };
  });
  return conf;
}

/** Whether the window is too narrow for views beside each other. */
export function isStacked() {
  return window.matchMedia("(max-width: 700px)").matches;
}

/** All views look at [start, end] of the reference. */
export function lookAt(conf, domain, yDomain = domain) {
  for (const view of conf.views) {
    const { shift = 0 } = about(view);
    view.initialXDomain = domain.map((position) => position + shift);
    view.initialYDomain = yDomain.map((position) => position + shift);
  }
  return conf;
}

/** The view of an edit shows position `at` of its coordinates where the others show position `reference` of theirs. */
export function aligned(conf, id, [reference, at]) {
  const view = conf.views.find((v) => about(v).role === "edit" && about(v).id === id);
  const shift = at - reference;
  about(view).shift = shift;
  for (const group of Object.values(conf.locationLocks?.locksDict ?? {})) if (group[view.uid]) group[view.uid] = [shift, shift, 1];
  return conf;
}

/** Breakpoints of the edit that is shown are marked in the reference's view, too: where they are in the difference's. */
function marked(conf) {
  const first = reference(conf);
  const difference = conf.views.find((view) => about(view).role === "difference");
  const { whole, ...tracks } = first.tracks;
  first.tracks = tracks;
  // marks of different edits have different names: HiGlass does not move those that it has
  const named = (mark) => ({ ...structuredClone(mark), uid: `${mark.uid.split("@")[0]}-${about(difference).id}` });
  if (difference) first.tracks.whole = (difference.tracks.whole ?? []).map(named);
  return conf;
}

/** A viewconf that shows the views of an edit's own in the place of another edit's. */
export function withEdit(conf, edited) {
  const value = about(reference(conf)).value;
  const opened = edits(conf);
  const { id } = shownEdit(edited);
  const kept = opened.some((edit) => edit.id === id) ? opened : [...opened, summary(shownEdit(edited))];
  conf = withoutViews(conf, (orca) => orca.role !== "reference" && orca.id !== undefined);
  conf.views.push(...edited.views.filter((view) => about(view).role !== "reference"));
  for (const kind of LOCKS) {
    const locks = (conf[kind] ??= { locksByViewUid: {}, locksDict: {} });
    Object.assign(locks.locksByViewUid, edited[kind]?.locksByViewUid);
    for (const [uid, group] of Object.entries(edited[kind]?.locksDict ?? {})) locks.locksDict[uid] = { ...group, ...locks.locksDict[uid] };
  }
  about(reference(conf)).edits = kept;
  const { stop = 0, stops = [] } = kept.find((edit) => edit.id === id);
  conf = arrange(withValue(marked(conf), value));
  return stops[stop] ? aligned(conf, id, stops[stop]) : conf;
}

/** A viewconf in which an edit is open no more; of the others none is shown if it was the one. */
export function withoutEdit(conf, id) {
  const kept = edits(conf).filter((edit) => edit.id !== id);
  conf = withoutViews(conf, (orca) => orca.id === id);
  about(reference(conf)).edits = kept;
  return arrange(marked(conf));
}

/** A viewconf in which these edits are open; the one that is shown stays if it is the one of that id. */
export function withEdits(conf, opened, id) {
  conf = withoutViews(conf, (orca) => orca.id !== undefined && orca.id !== id);
  about(reference(conf)).edits = opened;
  return arrange(marked(conf));
}

function withoutViews(conf, isGone) {
  const gone = new Set(conf.views.filter((view) => isGone(about(view))).map((view) => view.uid));
  conf.views = conf.views.filter((view) => !gone.has(view.uid));
  const isOf = (uid) => gone.has(uid.split(".")[0]); // value scales are locked by "view.track"
  for (const kind of LOCKS) {
    const { locksByViewUid = {}, locksDict = {} } = conf[kind] ?? {};
    for (const entries of [locksByViewUid, ...Object.values(locksDict)]) {
      for (const uid of Object.keys(entries)) if (isOf(uid)) delete entries[uid];
    }
  }
  return conf;
}

/** Notes the breakpoint of an edit that is looked at. */
export function atStop(conf, id, stop) {
  about(reference(conf)).edits = edits(conf).map((edit) => (edit.id === id ? { ...edit, stop } : edit));
  return conf;
}

const OUTSIDE = ["labelPosition", "colorbarPosition"];

/** A viewconf of ours as this page shows it: names and colour bars stand outside the maps, and on a dark page tracks have other colours. Elsewhere all is as the
 *  server put it, which is kept in `elsewhere` (null: it was not said). */
export function dressed(conf) {
  const dark = isDark();
  for (const view of conf.views) {
    if (!about(view).role) continue;
    for (const track of everyTrack(view)) {
      const { options } = track;
      if (!options || options.elsewhere) continue;
      const outside = OUTSIDE.filter((key) => key in options).map((key) => [key, "hidden"]);
      const worn = { ...(dark ? darkOptions(track) : {}), ...Object.fromEntries(outside) };
      if (!Object.keys(worn).length) continue;
      options.elsewhere = Object.fromEntries(Object.keys(worn).map((key) => [key, options[key] ?? null]));
      Object.assign(options, worn);
    }
  }
  return conf;
}

/** The opposite of `dressed`, for viewconfs that others may show. */
export function undressed(conf) {
  for (const view of conf.views) {
    for (const { options } of everyTrack(view)) {
      for (const [key, value] of Object.entries(options?.elsewhere ?? {})) {
        if (value === null) delete options[key];
        else options[key] = value;
      }
      delete options?.elsewhere;
    }
  }
  return conf;
}

/** A viewconf of an earlier version of the page, in which several edits are shown at once, with the first of them. */
export function withOneEdit(conf) {
  const several = edits(conf);
  if (!several.length) return conf;
  const [first] = several;
  const shown = shownEdit(conf)?.id ?? first.id;
  conf = withoutViews(conf, (orca) => orca.id !== undefined && orca.id !== shown);
  about(reference(conf)).edits = several;
  return arrange(marked(conf));
}
