// What is asked for again and again, but changes seldom or never: the info of tilesets, and the viewconf while one moves.

import { request } from "./api.js";

const FRESH = 2000; // ms after which a viewconf is read again: HiGlass's own menus may have changed it, too

const infos = new Map(); // uid -> promise of its tileset_info

/** The tileset_info of a uid, which never changes. */
export function infoOf(uid) {
  if (!infos.has(uid)) {
    const found = request(`tileset_info/?${new URLSearchParams({ d: uid })}`).then((answer) => {
      if (answer[uid].error) throw new Error(answer[uid].error);
      return answer[uid];
    });
    found.catch(() => infos.delete(uid)); // it may be there the next time
    infos.set(uid, found);
  }
  return infos.get(uid);
}

let kept = null;
let at = 0;

/** What `read()` gives, read once in a while. It is to be looked at, not to be changed, and the places in it are old. */
export function lately(read) {
  if (!kept || performance.now() - at > FRESH) {
    kept = read();
    at = performance.now();
  }
  return kept;
}

/** What was read is no longer so. */
export function forget() {
  kept = null;
}
