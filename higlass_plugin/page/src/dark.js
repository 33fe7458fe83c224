// The colours of tracks on a dark ground. Maps keep their colours, so that a value looks the same on a light page and on a dark one; so does the grey of what
// has no value. Pictures that are saved are light.

const GROUND = "#16191f"; // as --page of page.css
const WORDS = "#e4e7ec";

/** Colours that the server gives tracks, and what stands for them on a dark ground. */
const ON_DARK = {
  "#555555": "#a8b1be",
  "#777777": "#98a3b1",
  "#2166ac": "#6db0f1",
  "#b2182b": "#f1867d",
  "#1b7837": "#62bc7c",
};
const BARS = { ...ON_DARK, "#8f8f8f": "#8b95a3" }; // about zero
const COLOURS = ["color", "fillColor", "barFillColor", "plusStrandColor", "minusStrandColor", "lineStrokeColor", "fontColor"];

/** What HiGlass itself has another default for on a dark ground. */
const BESIDE = { labelColor: WORDS, labelBackgroundColor: GROUND, trackBorderColor: WORDS, mousePositionColor: WORDS, stroke: GROUND };
const ON_MAPS = { labelColor: "#000000", labelBackgroundColor: "#ffffff", colorbarBackgroundColor: "#ffffff", trackBorderColor: "#000000", mousePositionColor: "#000000" };

/** Whether the page is dark. */
export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Options that a track has on a dark page. */
export function darkOptions({ type = "", options = {} }) {
  if (type === "combined" || type.endsWith("-rule")) return {};
  if (type === "heatmap") return ON_MAPS;
  const found = { ...BESIDE };
  for (const key of COLOURS) if (ON_DARK[options[key]]) found[key] = ON_DARK[options[key]];
  if (options.colorRange) found.colorRange = options.colorRange.map((colour) => BARS[colour] ?? colour);
  return found;
}
