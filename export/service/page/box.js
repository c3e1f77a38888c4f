// A box on the photo: drawn by a drag, moved and sized by its handles or by keys. In shares of the photo, 0 to 1.

const SMALLEST = 0.04, STEP = 0.02, WAIT_MS = 350;

export function makeBox({ frame, element, changed }) {
  let box = null, drag = null, timer = 0;

  const show = () => {
    element.hidden = box === null;
    if (!box) return;
    const style = { left: box[0], top: box[1], width: box[2], height: box[3] };
    for (const [name, share] of Object.entries(style)) element.style[name] = `${share * 100}%`;
    const [left, top, width, height] = box.map((share) => Math.round(share * 100));
    element.setAttribute("aria-label", `Part of the photo: ${width} by ${height} percent, ${left} from the left, `
      + `${top} from the top. Arrows move it, Shift and arrows change its size, Delete removes it.`);
  };
  const set = (next) => { box = next; show(); };
  const tell = (wait = 0) => { clearTimeout(timer); timer = setTimeout(() => changed(box), wait); };
  const place = (event) => {
    const at = frame.getBoundingClientRect();
    return [clamp((event.clientX - at.left) / at.width), clamp((event.clientY - at.top) / at.height)];
  };

  frame.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const from = place(event), before = box && [...box];
    const corner = event.target.closest("i");
    if (corner) {
      const number = [...element.querySelectorAll("i")].indexOf(corner);
      const fixed = [number % 2 ? box[0] : box[0] + box[2], number < 2 ? box[1] + box[3] : box[1]];
      drag = (to) => set(between(fixed, to));
    } else if (event.target === element) {
      drag = (to) => set(moved(before, to[0] - from[0], to[1] - from[1]));
    } else {
      drag = (to) => { if (Math.hypot(to[0] - from[0], to[1] - from[1]) > SMALLEST / 2) set(between(from, to)); };
    }
    frame.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  frame.addEventListener("pointermove", (event) => { if (drag) drag(place(event)); });
  const end = () => {
    if (!drag) return;
    drag = null;
    if (box && (box[2] < SMALLEST || box[3] < SMALLEST)) set(null);
    tell();
  };
  frame.addEventListener("pointerup", end);
  frame.addEventListener("pointercancel", end);
  element.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (way) set(event.shiftKey ? sized(box, ...way) : moved(box, ...way));
    else if (event.key === "Delete" || event.key === "Backspace" || event.key === "Escape") set(null);
    else return;
    event.preventDefault();
    tell(WAIT_MS);
  });

  return {
    get: () => box,
    put: set,
    start() { set([0.25, 0.25, 0.5, 0.5]); element.focus(); tell(); },
    remove() { set(null); tell(); },
  };
}

const clamp = (value, high = 1) => Math.min(Math.max(value, 0), high);

function between(one, other) {
  const left = Math.min(one[0], other[0]), top = Math.min(one[1], other[1]);
  return [left, top, Math.abs(one[0] - other[0]), Math.abs(one[1] - other[1])];
}

function moved([left, top, width, height], right, down) {
  return [clamp(left + right, 1 - width), clamp(top + down, 1 - height), width, height];
}

function sized([left, top, width, height], right, down) {
  const side = (length, more, start) => Math.min(Math.max(length + more, SMALLEST), 1 - start);
  return [left, top, side(width, right, left), side(height, down, top)];
}
