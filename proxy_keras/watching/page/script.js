/* The page: polls the server every two seconds and shows what changed. */

import { drawChart, epochAt } from "./chart.js";
import { showClasses, toggleAll } from "./classes.js";
import { showValues } from "./settings.js";
import { duration, make, number, percent, plain, terms } from "./format.js";

const EVERY_MS = 2000;

const TIMEOUT_MS = 10000;

/* Columns of the history that have a curve. */
const DRAWN = ["epoch", "loss", "val_loss", "accuracy", "val_accuracy"];

/* Columns of proxy steps; zero in other epochs. */
const STEP_COLUMNS = {
  proxy_wrong: ["Misclassified training images", number],
  proxy_chosen: ["Chosen for a proxy", number],
  proxy_blank: ["Blank heatmaps", number],
  proxy_replaced: ["Replaced pixels", percent],
};

const element = (id) => document.getElementById(id);
const state = { version: "", run: null, progress: null, chosen: null, sheet: null };

/* ---- server ---- */

/* The state from the server; null if the request fails for any reason. */
async function ask() {
  try {
    const options = { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) };
    const response = await fetch(`state.json?known=${state.version}`, options);
    if (!response.ok) throw new Error(`status ${response.status}`);
    const answer = await response.json();
    show("trouble", false);
    return answer;
  } catch (error) {
    setText("trouble", `The server does not respond (${error.message}). Showing its last state; retrying.`);
    show("trouble", true);
    return null;
  }
}

async function follow() {
  try {
    const answer = document.hidden ? null : await ask();
    if (answer) update(answer);
  } finally {
    setTimeout(follow, EVERY_MS);
  }
}

function update({ progress, version, run }) {
  state.progress = progress;
  if (run) {
    state.run = run;
    state.version = version;
    showRun();
  }
  showProgress();
}

/* ---- the run ---- */

function epochs() {
  return state.run.history.epoch ?? [];
}

/* The epoch shown: the chosen one while it exists, else the latest. */
function shown() {
  const known = epochs();
  return known.includes(state.chosen) ? state.chosen : known.at(-1);
}

function lastEpoch() {
  return Math.max(state.run.settings?.epochs ?? 1, epochs().at(-1) ?? 1);
}

function showRun() {
  const { name, settings, conditions, problems, sheets } = state.run;
  /* A new run in the same folder resets the choice. */
  if (!epochs().includes(state.chosen)) state.chosen = null;
  if (!sheets.some(({ epoch }) => epoch === state.sheet)) state.sheet = null;
  element("title").textContent = name;
  element("what").textContent = settings ? inOneLine(settings) : "";
  element("problems").replaceChildren(...problems.map((problem) => make("li", problem)));
  show("problems", problems.length > 0);
  show("settings", settings !== null);
  show("conditions", conditions !== null);
  if (settings) showValues(element("settings-values"), settings);
  if (conditions) showValues(element("conditions-values"), conditions);
  showEpoch();
  showTable();
  showSheets();
}

function inOneLine({ model, data, proxy, seed }) {
  const method = proxy ? `proxies: ${proxy.method}` : "no proxies";
  return [model, data?.source, method, seed === undefined ? null : `seed ${seed}`].filter(Boolean).join(" · ");
}

/* ---- progress ---- */

function showProgress() {
  const { phase, epoch, epochs: all, left_s, quiet_s, is_quiet } = state.progress;
  const total = all ?? "?";
  const hasRun = phase !== "waiting" && phase !== "gone";
  setText(
    "status",
    {
      gone: "The run in this folder has been deleted. Waiting for a new one.",
      waiting: "No training run has started in this folder yet. Waiting for one.",
      training: `Training: ${epoch} of ${total} epochs done.`,
      evaluating: `All ${total} epochs are done. Evaluating the model.`,
      finished: `Finished after ${epoch} epochs.`,
    }[phase],
  );
  document.title = `${hasRun ? `${epoch} of ${total}` : phase} – ${state.run.name}`;
  show("bar", hasRun);
  element("bar").value = all ? epoch / all : 0;
  element("facts").replaceChildren(...terms(hasRun ? facts(epoch, total, left_s) : []));
  const words = `The run has not written anything for ${duration(quiet_s ?? 0)}. If it was stopped, resume it with: ${state.run.resume}`;
  element("quiet").textContent = words;
  show("quiet", is_quiet);
}

function facts(epoch, total, left_s) {
  const accuracies = (state.run.history.val_accuracy ?? []).filter((one) => one !== null);
  const best = Math.max(...accuracies);
  const found = [["Epoch", `${epoch} of ${total}`]];
  if (left_s !== null) found.push(["Time left", `about ${duration(left_s)}`]);
  if (accuracies.length) {
    const at = epochs()[state.run.history.val_accuracy.indexOf(best)];
    found.push(["Validation accuracy", percent(accuracies.at(-1))], ["Best", `${percent(best)} (epoch\u00a0${at})`]);
  }
  const test = state.run.results?.test;
  if (test !== undefined) found.push(["Test accuracy", percent(test)]);
  return found;
}

/* Unchanged text is not set again, so screen readers do not repeat it. */
function setText(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

/* ---- curves and values of the epoch shown ---- */

function showEpoch() {
  const known = epochs();
  const { history, per_class: counts } = state.run;
  show("curves", known.length > 0);
  show("errors", known.length > 0 && counts !== null && counts.epochs.length > 0);
  if (!known.length) return;
  const epoch = shown();
  const slider = element("epoch");
  slider.min = known[0];
  slider.max = known.at(-1);
  slider.value = epoch;
  slider.disabled = known.length < 2;
  slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
  element("epoch-name").textContent = `${epoch} of ${lastEpoch()}`;
  element("latest").disabled = state.chosen === null;
  const marks = known.filter((_, i) => history.proxy_chosen?.[i] > 0);
  show("mark-legend", marks.length > 0);
  showChart("loss", { marks, from0to1: false, words: number, exactly: number });
  showChart("accuracy", { marks, from0to1: true, words: (share) => `${Math.round(100 * share)}%`, exactly: percent });
  element("others").replaceChildren(...terms(others(known.indexOf(epoch), marks.includes(epoch))));
  if (counts?.epochs.length) showClasses({ counts, shown: epoch, last: lastEpoch() });
}

/* The other columns of the history in one epoch. */
function others(at, hasStep) {
  const { history } = state.run;
  const names = Object.keys(history).filter((name) => !DRAWN.includes(name) && (hasStep || !(name in STEP_COLUMNS)));
  return names.map((name) => {
    const [words, form] = STEP_COLUMNS[name] ?? [name === "proxies" ? "Images with a proxy" : plain(name), number];
    return [words, form(history[name][at])];
  });
}

function showChart(name, { marks, from0to1, words, exactly }) {
  const { history } = state.run;
  const known = epochs();
  const epoch = shown();
  const lines = { training: history[name], validation: history[`val_${name}`] };
  for (const [line, values] of Object.entries(lines)) if (!values) delete lines[line];
  const texts = Object.entries(lines).map(([line, values]) => `${line} ${exactly(values[known.indexOf(epoch)])}`);
  element(`${name}-values`).textContent = texts.join(" · ");
  const label = `${plain(name)} over ${known.length} epochs. In epoch ${epoch}: ${texts.join(", ")}.`;
  drawChart(element(name), { epochs: known, last: lastEpoch(), lines, marks, shown: epoch, from0to1, words, label });
}

function showTable() {
  const { history } = state.run;
  const names = Object.keys(history);
  const head = make("tr");
  head.append(...names.map((name) => make("th", plain(name), { scope: "col" })));
  const rows = epochs().map((_, i) => {
    const row = make("tr");
    row.append(...names.map((name) => make("td", number(history[name][i]))));
    return row;
  });
  element("values").replaceChildren(head, ...rows);
}

function choose(epoch) {
  const known = epochs();
  state.chosen = epoch >= known.at(-1) ? null : Math.max(epoch, known[0]);
  showEpoch();
}

/* ---- proxies ---- */

function showSheets() {
  const { sheets } = state.run;
  show("proxies", sheets.length > 0);
  if (!sheets.length) return;
  const chosen = sheets.find(({ epoch }) => epoch === state.sheet) ?? sheets[0];
  const options = sheets.map(({ epoch }, i) => new Option(`after epoch ${epoch}${i ? "" : " (newest)"}`, epoch));
  const chooser = element("sheet");
  const isSame = chooser.length === options.length && options.every(({ text }, i) => text === chooser[i].text);
  /* Replacing the options would close an open list. */
  if (!isSame) chooser.replaceChildren(...options);
  chooser.value = chosen.epoch;
  const picture = element("sheet-picture");
  if (picture.getAttribute("src") !== chosen.address) picture.src = chosen.address;
  picture.alt = `Proxies made after epoch ${chosen.epoch}: one column per image with original, heatmap and proxy.`;
  element("sheet-alone").href = chosen.address;
}

function show(id, isShown) {
  element(id).hidden = !isShown;
}

/* ---- controls ---- */

element("epoch").addEventListener("input", (event) => choose(Number(event.target.value)));
element("latest").addEventListener("click", () => choose(Infinity));
element("order").addEventListener("change", showEpoch);
element("all-classes").addEventListener("click", () => {
  toggleAll();
  showEpoch();
});
element("sheet").addEventListener("change", (event) => {
  /* Choosing the newest sheet follows later ones. */
  state.sheet = event.target.selectedIndex ? Number(event.target.value) : null;
  showSheets();
});
for (const name of ["loss", "accuracy"]) {
  const point = (event) => {
    if (event.type === "pointerdown" || event.buttons) choose(epochAt(element(name), event.clientX, lastEpoch()));
  };
  element(name).addEventListener("pointerdown", point);
  element(name).addEventListener("pointermove", point);
}
window.addEventListener("resize", () => {
  if (state.run) showEpoch();
});

follow();
