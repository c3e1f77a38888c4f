// The engine: a worker that loads ONNX Runtime, the encoder and the vectors, encodes photos and searches by them.
// It asks for the page's own files and sends nothing.

import * as ort from "./onnxruntime/ort.js";

let site, scales, rows, session;

const jobs = {
  async open(page) {
    site = page.site;
    session = start();
    session.then(
      () => self.postMessage({ isReady: true }),
      (error) => self.postMessage({ isReady: false, error: error.message || String(error) }),
    );
    const vectors = await load(site.vectors.file, site.vectors.bytes);
    const { count, dimension } = site.vectors;
    scales = new Float32Array(vectors, 0, count);
    rows = new Int8Array(vectors, 4 * count, count * dimension);
  },

  encode: ({ file }) => encode(file),

  async searchPhoto({ file }) {
    return ranked(await encode(file));
  },

  searchRow({ row }) {
    const { dimension } = site.vectors;
    const query = Float32Array.from(rows.subarray(row * dimension, (row + 1) * dimension), (value) => value * scales[row]);
    return ranked(query, row);
  },
};

self.onmessage = async ({ data: { job, number, ...values } }) => {
  try {
    self.postMessage({ number, answer: await jobs[job](values) });
  } catch (error) {
    self.postMessage({ number, error: error.message || String(error) });
  }
};

async function start() {
  const parts = [site.runtime, site.model];
  const total = parts[0].bytes + parts[1].bytes;
  const loaded = [0, 0];
  const [wasm, model] = await Promise.all(
    parts.map((part, i) =>
      load(part.file, part.bytes, (bytes) => {
        loaded[i] = bytes;
        self.postMessage({ progress: (loaded[0] + loaded[1]) / total });
      }),
    ),
  );
  ort.env.wasm.numThreads = 1; // more need headers that a plain file server does not send
  ort.env.wasm.wasmPaths = { mjs: new URL("onnxruntime/ort-wasm.js", import.meta.url).href };
  ort.env.wasm.wasmBinary = wasm;
  return ort.InferenceSession.create(model, { executionProviders: ["wasm"], logSeverityLevel: 3 });
}

// The bytes of one of the page's own files; `seen` is told how many have come.
async function load(file, bytes, seen = () => {}) {
  const answer = await fetch(new URL(file, import.meta.url));
  if (!answer.ok) throw new Error(`${file} cannot be loaded (${answer.status}); copy the whole folder to the server.`);
  const whole = new Uint8Array(bytes);
  const reader = answer.body.getReader();
  let filled = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (filled + part.value.length > bytes) throw new Error(`${file} is longer than it was; copy the whole folder again.`);
    whole.set(part.value, filled);
    seen((filled += part.value.length));
  }
  if (filled < bytes) throw new Error(`${file} came incomplete; load the page again.`);
  return whole.buffer;
}

async function encode(file) {
  const image = await pixelsOf(file);
  const running = await session;
  const { embedding } = await running.run({ image });
  return embedding.data;
}

// A photo as (1, height, width, 3) uint8 RGB, upright, colours over white; as the encoder's photos were read.
async function pixelsOf(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new Error("This browser cannot read that file as a photo; give it a JPEG, PNG or WebP.");
  }
  const { left, top, width, height } = middle(bitmap.width, bitmap.height);
  const drawing = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  drawing.fillStyle = "white";
  drawing.fillRect(0, 0, width, height);
  drawing.drawImage(bitmap, -left, -top);
  bitmap.close();
  const rgba = drawing.getImageData(0, 0, width, height).data;
  const rgb = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = rgba[from];
    rgb[to + 1] = rgba[from + 1];
    rgb[to + 2] = rgba[from + 2];
  }
  return new ort.Tensor("uint8", rgb, [1, height, width, 3]);
}

// Of a long strip the middle part: the centre crop sees no more of it.
function middle(width, height) {
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  const most = site.longest_strip * short;
  if (long <= most) return { left: 0, top: 0, width, height };
  const length = most + ((long - most) % 2); // the middle stays where it is
  const first = (long - length) / 2;
  return width > height
    ? { left: first, top: 0, width: length, height }
    : { left: 0, top: first, width, height: length };
}

// Every photo of the collection but one by its cosine to the query, the most similar first.
function ranked(query, without = -1) {
  const { count, dimension } = site.vectors;
  const similarities = new Float32Array(count);
  for (let row = 0, at = 0; row < count; row++) {
    let sum = 0;
    for (let i = 0; i < dimension; i++) sum += query[i] * rows[at++];
    similarities[row] = sum * scales[row];
  }
  const order = Uint32Array.from({ length: count }, (_, row) => row).sort((a, b) => similarities[b] - similarities[a]);
  return { order: order.filter((row) => row !== without), similarities };
}
