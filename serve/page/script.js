/* The page: takes a picture, shows it, and shows what the server says of it. */

import { ServerError, models, predict, useKey } from "./api.js";
import { drawHeatmap, drawScale } from "./heatmap.js";

const CLASSES_SHOWN = 5;

/* Longest side of the canvas in pixels; the server gets the file as it is. */
const SMALLEST = 768;
const LARGEST = 1024;

/* Enlarged this much, a picture shows its pixels: interpolated ones would be a blur. */
const SHARP_FROM = 4;

const METHODS = {
  none: "none in this file",
  grad_cam: "Grad-CAM",
  grad_cam_plus_plus: "Grad-CAM++",
  layer_cam: "LayerCAM",
  hires_cam: "HiResCAM",
  layer_score_cam: "Score-CAM at the layer",
};

const element = (id) => document.getElementById(id);
const state = { models: [], picture: null, waiting: null };

/* ---- what is known of the models ---- */

async function begin() {
  drawScale(element("scale"));
  say("Asking the server for its models …", "busy");
  try {
    state.models = await models();
  } catch (error) {
    fail(error);
    return;
  }
  element("key-form").hidden = true;
  element("model").replaceChildren(...state.models.map(({ name }) => new Option(name, name)));
  element("chooser").hidden = state.models.length < 2;
  showFacts();
  if (state.picture) await answer();
  else say("The answer will be here.");
}

function chosen() {
  return state.models[element("model").selectedIndex];
}

function showFacts() {
  const { network, labels, image_size, explain, target_layer, precision, device, test_accuracy } = chosen();
  const facts = {
    Network: network,
    Classes: labels.length.toLocaleString("en"),
    Input: `${image_size[1]} × ${image_size[0]} px`,
    Heatmap: [METHODS[explain] ?? explain, target_layer].filter(Boolean).join(", "),
    Precision: precision,
    Device: device === "cuda" ? "GPU" : "CPU",
    "Test accuracy": test_accuracy === null ? "not known" : percent(test_accuracy),
  };
  element("facts").replaceChildren(
    ...Object.entries(facts).flatMap(([term, text]) => [withText("dt", term), withText("dd", text)]),
  );
}

/* ---- a picture comes in ---- */

async function take(file) {
  state.picture = file;
  element("name").textContent = file.name;
  element("below").hidden = false;
  element("invitation").hidden = true;
  forgetAnswer();
  await showPicture(file);
  if (state.picture === file && state.models.length) await answer();
}

async function showPicture(file) {
  const canvas = element("image");
  let bitmap = null;
  try {
    bitmap = await createImageBitmap(file);
  } catch (error) {
    /* The browser reads fewer formats than the server (TIFF, say), which decides what is a picture. */
    if (!(error instanceof DOMException)) throw error;
  }
  if (state.picture !== file) return;
  const [width, height] = bitmap ? [bitmap.width, bitmap.height] : [4, 3];
  const longest = Math.max(width, height);
  const scale = Math.min(Math.max(longest, SMALLEST), LARGEST) / longest;
  for (const layer of [canvas, element("heat")]) {
    layer.width = Math.max(1, Math.round(width * scale));
    layer.height = Math.max(1, Math.round(height * scale));
  }
  if (bitmap) {
    const context = canvas.getContext("2d");
    context.fillStyle = "white"; /* Behind what is transparent, as the server has it. */
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = scale < SHARP_FROM;
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
  }
  element("unshown").hidden = bitmap !== null;
  element("frame").hidden = false;
}

/* ---- the answer ---- */

async function answer() {
  forgetAnswer();
  const waiting = new AbortController();
  state.waiting = waiting;
  say("Looking …", "busy");
  const { name, explain } = chosen();
  try {
    const result = await predict(state.picture, {
      model: name,
      withHeatmap: explain !== "none",
      count: CLASSES_SHOWN,
      signal: waiting.signal,
    });
    if (waiting.signal.aborted) return;
    say("");
    showClasses(result.predictions);
    if (result.heatmap) showHeat(result.heatmap.values);
  } catch (error) {
    if (error.name !== "AbortError") fail(error);
  }
}

function forgetAnswer() {
  state.waiting?.abort();
  const heat = element("heat");
  heat.getContext("2d").clearRect(0, 0, heat.width, heat.height);
  element("controls").hidden = true;
  element("classes").hidden = true;
}

function showClasses(predictions) {
  const rows = predictions.map((prediction) => {
    const share = percent(prediction.probability);
    const bar = withText("div", "", "bar");
    bar.style.width = `${100 * prediction.probability}%`;
    const track = withText("div", "", "track");
    track.append(bar);
    const row = document.createElement("li");
    row.append(withText("span", prediction.class, "label"), withText("span", share, "share"), track);
    return row;
  });
  element("classes").replaceChildren(...rows);
  element("classes").hidden = false;
}

function showHeat(values) {
  drawHeatmap(element("heat"), values);
  element("controls").hidden = false;
  setOpacity();
}

function setOpacity() {
  const share = element("opacity").value;
  element("opacity-value").textContent = `${share} %`;
  element("heat").style.opacity = element("show-heat").checked ? share / 100 : 0;
}

/* ---- words ---- */

function say(text, kind = "") {
  element("status").textContent = text;
  element("status").className = `notice ${kind}`;
}

function fail(error) {
  if (!(error instanceof ServerError)) {
    say("This page made a mistake; the browser's console has more.", "error");
    throw error;
  }
  const isFirstQuestion = error.status === 401 && element("key-form").hidden;
  say(error.message, isFirstQuestion ? "" : "error");
  if (error.status === 401) {
    element("key-form").hidden = false;
    element("key").focus();
  }
}

function withText(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

/* ---- hands ---- */

function takeFirst(files) {
  if (files.length) take(files[0]);
}

element("file").addEventListener("change", (event) => {
  takeFirst(event.target.files);
  event.target.value = ""; /* So that the same file can be chosen again. */
});
element("model").addEventListener("change", () => {
  showFacts();
  if (state.picture) answer();
});
element("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(element("key").value);
  begin();
});
element("opacity").addEventListener("input", setOpacity);
element("show-heat").addEventListener("change", setOpacity);
document.addEventListener("paste", (event) => takeFirst(event.clipboardData.files));

const hasFiles = (event) => event.dataTransfer.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  element("drop-hint").hidden = false;
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) element("drop-hint").hidden = true;
});
document.addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  element("drop-hint").hidden = true;
  takeFirst(event.dataTransfer.files);
});

begin();
