/* Settings and versions as lists of names and values. */

import { make, terms } from "./format.js";

/* Shows the values of an object in `place`; nested objects get a heading. */
export function showValues(place, values) {
  const isGroup = (value) => value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length;
  const own = Object.entries(values).filter(([, value]) => !isGroup(value));
  const groups = Object.entries(values).filter(([, value]) => isGroup(value));
  place.replaceChildren(
    list(own),
    ...groups.flatMap(([name, group]) => [make("h3", name), list(Object.entries(group))]),
  );
}

function list(entries) {
  const made = make("dl", "", { class: "settings" });
  made.append(...terms(entries.map(([name, value]) => [name, inWords(value)])));
  return made;
}

function inWords(value) {
  if (value === null) return "none";
  if (value === true) return "yes";
  if (value === false) return "no";
  if (Array.isArray(value)) return value.map(inWords).join(", ") || "none";
  if (typeof value === "object") return Object.keys(value).length ? JSON.stringify(value) : "none";
  return String(value);
}
