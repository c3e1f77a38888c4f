// Photos from a person: dropped, pasted or chosen.

const SENT_AS_IT_IS = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff", "image/avif"];
const LARGEST = 15 * 2 ** 20; // bytes; a larger photo is made smaller here
const LONGEST_PX = 2560;

export function watchIntake({ input, overlay, take, complain }) {
  const give = async (file) => {
    try { take(await sendable(file)); } catch (error) { complain(error.message); }
  };
  input.addEventListener("change", () => {
    if (input.files[0]) give(input.files[0]);
    input.value = "";
  });
  document.addEventListener("paste", (event) => {
    if (event.target.closest("input, textarea, select")) return;
    const file = photoIn(event.clipboardData);
    if (file) { event.preventDefault(); give(file); } else complain("The clipboard holds no photo.");
  });
  let depth = 0;
  const show = (change) => { depth = Math.max(0, depth + change); overlay.hidden = depth === 0; };
  document.addEventListener("dragenter", (event) => { event.preventDefault(); show(1); });
  document.addEventListener("dragleave", () => show(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    show(-depth);
    const file = photoIn(event.dataTransfer);
    if (file) give(file); else complain("This is no photo; save it as a file and drop that.");
  });
}

function photoIn(transfer) {
  const files = [...(transfer?.files ?? [])];
  return files.find((file) => file.type.startsWith("image/")) ?? files[0];
}

// The file itself where the service reads its kind; else, and of a very large one, a JPEG made of it.
async function sendable(file) {
  if (SENT_AS_IT_IS.includes(file.type) && file.size <= LARGEST) return file;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    if (file.size <= LARGEST) return file; // the service says what is wrong with it
    throw new Error(`${file.name} cannot be opened as a photo; choose a JPEG or PNG.`);
  }
  const scale = Math.min(1, LONGEST_PX / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
}
