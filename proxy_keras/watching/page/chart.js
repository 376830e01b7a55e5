/* A line chart over the epochs, drawn as SVG. */

import { draw } from "./format.js";

const LEFT = 46;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 26;
const LINES_APART = 44;

/*
 * Draws a chart into `place`.
 *   epochs    epochs of the values, ascending
 *   last      epoch at the right end; may be in the future
 *   lines     { name: values }, null if missing; the name is the CSS class
 *   marks     epochs with a mark
 *   shown     epoch of the cursor
 *   from0to1  whether the scale is fixed to [0, 1]
 *   words     formats a value for the scale
 *   label     accessible description
 */
export function drawChart(place, { epochs, last, lines, marks, shown, from0to1, words, label }) {
  const width = Math.max(place.clientWidth, 200);
  const height = Math.max(place.clientHeight, 100);
  const values = Object.values(lines).flat().filter((value) => value !== null);
  const [low, high] = from0to1 ? [0, 1] : range(values);
  const x = (epoch) => LEFT + ((epoch - 1) / Math.max(last - 1, 1)) * (width - LEFT - RIGHT);
  const y = (value) => TOP + ((high - value) / (high - low)) * (height - TOP - BOTTOM);

  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  for (const value of ticks(low, high, Math.floor((height - TOP - BOTTOM) / LINES_APART))) {
    svg.append(
      draw("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
      draw("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, words(value)),
    );
  }
  for (const epoch of wholeTicks(last, Math.floor((width - LEFT - RIGHT) / LINES_APART))) {
    const anchor = epoch === last && last > 1 ? "end" : "middle";
    svg.append(draw("text", { x: x(epoch), y: height - 6, "text-anchor": anchor }, String(epoch)));
  }
  for (const epoch of marks) {
    svg.append(draw("line", { class: "mark", x1: x(epoch), x2: x(epoch), y1: TOP, y2: height - BOTTOM }));
  }
  svg.append(draw("line", { class: "cursor", x1: x(shown), x2: x(shown), y1: TOP, y2: height - BOTTOM }));
  for (const [name, line] of Object.entries(lines)) {
    const points = epochs.map((epoch, i) => (line[i] === null ? null : [x(epoch), y(line[i])]));
    svg.append(draw("path", { class: `line ${name}`, d: pathThrough(points) }));
    const here = points[epochs.indexOf(shown)];
    if (here) svg.append(draw("circle", { class: `dot ${name}`, cx: here[0], cy: here[1], r: 4 }));
  }
  place.replaceChildren(svg);
}

/* The epoch under the pointer in a chart, from 1 to `last`. */
export function epochAt(place, clientX, last) {
  const { left, width } = place.getBoundingClientRect();
  const share = (clientX - left - LEFT) / (width - LEFT - RIGHT);
  return Math.min(Math.max(Math.round(1 + share * (last - 1)), 1), last);
}

/* An SVG path through points [x, y]; null is a gap. */
export function pathThrough(points) {
  let isDown = false;
  const parts = points.map((point) => {
    const part = point && `${isDown ? "L" : "M"}${point[0].toFixed(2)} ${point[1].toFixed(2)}`;
    /* A line of length 0 shows a single point as a dot. */
    const dot = point && !isDown ? `l0 0` : "";
    isDown = point !== null;
    return part ? part + dot : "";
  });
  return parts.join("");
}

function range(values) {
  if (!values.length) return [0, 1];
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = high > low ? 0.05 * (high - low) : Math.max(Math.abs(high), 1) * 0.1;
  return [low >= 0 ? Math.max(low - room, 0) : low - room, high + room];
}

/* Round values between two, at most `count` and at least two. */
function ticks(low, high, count) {
  const rough = (high - low) / Math.max(count, 2);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/* Epochs to be named below the chart: the first, the last, and round ones with room between. */
function wholeTicks(last, count) {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((one) => last / one <= count) ?? last;
  const named = [1];
  for (let epoch = step; epoch < last; epoch += step) {
    if (epoch > 1 && last - epoch >= step / 2) named.push(epoch);
  }
  return last > 1 ? [...named, last] : named;
}
