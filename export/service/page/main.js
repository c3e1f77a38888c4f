// The page: what is asked, what is shown, and the way back.

import { address, ask, photoOf, post, postPhoto } from "./api.js";
import { makeBox } from "./box.js";
import { makeFilters } from "./filters.js";
import { button, element, makeGrid } from "./grid.js";
import { watchIntake } from "./intake.js";
import { makeMap } from "./map.js";
import { watchTheme } from "./theme.js";

const FIRST = 48, THEN = 36, LONGEST_TRAIL = 6;
const at = (name) => document.getElementById(name);

// A question is null (a look around), {blob, url} for a person's photo, or {index, id, ...} for one of the collection;
// with a box where a part of it is meant.
let question = null, seed = 1, request = null, filters = null;
const trail = [];

const problem = at("problem");
function complain(sentence) {
  problem.textContent = sentence;
  problem.hidden = !sentence;
  if (sentence) problem.scrollIntoView({ block: "nearest" });
}

const grid = makeGrid({ list: at("grid"), more: at("more"), search: (photo) => askFor(ofPhoto(photo)), look });
const box = makeBox({
  frame: at("frame"), element: at("box"),
  changed: (region) => {
    if (!question) return;
    question = { ...question, box: region };
    showBoxControls();
    run();
  },
});
const map = makeMap({ search: (photo) => { showView("photos"); askFor(ofPhoto(photo)); } });

function ofPhoto({ index, id, path, label, thumbnail }) {
  return { index, id, url: photoOf(index, id), small: thumbnail, name: path.split("/").pop() || label || `photo ${id}` };
}

// Ask something new: it becomes an entry of the browser's history, and focus goes to where the answer is told.
function askFor(next, { isNew = true } = {}) {
  question = next;
  if (isNew) {
    const place = next && next.id !== undefined ? `/?${address({ of: next.index, id: next.id })}` : "/";
    if (next && !trail.some((one) => same(one, next))) trail.unshift(next);
    trail.length = Math.min(trail.length, LONGEST_TRAIL);
    history.pushState(keep(next), "", place);
  }
  showQuestion();
  scrollTo({ top: 0 });
  run();
  at("headline").focus({ preventScroll: true });
}

const same = (one, other) => (one?.id !== undefined ? one.id === other?.id && one.index === other?.index : one?.url === other?.url);
// What the browser's history keeps is a key; after a reload the questions are gone, and the address says what it can.
const visit = Math.random(), kept = [];
function keep(next) { kept.push(next); return { visit, key: kept.length - 1 }; }

function showQuestion() {
  at("drop").hidden = question !== null;
  at("asked").hidden = question === null;
  box.put(question?.box ?? null);
  if (question) {
    at("photo").src = question.url;
    at("photo").alt = `The photo that is searched by: ${question.name}`;
  }
  showBoxControls();
  at("trail").hidden = trail.length < 2;
  at("trail").replaceChildren(...trail.map((one) => {
    const item = element("li"), back = button("", "", `Back to ${one.name}`);
    const image = element("img");
    Object.assign(image, { src: one.small ?? one.url, alt: "" });
    if (same(one, question)) back.setAttribute("aria-current", "true");
    back.append(image);
    back.addEventListener("click", () => askFor({ ...one, box: null }));
    item.append(back);
    return item;
  }));
}

function showBoxControls() {
  const hasBox = Boolean(question?.box);
  at("part").hidden = hasBox;
  at("whole").hidden = !hasBox;
}

at("photo").addEventListener("error", () => {
  // a kind that the browser cannot show, or a file that is gone: the small picture is there at least
  if (question?.small && at("photo").getAttribute("src") !== question.small) at("photo").src = question.small;
});

async function run() {
  request?.abort();
  const mine = (request = new AbortController());
  complain("");
  grid.wait(true);
  const started = performance.now();
  try {
    const answer = await (question ? searched(mine.signal) : browsed(0, mine.signal));
    grid.clear();
    tell(answer, Math.round(performance.now() - started));
    show(answer, mine);
  } catch (error) {
    if (error.name === "AbortError") return;
    grid.clear();
    at("status").textContent = "";
    complain(error.message);
  } finally {
    if (mine === request) grid.wait(false);
  }
}

function show(answer, mine) {
  const photos = answer.matches ?? answer.photos;
  const next = answer.next === null || !photos.length ? null : async () => {
    try {
      const following = await (question ? continued(answer, mine.signal) : browsed(answer.next, mine.signal));
      if (mine === request) show(following, mine);
    } catch (error) {
      if (error.name !== "AbortError") complain(error.message);
    }
  };
  grid.add(photos, next);
}

function searched(signal) {
  const options = { ...filters.get(), k: FIRST, fold: filters.fold() };
  if (question.blob) return postPhoto("/search", question.blob, { ...options, box: question.box?.join(",") ?? "" }, signal);
  return post("/search", { ...options, id: question.id, of: question.index, box: question.box ?? null }, signal);
}

function continued(answer, signal) {
  const rest = { ...filters.get(), k: THEN, fold: filters.fold(), offset: answer.next };
  const isWhole = question.id !== undefined && !question.box; // whose own photo stays left out
  return post("/search", isWhole ? { ...rest, id: question.id, of: question.index } : { ...rest, query: answer.query }, signal);
}

function browsed(offset, signal) {
  return ask(`/items?${address({ ...filters.get(), k: FIRST, offset, seed })}`, { signal });
}

function tell(answer, ms) {
  const headline = at("headline"), status = at("status");
  at("shuffle").hidden = question !== null;
  if (!question) {
    headline.textContent = filters.meant().map((one) => one.name).join(", ");
    const count = answer.images.toLocaleString();
    status.textContent = answer.images ? `${count} photos. Click one to find others like it.` : "No photo passes the filters.";
    return;
  }
  headline.textContent = question.box ? "Like this part" : "Like this photo";
  const best = answer.matches[0];
  const how = answer.region === "crop" ? " The part was cut out, since this encoder gives no feature maps." : "";
  status.textContent = best
    ? `The most similar one has a cosine of ${best.similarity.toFixed(2)}; found in ${ms} ms.${how}`
    : "No photo passes the filters.";
}

function look(photo) {
  const large = at("large");
  at("large-photo").src = photoOf(photo.index, photo.id);
  at("large-photo").alt = photo.path;
  at("large-name").textContent = photo.path;
  const parts = [photo.index, photo.label, photo.date, photo.similarity === undefined ? "" : `cosine ${photo.similarity}`];
  at("large-text").textContent = parts.filter(Boolean).join(" · ");
  at("large-search").onclick = () => { large.close(); askFor(ofPhoto(photo)); };
  large.showModal();
}

async function showView(name) {
  const isMap = name === "map";
  at("photos-view").hidden = isMap;
  at("map-view").hidden = !isMap;
  at("layout").classList.toggle("mapping", isMap);
  at("to-photos").setAttribute("aria-pressed", String(!isMap));
  at("to-map").setAttribute("aria-pressed", String(isMap));
  if (!isMap) return;
  const index = question?.index ?? filters.meant()[0].name;
  at("map-status").textContent = "Drawing the map…";
  try {
    await map.open(index, question?.id ?? null);
  } catch (error) {
    at("map-status").textContent = error.message;
  }
}

function takePhoto(blob) {
  showView("photos");
  askFor({ blob, url: URL.createObjectURL(blob), name: blob.name ?? "a photo" });
}

function restore(state) {
  askFor(state?.visit === visit ? kept[state.key] : fromAddress(), { isNew: false });
}

function fromAddress() {
  const asked = new URLSearchParams(location.search), id = Number.parseInt(asked.get("id"), 10), index = asked.get("of");
  if (!index || Number.isNaN(id)) return null;
  filters.choose(index);
  return ofPhoto({ index, id, path: "", label: null, thumbnail: null });
}

async function start() {
  watchTheme(at("theme"));
  let indexes;
  try {
    ({ indexes } = await ask("/indexes"));
  } catch (error) {
    return complain(error.message);
  }
  filters = makeFilters({
    indexes,
    changed: () => { run(); if (!at("map-view").hidden) showView("map"); },
  });
  watchIntake({ input: at("file"), overlay: at("overlay"), take: takePhoto, complain });
  for (const name of ["choose", "another"]) at(name).addEventListener("click", () => at("file").click());
  at("clear").addEventListener("click", () => askFor(null));
  at("part").addEventListener("click", () => box.start());
  at("whole").addEventListener("click", () => box.remove());
  at("shuffle").addEventListener("click", () => { seed = Math.floor(Math.random() * 2 ** 31); run(); });
  at("to-photos").addEventListener("click", () => showView("photos"));
  at("to-map").addEventListener("click", () => showView("map"));
  at("large-close").addEventListener("click", () => at("large").close());
  at("large").addEventListener("click", (event) => { if (event.target === at("large")) at("large").close(); });
  addEventListener("popstate", (event) => restore(event.state));
  question = fromAddress();
  if (question) trail.unshift(question);
  history.replaceState(keep(question), "");
  showQuestion();
  run();
  return undefined;
}

start();
