// What the server says of tiles that are not final, in words.

/** A size in bp as people say it. */
export function bpLabel(bp) {
  if (bp >= 1e6) return `${Number((bp / 1e6).toPrecision(4))} Mb`;
  return bp >= 1000 ? `${Number((bp / 1000).toPrecision(4))} kb` : `${bp} bp`;
}

/** What a tile shows before it is final, from the server's words (`shows`); "computing" where that is nothing. */
export function inWords(shows) {
  if (!shows || shows === "computing") return "computing";
  if (shows.startsWith("reference,")) return "the reference's, until the edit is computed";
  const level = /coarser level \(([\d,]+) bp bins\)/.exec(shows);
  const said = [];
  if (level) said.push(`preliminary, ${bpLabel(Number(level[1].replaceAll(",", "")))}`);
  if (shows.includes("forward strand only")) said.push("forward strand alone");
  if (!said.length) said.push(shows.startsWith("both strands") ? "preliminary" : shows);
  if (shows.endsWith(", in part") && said[0] !== shows) said.push("in part");
  return said.join(", ");
}

/** A number of seconds as people say it: an estimate, so that it has no more digits than it is worth. */
export function spanInWords(seconds) {
  if (seconds < 5) return "a few seconds";
  if (seconds < 60) return `about ${5 * Math.ceil(seconds / 5)} s`;
  if (seconds < 3600) return `about ${Math.ceil(seconds / 60)} min`;
  return `about ${Math.ceil(seconds / 3600)} h`;
}

/** The place in the queue and the time left, as the server estimates them; [] where it does not. */
export function queueInWords(queue) {
  if (!queue) return [];
  const before = queue.before ? [`${queue.before.toLocaleString("en-GB")} ${queue.before === 1 ? "window" : "windows"} of others first`] : [];
  return queue.seconds === null || queue.seconds === undefined ? before : [...before, `${spanInWords(queue.seconds)} left`];
}
