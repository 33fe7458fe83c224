// Pictures of what is shown: HiGlass's own, with what stands around its maps on the page.

import { element } from "./dom.js";

const LINE = 1.2; // of the size of letters
const SVG = "http://www.w3.org/2000/svg";

/** What stands around the maps, in pixels from the corner of the grid: texts, line by line, bars of colours, and letters over tracks. */
function surroundings() {
  const corner = element("grid").getBoundingClientRect();
  const placed = (node) => {
    const { left, top, width, height } = node.getBoundingClientRect();
    return { x: left - corner.left, y: top - corner.top, width, height };
  };
  const pencil = document.createElement("canvas").getContext("2d");
  const texts = [...document.querySelectorAll(".pane b, .pane .note, #rows span, .scale figcaption, .bar span, .missing")].flatMap((node) => {
    const { fontSize, fontWeight, color } = window.getComputedStyle(node);
    const size = Number.parseFloat(fontSize);
    const { x, y, width, height } = placed(node);
    pencil.font = `${fontWeight} ${size}px sans-serif`;
    const inset = node.className === "missing" ? 20 : 0; // behind its square
    const lines = [];
    if (node.matches(".pane *")) {
      // one line, as much of it as there is room for
      let text = node.textContent;
      while (text && pencil.measureText(text).width > width + 1) text = `${text.slice(0, -2)}…`;
      lines.push(text === "…" ? "" : text);
    } else for (const word of width > 0 ? node.textContent.split(" ") : []) {
      const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
      if (lines.length && pencil.measureText(longer).width <= width - inset + 1) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    const first = y + (height - lines.length * size * LINE) / 2;
    return lines
      .map((text, n) => ({ text, x: x + inset, y: first + (n + 0.85) * size * LINE, size, weight: fontWeight, color, room: width }))
      .filter((line, n) => height >= (n + 1) * size);
  });
  const bars = [...document.querySelectorAll(".scale .bar")].map((node) => {
    const colours = node.style.getPropertyValue("--colours").split(/,\s*(?![^(]*\))/);
    const place = placed(node);
    return { ...place, colours, isUpright: place.height > place.width };
  });
  const none = document.querySelector(".missing");
  if (none) {
    const { x, y, height } = placed(none);
    bars.push({ x, y: y + (height - 14) / 2, width: 14, height: 14, colours: [none.style.getPropertyValue("--ground")], isUpright: true });
  }
  const letters = document.getElementById("letters");
  const over = letters?.childElementCount ? { ...placed(letters), node: letters } : null;
  return { texts, bars, over, width: corner.width, height: corner.height, maps: placed(element("higlass")) };
}

/** A PNG: the picture of HiGlass, and around it what stands there on the page. */
export async function withSurroundings(png) {
  const maps = await createImageBitmap(png);
  const around = surroundings();
  const scale = maps.width / around.maps.width;
  const canvas = Object.assign(document.createElement("canvas"), { width: Math.ceil(around.width * scale), height: Math.ceil(around.height * scale) });
  const pencil = canvas.getContext("2d");
  pencil.fillStyle = "#fff";
  pencil.fillRect(0, 0, canvas.width, canvas.height);
  pencil.drawImage(maps, around.maps.x * scale, around.maps.y * scale);
  pencil.scale(scale, scale);
  if (around.over) {
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(around.over.node))}`;
    await image.decode();
    pencil.drawImage(image, around.over.x, around.over.y);
  }
  for (const { x, y, width, height, colours, isUpright } of around.bars) {
    const fill = pencil.createLinearGradient(x, isUpright ? y + height : y, isUpright ? x : x + width, y);
    colours.forEach((colour, n) => fill.addColorStop(colours.length > 1 ? n / (colours.length - 1) : 0, colour));
    pencil.fillStyle = fill;
    pencil.fillRect(x, y, width, height);
    pencil.strokeStyle = "#999";
    pencil.strokeRect(x, y, width, height);
  }
  for (const { text, x, y, size, weight, color } of around.texts) {
    pencil.font = `${weight} ${size}px sans-serif`;
    pencil.fillStyle = color;
    pencil.fillText(text, x, y);
  }
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

/** An SVG: that of HiGlass, and around it what stands there on the page. */
export function svgWithSurroundings(text) {
  const maps = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  const around = surroundings();
  const made = (tag, attributes, words = "") => {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.textContent = words;
    return node;
  };
  const picture = made("svg", { width: around.width, height: around.height, viewBox: `0 0 ${around.width} ${around.height}` });
  picture.append(made("rect", { width: "100%", height: "100%", fill: "#fff" }));
  const frame = made("g", { transform: `translate(${around.maps.x} ${around.maps.y})` });
  frame.append(maps);
  picture.append(frame);
  if (around.over) {
    const over = around.over.node.cloneNode(true);
    over.setAttribute("x", around.over.x);
    over.setAttribute("y", around.over.y);
    picture.append(over);
  }
  around.bars.forEach(({ x, y, width, height, colours, isUpright }, k) => {
    const fill = made("linearGradient", { id: `scale-${k}`, x1: 0, y1: isUpright ? 1 : 0, x2: isUpright ? 0 : 1, y2: 0 });
    colours.forEach((colour, n) => fill.append(made("stop", { offset: colours.length > 1 ? n / (colours.length - 1) : 0, "stop-color": colour })));
    picture.append(fill, made("rect", { x, y, width, height, fill: `url(#scale-${k})`, stroke: "#999" }));
  });
  for (const { text: words, x, y, size, weight, color } of around.texts) {
    picture.append(made("text", { x, y, "font-size": size, "font-weight": weight, "font-family": "sans-serif", fill: color }, words));
  }
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(picture)}`;
}
