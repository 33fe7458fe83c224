// Tiles that are still being computed: HiGlass knows tiles that are there and tiles that failed, nothing between.
//
// The server answers at once, with what it knows, what that is in words (`shows`), and the error "computing". Here the error becomes a mark on
// the tile (no red text over the track), the words stand below the track's name, and a better tile takes the place of the one that is drawn in
// the same graphics object, so that nothing else is drawn anew.

import { tracks } from "higlass";

const COMPUTING = "computing";
const base = tracks.TiledPixiTrack.prototype;

function mark(loaded) {
  for (const tile of Object.values(loaded)) {
    if (tile?.error === COMPUTING) {
      delete tile.error;
      tile.computing = true;
    }
  }
}

/** A map that is to be shown at one level (`options.level`, bp of a bin) is, however large it is drawn. */
function pin(track) {
  const free = track.calculateZoomLevel;
  track.calculateZoomLevel = function calculateZoomLevel() {
    const levels = [...(this.tilesetInfo.resolutions ?? [])].sort((a, b) => b - a);
    const level = levels.indexOf(this.options.level);
    return level < 0 ? free.call(this) : level;
  };
}

/** Numbers of a row's axis that would reach beyond the row are moved into it: rows lie close to each other, and they would be drawn over those of the next row. */
function keepInside(track) {
  const { drawAxis } = track;
  track.drawAxis = function drawAxisInside(...given) {
    drawAxis.apply(this, given);
    const height = this.dimensions[1];
    for (const text of this.axis.axisTexts) text.y = Math.min(Math.max(text.y, text.height / 2), height - text.height / 2);
    this.axis.hideOverlappingAxisLabels();
  };
}

/** Teaches HiGlass's tracks to wait, and to ask again after a request was lost; `onLost` is told of lost requests, `onDrawn` of new tiles and scales. */
export function patchTracks(onLost, onDrawn = () => {}) {
  const { refreshTiles } = base;
  base.refreshTiles = function refreshTilesOfLevel() {
    if (this.options?.level && !Object.hasOwn(this, "calculateZoomLevel")) pin(this);
    if (this.drawAxis && this.axis && !Object.hasOwn(this, "drawAxis")) keepInside(this);
    refreshTiles.call(this);
  };
  const received = base.receivedTiles;
  base.receivedTiles = function receivedTiles(loaded) {
    mark(loaded);
    for (const [id, tile] of Object.entries(loaded)) {
      // A heatmap throws on a tile without an array, which is what it makes of an answer that is no tiles (429, say).
      if (this.tileDataToCanvas && !tile.dense) delete loaded[id];
    }
    received.call(this, loaded);
    relabel(this);
    onDrawn();
  };
  // What is drawn before it is final says so on the map itself, in pictures of the screen too.
  const { getName } = base;
  base.getName = function getNameAndState() {
    return [getName.call(this), ...provisional(this).map((words) => `[${words}]`)].join("\n");
  };
  const check = base._checkForErrors;
  base._checkForErrors = function _checkForErrors() {
    const errors = check.call(this);
    // Neighbours fail for one reason, which is told once, not once for each tile.
    const told = new Set(Object.values(this.fetchedTiles).map((tile) => tile.tileData?.error));
    this.errorTexts.TiledPixiTrack = [...told, this.tilesetInfoError].filter((text) => text).join("\n");
    return errors;
  };
  // When its scale of values changes, a track draws its tiles anew, but HiGlass shows that only when something else happens, too.
  const { rerender } = base;
  base.rerender = function rerenderAndShow(...options) {
    rerender.apply(this, options);
    this.animate();
    onDrawn(); // its scale of values may be another one
  };
  // As HiGlass's own, but it forgets a request that failed: HiGlass would wait for it until the page is reloaded.
  base.fetchNewTiles = function fetchNewTiles(toFetch) {
    this._checkForErrors();
    this.draw();
    if (!toFetch.length) return;
    const ids = [...new Set(toFetch.map((tile) => tile.remoteId))];
    const settle = () => {
      const lost = ids.filter((id) => this.fetching.delete(id));
      if (lost.length) onLost();
    };
    this.dataFetcher.fetchTilesDebounced(this.receivedTiles.bind(this), ids)?.then(settle, settle);
  };
}

/** All tracks that are made of tiles, also those inside combined and vertical ones. */
export function tiledTracks(api) {
  return api
    .getComponent()
    .iterateOverTracks()
    .map(({ viewId, trackId }) => api.getTrackObject(viewId, trackId))
    .map((track) => track?.originalTrack ?? track)
    .filter((track) => track?.fetchedTiles);
}

const unfinished = (track) => Object.values(track.fetchedTiles ?? {}).map((tile) => tile.tileData).filter((data) => data?.computing);

/** What a track shows that is not final, in words. */
function provisional(track) {
  return [...new Set(unfinished(track).map((data) => data.shows))].filter((words) => words).sort();
}

/** Draws the label anew where it says something else than before. */
function relabel(track) {
  const words = provisional(track).join();
  if (words !== (track.provisionalWords ?? "")) track.drawLabel?.();
  track.provisionalWords = words;
}

/** The tiles that are drawn unfinished: full id -> what is shown of each, in words. */
export function computing(api) {
  return new Map(tiledTracks(api).flatMap((track) => unfinished(track).map((data) => [data.tileId, data.shows ?? ""])));
}

/** What is shown in a view that is not final, in words. */
export function shownIn(api, view) {
  const tracks = api.getComponent().iterateOverTracks().filter(({ viewId }) => viewId === view);
  const waiting = tracks.map(({ trackId }) => api.getTrackObject(view, trackId)).flatMap((track) => (track?.fetchedTiles ? unfinished(track) : []));
  const words = [...new Set(waiting.map((data) => data.shows || "computing"))];
  return words.length > 1 ? words.filter((text) => text !== "computing").sort() : words;
}

/** What is shown that is not final, in words. */
export function shown(api) {
  return [...new Set(computing(api).values())].filter((words) => words).sort();
}

function swap(track, loaded) {
  mark(loaded);
  for (const tile of Object.values(track.fetchedTiles)) {
    const fresh = loaded[tile.remoteId];
    if (!fresh?.dense) continue;
    const drawn = tile.tileData;
    const better = drawn.computing && fresh.shows && fresh.shows !== drawn.shows;
    if (fresh.computing && !drawn.error && !better) {
      // what is drawn stays until there is something better; what a server that is gone has computed is not called so
      if (!drawn.computing) drawn.shows = "";
      drawn.computing = true;
    } else {
      tile.tileData = { ...fresh };
      tile.isMirrored = false; // else a diagonal tile above the diagonal is taken for transposed already
      track.initTile(tile);
    }
  }
  track.receivedTiles({}); // value scale, drawing, events: all that follows new tiles
  relabel(track);
}

/** Fetches these tiles (of full ids) again, or with no ids all that are drawn, and puts them where they were. */
export function refresh(api, ids) {
  const work = [];
  for (const track of tiledTracks(api)) {
    const again = Object.values(track.fetchedTiles).filter(({ tileData }) => tileData?.dense && (!ids || ids.has(tileData.tileId)));
    const remote = [...new Set(again.map((tile) => tile.remoteId))];
    if (remote.length) work.push(track.dataFetcher.fetchTilesDebounced((loaded) => swap(track, loaded), remote));
  }
  return Promise.allSettled(work);
}

/** Asks for the visible tiles that no track has or waits for. */
export function fetchMissing(api) {
  for (const track of tiledTracks(api)) track.refreshTiles();
}

/** Whether a track still lacks its tileset_info, without which it never asks for a tile. */
export function uninformed(api) {
  return tiledTracks(api).some((track) => track.dataFetcher.dataConfig.server && !track.tilesetInfo);
}

/** Whether every track has all tiles that are seen. */
export function isLoaded(api) {
  return tiledTracks(api)
    .filter((track) => track.dataFetcher.dataConfig.server)
    .every((track) => track.tilesetInfo && track.areAllVisibleTilesLoaded() && !track.fetching.size);
}
