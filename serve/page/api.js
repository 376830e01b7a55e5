/* Client of the server: GET v1/models, and POST v1/predict with an image file. */

const KEY = "api-key";

/* A failed request, with the server's error message. */
export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/* The key is stored for this tab only; if the browser forbids storage, it is lost on reload. */
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

async function request(path, options = {}) {
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
  if (!response.ok || answer === null) throw new ServerError(response.status, messageFor(response, answer));
  return answer;
}

function messageFor(response, answer) {
  const reason = answer && typeof answer.error === "string" ? answer.error : "";
  if (response.status === 401) return key ? "The server rejected this API key." : "The server requires an API key.";
  if (response.status === 503) return "The server is busy. Try again in a moment. " + reason;
  return reason || `The server answered with status ${response.status}, without a reason.`;
}

/* Return the models, each as {name, network, labels, image_size, explain, ...}; with cues also
   {cues: [{name, ticked, description}]}. */
export async function models() {
  return (await request("v1/models")).models;
}

/* Return {model, predictions: [{class, class_id, probability}], heatmap: {shape, values}}; of models
   with cues also {cues: {name: share}, ticked_share, marked}. */
export function predict(picture, { model, withHeatmap, count, signal }) {
  const query = new URLSearchParams({ model, heatmap: withHeatmap, top_k: count });
  return request(`v1/predict?${query}`, { method: "POST", body: picture, signal });
}
