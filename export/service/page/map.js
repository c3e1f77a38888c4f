// The map: every photo a dot, as many of them as have room a small picture; moved and zoomed by pointer and keys.

import { ask, thumbnailOf } from "./api.js";
import { button, element } from "./grid.js";

const PIN_PX = 60, ROOM_PX = 64, MOST_PINS = 220, FARTHEST = 60;
const COLOURS = ["#3b5bdb", "#e8590c", "#2f9e44", "#c2255c", "#0c8599", "#f08c00", "#7048e8", "#66a80f", "#a61e4d", "#1098ad", "#862e9c", "#5c940d"];

export function makeMap({ search }) {
  const at = (name) => document.getElementById(name);
  const frame = at("map"), canvas = at("dots"), pins = at("pins"), legend = at("legend");
  let points = [], index = "", here = null, shown = null, view = { x: 0, y: 0, scale: 1 };
  const pointers = new Map(), elements = new Map();

  const size = () => [frame.clientWidth, frame.clientHeight];
  const edge = 56;
  const onScreen = (point) => {
    const [width, height] = size();
    const x = edge + point.x * (width - 2 * edge), y = edge + (1 - point.y) * (height - 2 * edge);
    return [(x - width / 2 - view.x) * view.scale + width / 2, (y - height / 2 - view.y) * view.scale + height / 2];
  };

  let isWaiting = false;
  function draw() {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => { isWaiting = false; paint(); });
  }

  function paint() {
    const [width, height] = size(), ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const taken = new Map(), wanted = new Map();
    const order = here === null ? points : [...points].sort((one, other) => (other.id === here) - (one.id === here));
    for (const point of order) {
      const [x, y] = onScreen(point);
      if (x < -PIN_PX || y < -PIN_PX || x > width + PIN_PX || y > height + PIN_PX) continue;
      pen.globalAlpha = shown === null || shown === point.label ? 0.85 : 0.12;
      pen.fillStyle = point.colour;
      pen.beginPath();
      pen.arc(x, y, 4, 0, 7);
      pen.fill();
      if (wanted.size < MOST_PINS && (shown === null || shown === point.label) && hasRoom(taken, x, y)) {
        wanted.set(point, [x, y]);
      }
    }
    for (const [point, made] of elements) if (!wanted.has(point)) { made.remove(); elements.delete(point); }
    for (const [point, [x, y]] of wanted) {
      const made = elements.get(point) ?? pin(point);
      made.style.translate = `${x - PIN_PX / 2}px ${y - PIN_PX / 2}px`;
      made.classList.toggle("here", point.id === here);
    }
  }

  function pin(point) {
    const made = button("pin", "", `${point.label ? `${point.label}, ` : ""}photo ${point.id}. Search by this photo.`);
    made.style.setProperty("--pin", point.colour);
    const image = element("img");
    Object.assign(image, { src: thumbnailOf(index, point.id, point.mark), alt: "", draggable: false });
    made.append(image);
    made.addEventListener("click", () => search({ index, id: point.id, thumbnail: image.src, label: point.label, path: "" }));
    elements.set(point, made);
    pins.append(made);
    return made;
  }

  function zoom(factor, at = null) {
    const [width, height] = size(), [x, y] = at ?? [width / 2, height / 2];
    const scale = Math.min(Math.max(view.scale * factor, 0.7), FARTHEST);
    view.x += (x - width / 2) * (1 / view.scale - 1 / scale);
    view.y += (y - height / 2) * (1 / view.scale - 1 / scale);
    view.scale = scale;
    draw();
  }
  function move(right, down) { view.x -= right / view.scale; view.y -= down / view.scale; draw(); }
  function all() { view = { x: 0, y: 0, scale: 1 }; draw(); }

  const inside = (event) => {
    const box = frame.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  frame.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0018)), inside(event));
  }, { passive: false });
  let travelled = 0;
  frame.addEventListener("pointerdown", (event) => {
    if (event.target.closest(".zoom")) return;
    if (pointers.size === 0) travelled = 0;
    pointers.set(event.pointerId, inside(event));
  });
  frame.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = inside(event), other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    const length = (one, two) => Math.hypot(one[0] - two[0], one[1] - two[1]);
    travelled += length(now, before);
    if (travelled > 4) { frame.classList.add("moving"); frame.setPointerCapture(event.pointerId); }
    if (other) {
      zoom(length(now, other) / Math.max(length(before, other), 1), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
      move((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    } else move(now[0] - before[0], now[1] - before[1]);
    pointers.set(event.pointerId, now);
  });
  const release = (event) => { pointers.delete(event.pointerId); if (!pointers.size) frame.classList.remove("moving"); };
  frame.addEventListener("pointerup", release);
  frame.addEventListener("pointercancel", release);
  // The end of a move over a picture is no click on it.
  frame.addEventListener("click", (event) => { if (travelled > 4 && event.detail) { event.stopPropagation(); event.preventDefault(); } }, true);
  frame.addEventListener("keydown", (event) => {
    const step = 80;
    const act = {
      ArrowLeft: () => move(step, 0), ArrowRight: () => move(-step, 0), ArrowUp: () => move(0, step),
      ArrowDown: () => move(0, -step), "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: all,
    }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  at("zoom-in").addEventListener("click", () => zoom(1.5));
  at("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
  at("zoom-all").addEventListener("click", all);
  new ResizeObserver(draw).observe(frame);
  window.addEventListener("theme", draw);

  function explain(labels) {
    legend.replaceChildren(...(labels.length > 40 ? [] : labels).map((label) => {
      const chip = button("chip", label);
      chip.style.setProperty("--pin", colourOf(labels, label));
      chip.setAttribute("aria-pressed", "false");
      chip.addEventListener("click", () => {
        shown = shown === label ? null : label;
        for (const other of legend.children) other.setAttribute("aria-pressed", String(other === chip && shown !== null));
        draw();
      });
      return chip;
    }));
  }

  return {
    // Draw the map of an index; `id` is the photo to mark, if any.
    async open(name, id) {
      const found = await ask(`/map/${encodeURIComponent(name)}`);
      if (name !== index) all();
      const labels = [...new Set(found.labels.filter((label) => label !== null))].sort();
      index = name;
      here = id;
      shown = null;
      points = found.ids.map((number, place) => ({
        id: number, x: found.x[place], y: found.y[place], mark: found.marks[place], label: found.labels[place],
        colour: colourOf(labels, found.labels[place]),
      }));
      elements.clear();
      pins.replaceChildren();
      explain(labels);
      at("map-headline").textContent = name;
      const part = points.length < found.images ? `${points.length.toLocaleString()} of ` : "";
      at("map-status").textContent = `${part}${found.images.toLocaleString()} photos. Those that the encoder finds alike `
        + `lie close together; the map holds ${Math.round(found.variance * 100)} % of the differences.`;
      draw();
    },
  };
}

// Whether no picture is near (x, y); then it is taken. Pictures are looked up by squares as large as one.
function hasRoom(taken, x, y) {
  const column = Math.floor(x / ROOM_PX), row = Math.floor(y / ROOM_PX);
  for (let right = -1; right <= 1; right += 1) {
    for (let down = -1; down <= 1; down += 1) {
      const other = taken.get(`${column + right},${row + down}`);
      if (other && Math.abs(other[0] - x) < ROOM_PX && Math.abs(other[1] - y) < ROOM_PX) return false;
    }
  }
  taken.set(`${column},${row}`, [x, y]);
  return true;
}

function colourOf(labels, label) {
  const place = labels.indexOf(label);
  return place < 0 ? "#868e96" : COLOURS[place % COLOURS.length];
}
