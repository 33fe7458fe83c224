// Pictures wait until what they show is final, unless somebody wants them as they are.

import { button, element } from "./dom.js";
import { computed } from "./mutagenesis.js";
import { page, state } from "./page.js";
import { computing, shown, tiledTracks } from "./tiles.js";
import { inWords, queueInWords } from "./words.js";

const AGAIN = 200; // ms between two looks
const CALM = 300; // ms for which all must be final: what stands around the maps is drawn a little later than they are

let stop = null; // ends the waiting that goes on

/** Whether a track has all that it shows, final or not; one whose info cannot be had never gets more. */
function isFetched(track) {
  if (!track.dataFetcher.dataConfig.server || track.tilesetInfoError) return true;
  return Boolean(track.tilesetInfo) && !track.fetching.size && track.areAllVisibleTilesLoaded();
}

/** What of the view is not final, in words; "" if all is. */
function missing() {
  const count = computing(page.api).size;
  const { known, total } = computed();
  const said = [];
  if (count) said.push(`${count} ${count === 1 ? "tile" : "tiles"} (${[...new Set(shown(page.api).map(inWords)), ...queueInWords(state.queue)].join("; ") || "computing"})`);
  if (known < total) said.push(`mutagenesis (${known} of ${total} bases)`);
  const tracks = tiledTracks(page.api).filter((track) => !isFetched(track)).length;
  if (!said.length && tracks) said.push(`${tracks} ${tracks === 1 ? "track" : "tracks"} to be fetched`);
  return said.join(", ");
}

/** Waits until what is seen is final, and tells for what. Returns {preliminary}: whether it is taken as it is; null if nobody wants the picture any more. */
export function whenFinal() {
  stop?.(null);
  return new Promise((done) => {
    const panel = element("waiting");
    let timer = null;
    let since = null;
    const end = (answer) => {
      clearTimeout(timer);
      panel.hidden = true;
      stop = null;
      done(answer);
    };
    stop = end;
    const told = document.createElement("span");
    panel.replaceChildren(
      told,
      button("Take it as it is", "Save the picture now; what is not final is hatched in it, and called preliminary", () => end({ preliminary: true })),
      button("Cancel", "Save no picture", () => end(null)),
    );
    const look = () => {
      const words = missing();
      if (words) {
        since = null;
        const text = state.connected ? `The picture waits for ${words}.` : `The picture waits: the server does not answer.`;
        if (told.textContent !== text) told.textContent = text;
        panel.hidden = false;
      } else since ??= performance.now();
      if (since !== null && performance.now() - since >= CALM) end({ preliminary: false });
      else timer = setTimeout(look, AGAIN);
    };
    look();
  });
}
