/* The page: shows an image and the server's prediction for it. */

import { ServerError, models, predict, useKey } from "./api.js";
import { drawHeatmap, drawScale } from "./heatmap.js";

const CLASSES_SHOWN = 5;
const CUES_NAMED = 3;

/* Cues with less are not named: they round to 0%. */
const SMALLEST_NAMED = 0.005;

/* Longest side of the canvas in pixels; the server receives the original file. */
const SMALLEST = 768;
const LARGEST = 1024;

/* From this enlargement on, pixels are drawn sharp instead of interpolated. */
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
const state = { models: [], picture: null, pending: null };

/* ---- models ---- */

async function start() {
  drawScale(element("scale"));
  showStatus("Loading models …", "busy");
  try {
    state.models = await models();
  } catch (error) {
    showError(error);
    return;
  }
  element("key-form").hidden = true;
  element("model").replaceChildren(...state.models.map(({ name }) => new Option(name, name)));
  element("chooser").hidden = state.models.length < 2;
  showFacts();
  if (state.picture) await showPrediction();
  else showStatus("The prediction will appear here.");
}

function selectedModel() {
  return state.models[element("model").selectedIndex];
}

function showFacts() {
  const { network, labels, image_size, explain, target_layer, precision, device, test_accuracy, cues } = selectedModel();
  const facts = {
    Network: network,
    Classes: labels.length.toLocaleString("en"),
    Input: `${image_size[1]} × ${image_size[0]} px`,
    Heatmap: [METHODS[explain] ?? explain, target_layer].filter(Boolean).join(", "),
    ...(cues && { Cues: `${cues.length}, ${cues.filter((cue) => cue.ticked).length} ticked` }),
    Precision: precision,
    Device: device === "cuda" ? "GPU" : "CPU",
    "Test accuracy": test_accuracy === null ? "unknown" : percent(test_accuracy),
  };
  element("facts").replaceChildren(
    ...Object.entries(facts).flatMap(([term, text]) => [createElement("dt", term), createElement("dd", text)]),
  );
}

/* ---- image ---- */

async function openImage(file) {
  state.picture = file;
  element("name").textContent = file.name;
  element("below").hidden = false;
  element("invitation").hidden = true;
  clearPrediction();
  await showPicture(file);
  if (state.picture === file && state.models.length) await showPrediction();
}

async function showPicture(file) {
  const canvas = element("image");
  let bitmap = null;
  try {
    bitmap = await createImageBitmap(file);
  } catch (error) {
    /* The server supports more formats than the browser, e.g. TIFF. */
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
    context.fillStyle = "white"; /* Behind transparent pixels, as on the server. */
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = scale < SHARP_FROM;
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
  }
  element("unshown").hidden = bitmap !== null;
  element("frame").hidden = false;
}

/* ---- prediction ---- */

async function showPrediction() {
  clearPrediction();
  const pending = new AbortController();
  state.pending = pending;
  showStatus("Predicting …", "busy");
  const { name, explain, cues } = selectedModel();
  try {
    const result = await predict(state.picture, {
      model: name,
      withHeatmap: explain !== "none",
      count: CLASSES_SHOWN,
      signal: pending.signal,
    });
    if (pending.signal.aborted) return;
    showStatus("");
    showClasses(result.predictions);
    if (cues && result.cues) showRestsOn(result, cues);
    if (result.heatmap) showHeat(result.heatmap.values);
  } catch (error) {
    if (error.name !== "AbortError") showError(error);
  }
}

function clearPrediction() {
  state.pending?.abort();
  const heat = element("heat");
  heat.getContext("2d").clearRect(0, 0, heat.width, heat.height);
  element("controls").hidden = true;
  element("classes").hidden = true;
  element("rests-on").hidden = true;
}

function showClasses(predictions) {
  const rows = predictions.map((prediction) => {
    const share = percent(prediction.probability);
    const bar = createElement("div", "", "bar");
    bar.style.width = `${100 * prediction.probability}%`;
    const track = createElement("div", "", "track");
    track.append(bar);
    const row = document.createElement("li");
    row.append(createElement("span", prediction.class, "label"), createElement("span", share, "share"), track);
    return row;
  });
  element("classes").replaceChildren(...rows);
  element("classes").hidden = false;
}

function showRestsOn({ cues, ticked_share, marked }, known) {
  const named = known
    .filter(({ name, ticked }) => ticked && cues[name] >= SMALLEST_NAMED)
    .sort((one, other) => cues[other.name] - cues[one.name])
    .map(({ name }) => name);
  const share = `${Math.round(100 * ticked_share)}%`;
  const sentence = named.length
    ? `${share} of this answer rests on ${listed(named)} (ticked: not the object).`
    : `${share} of this answer rests on cues that are ticked: not the object.`;
  element("rests-on").textContent = marked ? `${sentence} This is above the server's limit.` : sentence;
  element("rests-on").classList.toggle("marked", marked === true);
  element("rests-on").hidden = false;
}

/* Return "cue 3", "cues 3 and 7b", or "cues 3, 7b, 9 and 2 more". */
function listed(names) {
  const items = names.slice(0, CUES_NAMED);
  if (names.length > CUES_NAMED) items.push(`${names.length - CUES_NAMED} more`);
  const last = items.pop();
  return items.length ? `cues ${items.join(", ")} and ${last}` : `cue ${last}`;
}

function showHeat(values) {
  drawHeatmap(element("heat"), values);
  element("controls").hidden = false;
  setOpacity();
}

function setOpacity() {
  const share = element("opacity").value;
  element("opacity-value").textContent = `${share}%`;
  element("heat").style.opacity = element("show-heat").checked ? share / 100 : 0;
}

/* ---- text ---- */

function showStatus(text, kind = "") {
  element("status").textContent = text;
  element("status").className = `notice ${kind}`;
}

function showError(error) {
  if (!(error instanceof ServerError)) {
    showStatus("An error occurred in this page; see the browser's console.", "error");
    throw error;
  }
  const isFirstRequest = error.status === 401 && element("key-form").hidden;
  showStatus(error.message, isFirstRequest ? "" : "error");
  if (error.status === 401) {
    element("key-form").hidden = false;
    element("key").focus();
  }
}

function createElement(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

function percent(share) {
  return `${(100 * share).toFixed(1)}%`;
}

/* ---- events ---- */

function openFirst(files) {
  if (files.length) openImage(files[0]);
}

element("file").addEventListener("change", (event) => {
  openFirst(event.target.files);
  event.target.value = ""; /* Allows choosing the same file again. */
});
element("model").addEventListener("change", () => {
  showFacts();
  if (state.picture) showPrediction();
});
element("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(element("key").value);
  start();
});
element("opacity").addEventListener("input", setOpacity);
element("show-heat").addEventListener("change", setOpacity);
document.addEventListener("paste", (event) => openFirst(event.clipboardData.files));

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
  openFirst(event.dataTransfer.files);
});

start();
