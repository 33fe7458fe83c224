// All levels of the model side by side, as Orca's own page shows them: each level's window around one position, in that level's own bins. A viewconf is shown so
// if its reference has `series: {at: {bins of a level: position of the reference}}`; it stays what it is underneath, and what is drawn is made from it here.
//
//   of a view that is drawn so: role "level", of (the role of the view that it is made from), level: {resolution, window}

import { about, reference } from "./views.js";

const ROOM = 22; // px above each map, for its name
const NAMES = 24; // px beside the rows, for what they are of
const COLUMNS = [1, 2, 3, 4, 6, 12]; // parts of HiGlass's twelve
const NONE = { locksByViewUid: {}, locksDict: {} };

/** The levels of the model that is shown: [[bp of a bin, bp of a window], ...], the coarsest first. */
export const levelsOf = (conf) => about(reference(conf)).levels ?? [];

export const isSeries = (conf) => Boolean(about(reference(conf)).series);

/** The role of a view, whether it is drawn at one level or not. */
export const roleOf = (view) => about(view).of ?? about(view).role;

/** bp as text: "1 Mb", "4 kb". */
export function length(bp) {
  if (bp >= 1e6) return `${Number((bp / 1e6).toPrecision(4))} Mb`;
  return bp >= 1000 ? `${Number((bp / 1000).toPrecision(4))} kb` : `${bp} bp`;
}

/** What a level is called. */
export const levelName = ({ resolution, window }) => `${length(window)}, ${length(resolution)} bins`;

/** A viewconf whose levels all look at one position, or that is shown as usual again. */
export function withSeries(conf, at) {
  about(reference(conf)).series = at === undefined ? undefined : { at: Object.fromEntries(levelsOf(conf).map(([resolution]) => [resolution, at])) };
  return conf;
}

/** The levels that are finer than one look at another position. */
export function withFiner(conf, resolution, position) {
  const { at } = about(reference(conf)).series;
  for (const [finer] of levelsOf(conf)) if (finer < resolution) at[finer] = position;
  return conf;
}

const middle = ([start, end]) => (start + end) / 2;

/** Where all levels look that have not been sent elsewhere: the finest one's position. */
export function positionOf(conf) {
  const { at } = about(reference(conf)).series ?? {};
  const [finest] = levelsOf(conf).at(-1) ?? [];
  return at?.[finest] ?? middle(reference(conf).initialXDomain);
}

/** A level's window around a position: inside its chromosome, or around all of one that is shorter. */
export function windowAround(position, width, chromsizes) {
  let begin = 0;
  for (const [, size] of chromsizes) {
    if (position < begin + size || begin + size >= chromsizes.reduce((sum, [, n]) => sum + n, 0)) {
      const start = size <= width ? begin + (size - width) / 2 : Math.min(Math.max(position - width / 2, begin), begin + size - width);
      return [start, start + width];
    }
    begin += size;
  }
  return [position - width / 2, position + width / 2];
}

/** The predicted maps among those of a view, each whole and in the bins of a level. */
const atLevel = (contents, level) =>
  structuredClone(contents)
    .filter(({ uid }) => !uid.startsWith("measured"))
    .map((map) => ({ ...map, options: { ...map.options, extent: "full", level } }));

function pane(view, [resolution, window], { chromsizes = [], series }) {
  const orca = structuredClone(about(view));
  const { shift = 0 } = orca;
  const place = windowAround(series.at[resolution], window, chromsizes).map((position) => position + shift);
  for (const kind of Object.values(orca.values ?? {})) kind.contents = atLevel(kind.contents, resolution);
  const [centre] = view.tracks.center;
  const axis = ({ type }) => type.endsWith("chromosome-labels");
  const tracks = {
    top: [{ type: "empty", uid: "room", height: ROOM }, ...(view.tracks.top ?? []).filter(axis)],
    left: (view.tracks.left ?? []).filter(axis),
    center: [{ ...centre, contents: atLevel(centre.contents, resolution), options: { ...centre.options, orca: { ...orca, role: "level", of: orca.role, level: { resolution, window } } } }],
    whole: view.tracks.whole ?? [],
  };
  return structuredClone({ uid: `${view.uid}-${resolution}`, initialXDomain: place, initialYDomain: place, tracks, layout: {} });
}

/** Frequencies are on one scale in the maps of one level, as they are on one in the maps of the usual view. */
function lockedValues(views) {
  const locks = structuredClone(NONE);
  for (const view of views) {
    const { of, level } = about(view);
    if (of === "difference") continue;
    for (const { uid: track, options } of view.tracks.center[0].contents) {
      if (options.valueScaleMin !== undefined) continue;
      const [group, member] = [`orca-level-${level.resolution}`, `${view.uid}.${track}`];
      locks.locksByViewUid[member] = group;
      locks.locksDict[group] = { ...locks.locksDict[group], [member]: { view: view.uid, track }, uid: group };
    }
  }
  for (const [group, members] of Object.entries(locks.locksDict)) {
    if (Object.keys(members).length > 2) continue; // one map, and the name of the group
    delete locks.locksDict[group];
    for (const [member, of] of Object.entries(locks.locksByViewUid)) if (of === group) delete locks.locksByViewUid[member];
  }
  return locks;
}

/** What is drawn of a viewconf that is shown as a series: of the reference, and of an edit and its difference in rows below, the maps of all levels. */
export function seriesOf(conf) {
  const levels = levelsOf(conf);
  const shown = conf.views.filter((view) => ["reference", "edit", "difference"].includes(about(view).role));
  const views = shown.flatMap((view) => levels.map((level) => pane(view, level, about(reference(conf)))));
  return { ...conf, editable: false, views, zoomLocks: NONE, locationLocks: NONE, valueScaleLocks: lockedValues(views) };
}

/** How maps of `levels` columns and `rows` rows are laid out in a window: columns, rows, and the side of a map's cell; `narrow`: two beside each other, however high. */
export function layout(levels, rows, { width: all, height }, narrow) {
  const count = levels * rows;
  const names = rows > 1 && !narrow ? NAMES : 0;
  const width = all - names;
  const cells = (columns) => {
    const high = rows > 1 && !narrow ? rows : Math.ceil(count / columns);
    const side = Math.floor(narrow ? width / columns : Math.min(width / columns, (height - 1) / high - ROOM));
    return { columns, rows: high, side, names };
  };
  if (narrow) return cells(Math.min(2, levels));
  if (rows > 1) return cells(COLUMNS.find((n) => n >= levels) ?? 12);
  return COLUMNS.filter((n) => n <= count)
    .map(cells)
    .reduce((best, next) => (next.side > best.side ? next : best));
}

/** Lays out the views of a series; what HiGlass's element must measure, and the room for the names of rows, px. */
export function arrangeSeries(conf, { columns, rows, side, names }) {
  const levels = new Set(conf.views.map((view) => about(view).level.resolution)).size;
  const inRows = conf.views.length > levels && columns >= levels ? levels : columns;
  conf.views.forEach((view, n) => {
    view.layout = { x: (n % inRows) * (12 / columns), y: Math.floor(n / inRows), w: 12 / columns, h: 1 };
  });
  return { width: columns * side, height: rows * (side + ROOM), names };
}
