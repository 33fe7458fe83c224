// Why a map has no value at a place, in words.

import { placeOf } from "./region.js";
import { bpLabel } from "./words.js";

/** Why there is nothing at a pair of places (HiGlass's coordinates) of a map.
 *
 *  role, half: of the view, and of the map in it ("predicted", "measured");  resolution: bp per bin;  shows: of an unfinished tile, else "". */
export function whyEmpty({ info, role, half, place, resolution, shows }) {
  if (shows) return "not computed yet";
  if (half === "measured") return "no data: the measured map has none of these bins";
  const { chromsizes, reach, between } = info;
  if (!reach) return "no data";
  const [[one, a], [other, b]] = place.map((position) => placeOf(Math.floor(position), chromsizes));
  if (one !== other) {
    if (!between) return role === "difference" ? "no data: contacts between chromosomes are not compared" : "no data: this model predicts none between chromosomes";
    if (between !== resolution) return `no data: contacts between chromosomes are predicted in bins of ${bpLabel(between)}; zoom out`;
  } else if (Math.abs(a - b) + resolution > reach[one]) return `no data: farther apart than this model predicts (${bpLabel(reach[one])})`;
  return role === "difference" ? "no data: deleted by the edit, or a gap in the sequence" : "no data: a gap in the sequence";
}
