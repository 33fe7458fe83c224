// Viewconfs. What the page must know of a view, the server wrote into the options of its centre track, `options.orca`: it survives every
// export and import of HiGlass, and other pages ignore it.
//
//   role: "reference" | "edit" | "difference";  value, values: {name: {label, contents}}, the centre's tracks by kind of value
//   shift (bp from the reference's coordinates to the view's);  reference: model, genome, chromsizes, suggest (uid of a gene annotation, or null)
//   reference of a model of several cell types: cell_type (the one that is shown), cell_types
//   edit and difference: id, name, url, viewconf, domain (of the reference, around the breakpoints)
//   edit: stops ([position in the reference, in the view's coordinates] of each breakpoint)

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

/** Edits that are shown, in order. */
export function edits(conf) {
  return conf.views.map(about).filter((orca) => orca.role === "edit");
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
    if (typeof value !== "string" || !value.startsWith("divided://")) return renamed.get(value) ?? value;
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

/** All views in rows: the reference, then each edit with its difference beside it. */
function arrange(conf) {
  const width = COLUMNS / Math.min(3, conf.views.length);
  const first = reference(conf);
  first.layout = { x: 0, y: 0, w: width, h: COLUMNS };
  let row = -1;
  for (const view of conf.views.filter((v) => v !== first)) {
    const isDifference = about(view).role === "difference";
    if (!isDifference) row += 1;
    view.layout = { x: isDifference ? 2 * width : width, y: COLUMNS * Math.max(row, 0), w: width, h: COLUMNS };
  }
  return conf;
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

/** A viewconf with the views of an edit's own added. */
export function withEdit(conf, edited) {
  const uids = new Set(conf.views.map((view) => view.uid));
  const value = about(reference(conf)).value;
  conf.views.push(...edited.views.filter((view) => !uids.has(view.uid)));
  for (const kind of LOCKS) {
    const locks = (conf[kind] ??= { locksByViewUid: {}, locksDict: {} });
    Object.assign(locks.locksByViewUid, edited[kind]?.locksByViewUid);
    for (const [uid, group] of Object.entries(edited[kind]?.locksDict ?? {})) locks.locksDict[uid] = { ...group, ...locks.locksDict[uid] };
  }
  return arrange(withValue(conf, value));
}

/** A viewconf without the views of an edit. */
export function withoutEdit(conf, id) {
  const gone = new Set(conf.views.filter((view) => about(view).id === id).map((view) => view.uid));
  conf.views = conf.views.filter((view) => !gone.has(view.uid));
  const isGone = (uid) => gone.has(uid.split(".")[0]); // value scales are locked by "view.track"
  for (const kind of LOCKS) {
    const { locksByViewUid = {}, locksDict = {} } = conf[kind] ?? {};
    for (const entries of [locksByViewUid, ...Object.values(locksDict)]) {
      for (const uid of Object.keys(entries)) if (isGone(uid)) delete entries[uid];
    }
  }
  return arrange(conf);
}
