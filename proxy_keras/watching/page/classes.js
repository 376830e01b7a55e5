/* The table of errors per class, with a sparkline per row. */

import { pathThrough } from "./chart.js";
import { draw, make } from "./format.js";

const SHOWN = 20;
const WIDTH = 100;
const HEIGHT = 28;

let showsAll = false;

/*
 * Fills the table.
 *   counts  { classes, images, epochs, right } from the server
 *   shown   the epoch shown
 *   last    the epoch at the right end of the sparklines
 */
export function showClasses({ counts, shown, last }) {
  const at = counts.epochs.indexOf(shown);
  const rows = counts.classes.map((name, place) => ({
    name,
    images: counts.images[place],
    shares: counts.right.map((right) => share(counts.images[place], right[place])),
    wrong: at < 0 ? null : counts.images[place] - counts.right[at][place],
  }));
  const note = document.getElementById("errors-note");
  note.textContent =
    at < 0
      ? `There are no counts for epoch ${shown}.`
      : `Misclassified validation images after epoch ${shown}. The lines range from 0% to 100%.`;
  if (document.getElementById("order").value === "errors" && at >= 0) {
    rows.sort((one, other) => (other.shares[at] ?? -1) - (one.shares[at] ?? -1));
  }
  const wanted = showsAll ? rows : rows.slice(0, SHOWN);
  const body = document.getElementById("classes");
  body.replaceChildren(...wanted.map((row) => tableRow(row, { epochs: counts.epochs, at, shown, last })));
  const button = document.getElementById("all-classes");
  button.hidden = rows.length <= SHOWN;
  button.textContent = showsAll ? `Show ${SHOWN} classes` : `Show all ${rows.length} classes`;
}

export function toggleAll() {
  showsAll = !showsAll;
}

function share(images, right) {
  return images ? (images - right) / images : null;
}

function tableRow(row, { epochs, at, shown, last }) {
  const made = document.createElement("tr");
  const line = document.createElement("td");
  line.append(sparkline(row, { epochs, shown, last }));
  made.append(make("th", row.name, { scope: "row" }), line, make("td", inWords(row, at), { class: "number" }));
  return made;
}

function inWords({ images, wrong, shares }, at) {
  if (!images) return "no images";
  if (wrong === null) return "–";
  return `${wrong} of ${images} (${Math.round(100 * shares[at])}%)`;
}

function sparkline({ name, shares }, { epochs, shown, last }) {
  const x = (epoch) => 1.5 + ((epoch - 1) / Math.max(last - 1, 1)) * (WIDTH - 3);
  const y = (value) => 2.5 + (1 - value) * (HEIGHT - 5);
  const known = shares.filter((one) => one !== null).map((one) => `${Math.round(100 * one)}`);
  const label = `${name}: errors by epoch in percent: ${known.join(", ")}`;
  const svg = draw("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": label,
  });
  const points = shares.map((value, i) => (value === null ? null : [x(epochs[i]), y(value)]));
  svg.append(
    draw("line", { class: "cursor", x1: x(shown), x2: x(shown), y1: 0, y2: HEIGHT }),
    draw("path", { class: "line validation", d: pathThrough(points) }),
  );
  return svg;
}
