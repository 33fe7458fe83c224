// HiGlass, and what of Pixi the page needs: a file of its own (3 MB) that the page and notebooks share. Where their sources import "higlass" or
// "pixi.js", they load this file (scripts/build_page.sh).

export { CSS, tracks, viewer } from "higlass";
export { SHAPES, TextMetrics } from "pixi.js";
