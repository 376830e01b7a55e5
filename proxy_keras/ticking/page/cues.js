/* The page on which cues are ticked. The server has the truth; each answer brings all verdicts. */

const WORDS = { object: "the object", not_object: "not the object", mixture: "a mixture" };

const KEYS = { 1: "object", 2: "not_object", 3: "mixture" };

const element = (id) => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const cardOf = (node) => node?.closest?.(".cue") ?? null;
const own = (card, selector) => all(selector, card).find((node) => cardOf(node) === card);

let state = null;

/* ---- server ---- */

/* The answer to a request. Throws an error that says what the server said. */
async function ask(path, body) {
  const options = { cache: "no-store" };
  if (body !== undefined) {
    Object.assign(options, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not respond. Is the command still running?");
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  throw new Error(answer.error ?? `The server answered with status ${response.status}.`);
}

/* Changes are sent one after the other, in the order in which they were made. */
let queue = Promise.resolve();

function change(path, body) {
  queue = queue.then(async () => {
    try {
      show(await (await ask(path, body())).json());
      complain("");
    } catch (error) {
      await refresh();
      complain(`Not saved: ${error.message}`);
    }
  });
  return queue;
}

async function refresh() {
  try {
    show(await (await ask("state.json")).json());
    complain("");
  } catch (error) {
    complain(error.message);
  }
}

function complain(message) {
  element("trouble").textContent = message;
  element("trouble").hidden = !message;
}

/* ---- verdicts ---- */

function show(answer) {
  state = answer;
  element("summary").textContent = state.summary;
  const undo = element("undo");
  undo.disabled = !state.last;
  undo.title = state.last ? `Take back: ${state.last}` : "There is nothing to take back";
  all(".cue").forEach(showCard);
}

function showCard(card) {
  const name = card.dataset.cue;
  const verdict = state.verdicts[name] ?? "";
  card.dataset.verdict = verdict;
  own(card, ".said").textContent = said(name);
  for (const button of all(".verdict", card)) {
    if (cardOf(button) !== card) continue;
    button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
  }
}

/* What was said of a cue, or of the one it is a part of. A mixture says nothing of its halves. */
function said(name) {
  if (name in state.verdicts) return WORDS[state.verdicts[name]];
  for (let whole = name; /[ab]$/.test(whole); ) {
    whole = whole.slice(0, -1);
    const verdict = state.verdicts[whole];
    if (verdict && verdict !== "mixture") return `${WORDS[verdict]}, like ${whole}`;
  }
  return "";
}

function say(card, verdict) {
  const cue = card.dataset.cue;
  if (verdict === "mixture") open(card);
  return change("verdict", () => ({ cue, verdict }));
}

/* A verdict that is chosen again is taken back. */
function press(card, verdict) {
  return say(card, card.dataset.verdict === verdict ? null : verdict);
}

function undo() {
  return change("undo", () => ({ revision: state.revision }));
}

/* ---- halves and more images ---- */

async function part(path, button) {
  button.setAttribute("aria-busy", "true");
  try {
    const text = await (await ask(path)).text();
    complain("");
    return document.createRange().createContextualFragment(text);
  } catch (error) {
    complain(error.message);
    return null;
  } finally {
    button.removeAttribute("aria-busy");
  }
}

async function open(card) {
  const button = own(card, ".split");
  const halves = own(card, ".halves");
  if (!button || button.hasAttribute("aria-busy")) return;
  if (!halves.querySelector(".cue")) {
    const found = await part(`cues/${card.dataset.cue}/halves`, button);
    if (!found) return;
    halves.replaceChildren(found);
    if (state) show(state);
  }
  halves.hidden = false;
  button.setAttribute("aria-expanded", "true");
}

function split(card) {
  const button = own(card, ".split");
  if (!button) return;
  if (button.getAttribute("aria-expanded") !== "true") return open(card);
  own(card, ".halves").hidden = true;
  button.setAttribute("aria-expanded", "false");
}

async function more(card) {
  const button = own(card, ".more");
  if (button.disabled || button.hasAttribute("aria-busy")) return;
  const page = Number(button.dataset.page);
  const found = await part(`cues/${card.dataset.cue}/pictures?page=${page}`, button);
  if (!found) return;
  if (found.querySelector(".picture")) {
    own(card, ".groups").append(found);
    button.dataset.page = page + 1;
  } else {
    button.disabled = true;
    button.textContent = "No more images";
  }
}

/* ---- mouse and keyboard ---- */

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.id === "undo") return undo();
  const card = cardOf(button);
  // Safari does not focus buttons on a click, and the keys need to know the cue.
  if (!card.contains(document.activeElement)) card.focus({ preventScroll: true });
  if (button.matches(".verdict")) press(card, button.dataset.verdict);
  else if (button.matches(".split")) split(card);
  else if (button.matches(".more")) more(card);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const card = cardOf(document.activeElement);
  if (key === "u") undo();
  else if (!card) return;
  else if (key in KEYS) press(card, KEYS[key]);
  else if (key === "0") say(card, null);
  else if (key === "s") split(card);
  else if (key === "m") more(card);
  else if (key === "ArrowDown") move(card, 1);
  else if (key === "ArrowUp") move(card, -1);
  else return;
  event.preventDefault();
});

function move(card, by) {
  const cards = all(".cue").filter((one) => one.offsetParent !== null);
  const next = cards[cards.indexOf(card) + by];
  if (!next) return;
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "start" });
}

/* Another page may have changed them meanwhile. */
document.addEventListener("visibilitychange", () => document.hidden || refresh());
window.addEventListener("focus", refresh);

refresh();
