/* Asks the server: GET v1/models, and POST v1/predict with the bytes of a picture. */

const KEY = "api-key";

/* An answer that is not 200, with what the server says of it. */
export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/* The key is kept for this tab alone; a browser that forbids storage asks again after a reload. */
let key = null;
try {
  key = sessionStorage.getItem(KEY);
} catch (error) {
  if (!(error instanceof DOMException)) throw error;
}

export function useKey(text) {
  key = text;
  try {
    sessionStorage.setItem(KEY, text);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}

async function ask(path, options = {}) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, "The server cannot be reached. Is it still running?");
  }
  const text = await response.text();
  let answer = null;
  try {
    answer = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  if (!response.ok || answer === null) throw new ServerError(response.status, inWords(response, answer));
  return answer;
}

function inWords(response, answer) {
  const said = answer && typeof answer.error === "string" ? answer.error : "";
  if (response.status === 401) return key ? "The server does not take this API key." : "The server asks for an API key.";
  if (response.status === 503) return "The server is busy. Try again in a moment. " + said;
  return said || `The server answered with status ${response.status}, without a reason.`;
}

/* The models that are served, each as {name, network, labels, image_size, explain, ...}. */
export async function models() {
  return (await ask("v1/models")).models;
}

/* {model, predictions: [{class, class_id, probability}], heatmap: {shape, values} or none}. */
export function predict(picture, { model, withHeatmap, count, signal }) {
  const query = new URLSearchParams({ model, heatmap: withHeatmap, top_k: count });
  return ask(`v1/predict?${query}`, { method: "POST", body: picture, signal });
}
