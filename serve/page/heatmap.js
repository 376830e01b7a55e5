/* Heatmap drawing, with the same enlargement and colours as serve/overlay.py. */

/* Every sixteenth colour of "inferno" (S. van der Walt and N. Smith, 2015, CC0). */
const ANCHORS = (
  "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d04545 e35933 f1711f f98c0a " +
  "fcaa0f f9c932 f2e865 fcffa4"
).split(" ").map((text) => [0, 2, 4].map((at) => parseInt(text.slice(at, at + 2), 16)));

/* 256 colours [red, green, blue], from cold to hot. */
export const COLOURS = Array.from({ length: 256 }, (_, step) => {
  const steps = ANCHORS.map((_, index) => Math.round((index * 255) / (ANCHORS.length - 1)));
  const after = Math.max(1, steps.findIndex((anchor) => anchor >= step));
  const [low, high] = [steps[after - 1], steps[after]];
  const share = (step - low) / (high - low);
  return ANCHORS[after].map((value, channel) => {
    const before = ANCHORS[after - 1][channel];
    return Math.round(before + share * (value - before));
  });
});

/* Return the two cells of each pixel and the weight of the second, with half-pixel centres. */
function interpolation(length, cells) {
  return Array.from({ length }, (_, pixel) => {
    const exact = ((pixel + 0.5) * cells) / length - 0.5;
    const at = Math.min(Math.max(exact, 0), cells - 1);
    const first = Math.min(Math.floor(at), Math.max(cells - 2, 0));
    return { first, second: Math.min(first + 1, cells - 1), share: at - first };
  });
}

/* Draw `values`, [h][w] in [0, 1], on a canvas of any size. */
export function drawHeatmap(canvas, values) {
  const { width, height } = canvas;
  const columns = interpolation(width, values[0].length);
  const rows = interpolation(height, values.length);
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  let at = 0;
  for (const row of rows) {
    const [upper, lower] = [values[row.first], values[row.second]];
    const across = upper.map((value, cell) => value + row.share * (lower[cell] - value));
    for (const { first, second, share } of columns) {
      const heat = across[first] + share * (across[second] - across[first]);
      const colour = COLOURS[Math.round(Math.min(Math.max(heat, 0), 1) * 255)];
      picture.data[at] = colour[0];
      picture.data[at + 1] = colour[1];
      picture.data[at + 2] = colour[2];
      picture.data[at + 3] = 255;
      at += 4;
    }
  }
  context.putImageData(picture, 0, 0);
}

/* Draw the legend: all colours, cold on the left. */
export function drawScale(canvas) {
  drawHeatmap(canvas, [Array.from({ length: canvas.width }, (_, x) => x / (canvas.width - 1))]);
}
