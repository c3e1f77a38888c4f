// The page: what a visitor drops, pastes, picks or clicks goes to the engine, and what it finds goes into the grid.

import { Grid } from "./grid.js";

const find = (id) => document.getElementById(id);
const engine = new Worker(new URL("engine.js", import.meta.url), { type: "module" });
const waiting = new Map();
let site, photos, opened;
let asked = 0; // searches, so that a slow one does not replace a later one

engine.onmessage = ({ data }) => {
  if ("progress" in data) find("progress").value = data.progress;
  if ("isReady" in data) {
    find("progress").hidden = true;
    if (data.error) say(data.error, true);
    document.documentElement.dataset.ready = data.isReady;
  }
  if (!waiting.has(data.number)) return;
  const { resolve, reject } = waiting.get(data.number);
  waiting.delete(data.number);
  data.error ? reject(new Error(data.error)) : resolve(data.answer);
};
engine.onerror = () => say("This browser cannot run the search; a current Chrome, Edge, Firefox or Safari can.", true);

function ask(job, values) {
  const number = ask.last = (ask.last ?? 0) + 1;
  engine.postMessage({ job, number, ...values });
  return new Promise((resolve, reject) => waiting.set(number, { resolve, reject }));
}

const grid = new Grid(find("results"), find("end"), (row) => go(photos[row].id));

async function begin() {
  site = await (await fetch("site.json")).json();
  photos = site.photos;
  opened = ask("open", { site });
  find("intro").textContent =
    `Find the photos most like yours among ${photos.length.toLocaleString()}. ` +
    "The search runs in this browser: your photo never leaves this device.";
  for (const [term, words] of site.about) {
    find("about").append(element("dt", term), element("dd", words));
  }
  say("");
  await follow();
  await opened;
}

// The address names the photo of the collection that is searched by, so that Back goes back.
function go(id) {
  if (location.hash === `#photo-${id}`) follow();
  else location.hash = `photo-${id}`;
}

async function follow() {
  const id = Number(location.hash.match(/^#photo-(\d+)$/)?.[1] ?? NaN);
  const row = photos.findIndex((photo) => photo.id === id);
  if (row < 0) return browse();
  const { name, has_thumbnail: hasThumbnail } = photos[row];
  await search("searchRow", { row }, name, hasThumbnail ? `thumbs/${id}.jpg` : null);
}

function browse() {
  asked++;
  preview(null);
  find("reset").hidden = true;
  find("heading").textContent = "The collection";
  grid.show(photos, photos.map((_, row) => row), null);
}

async function searchFile(file) {
  if (!file) return;
  if (location.hash) history.pushState(null, "", location.pathname + location.search);
  await search("searchPhoto", { file }, file.name || "your photo", URL.createObjectURL(file));
}

async function search(job, values, name, source) {
  const own = ++asked;
  const isLoading = !find("progress").hidden && job === "searchPhoto";
  say(isLoading ? "Loading the encoder; your photo is next." : "Searching…");
  preview(source, name);
  try {
    await opened;
    const { order, similarities } = await ask(job, values);
    if (own !== asked) return;
    grid.show(photos, order, similarities);
    find("heading").textContent = `Most like ${name}`;
    find("reset").hidden = false;
    say(`${photos.length.toLocaleString()} photos, the most similar first.`);
    scrollTo({ top: 0, behavior: "instant" });
  } catch (error) {
    if (own === asked) say(error.message, true);
  }
}

function preview(source, name = "") {
  const image = find("asked");
  if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
  image.hidden = !source;
  source ? (image.src = source) : image.removeAttribute("src");
  image.alt = source ? `You search by ${name}` : "";
}

function say(words, isWrong = false) {
  find("status").textContent = words;
  find("status").classList.toggle("wrong", isWrong);
}

function element(tag, words) {
  const made = document.createElement(tag);
  made.textContent = words;
  return made;
}

const photoIn = (data) => [...(data?.files ?? [])][0];

find("pick").addEventListener("click", () => find("file").click());
find("file").addEventListener("change", ({ target }) => {
  searchFile(target.files[0]);
  target.value = ""; // so that the same photo may be chosen again
});
find("reset").addEventListener("click", () => {
  history.pushState(null, "", location.pathname + location.search);
  browse();
  say("");
});
addEventListener("hashchange", follow);
addEventListener("popstate", () => location.hash || browse());
addEventListener("paste", (event) => {
  const photo = photoIn(event.clipboardData);
  photo ? searchFile(photo) : say("What you pasted is no photo; copy a photo itself, not its address.", true);
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  find("veil").hidden = false;
});
addEventListener("dragleave", (event) => event.relatedTarget || (find("veil").hidden = true));
addEventListener("drop", (event) => {
  event.preventDefault();
  find("veil").hidden = true;
  const photo = photoIn(event.dataTransfer);
  photo ? searchFile(photo) : say("What you dropped is no photo file; drop one from your own folders.", true);
});
addEventListener("keydown", (event) => {
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (isPlain && event.key.toLowerCase() === "o") find("pick").click();
});

// For whoever builds on this page: photo files to unit vectors.
globalThis.goodviews = { encode: async (file) => (await opened, ask("encode", { file })) };

begin().catch((error) => say(`The page cannot be loaded (${error.message}); load it again.`, true));
