// Which photos are meant: collection, folder, class, days, and whether near-duplicates are folded.

import { button, element } from "./grid.js";

const FOLD_FROM = 0.99; // cosine
const MOST_CHIPS = 14;

export function makeFilters({ indexes, changed }) {
  const at = (name) => document.getElementById(name);
  const chosen = { label: null };
  const select = at("index"), folder = at("folder"), labels = at("labels");
  const after = at("after"), before = at("before"), fold = at("fold");

  for (const one of indexes) select.append(new Option(`${one.name} (${one.images.toLocaleString()})`, one.name));
  const isComparable = indexes.every((one) => one.weights === indexes[0].weights);
  if (indexes.length > 1 && isComparable) select.append(new Option("All together", ""));
  at("index-row").hidden = indexes.length < 2;

  const meant = () => indexes.filter((one) => !select.value || one.name === select.value);

  function fill() {
    const folders = merged(meant(), "folders"), classes = merged(meant(), "labels");
    folder.replaceChildren(new Option("Any folder", ""));
    for (const [name, images] of folders) {
      const deep = name.split("/").length - 1;
      folder.append(new Option(`${"  ".repeat(deep)}${name.split("/").pop()} (${images.toLocaleString()})`, name));
    }
    at("folder-row").hidden = folders.length < 2;
    chosen.label = null;
    at("label-row").hidden = classes.length < 2;
    labels.replaceChildren(...(classes.length > MOST_CHIPS ? [labelSelect(classes)] : classes.map(labelChip)));
    at("date-row").hidden = !meant().some((one) => one.dates);
    folder.value = after.value = before.value = "";
  }

  function labelChip([name, images]) {
    const chip = button("chip", `${name} `);
    chip.append(element("small", "", images.toLocaleString()));
    chip.setAttribute("aria-pressed", "false");
    chip.addEventListener("click", () => {
      chosen.label = chosen.label === name ? null : name;
      for (const other of labels.children) other.setAttribute("aria-pressed", String(other === chip && chosen.label !== null));
      changed();
    });
    return chip;
  }

  function labelSelect(classes) {
    const made = element("select");
    made.setAttribute("aria-label", "Class");
    made.append(new Option("Any class", ""), ...classes.map(([name, images]) => new Option(`${name} (${images})`, name)));
    made.addEventListener("change", () => { chosen.label = made.value || null; changed(); });
    return made;
  }

  select.addEventListener("change", () => { fill(); changed(); });
  for (const input of [folder, after, before, fold]) input.addEventListener("change", () => changed());
  at("where").addEventListener("submit", (event) => event.preventDefault());
  if (matchMedia("(max-width: 52rem)").matches) at("filters").open = false;
  fill();

  return {
    // As the service takes them.
    get: () => ({
      index: meant().map((one) => one.name),
      folder: folder.value || null,
      label: chosen.label,
      after: after.value || null,
      before: before.value || null,
    }),
    fold: () => (fold.checked ? FOLD_FROM : null),
    meant,
    choose(name) {
      if (!meant().some((one) => one.name === name)) { select.value = name; fill(); }
    },
  };
}

function merged(indexes, what) {
  const counts = new Map();
  for (const index of indexes) for (const { name, images } of index[what]) counts.set(name, (counts.get(name) ?? 0) + images);
  return [...counts].sort((one, other) => (one[0] < other[0] ? -1 : 1));
}
