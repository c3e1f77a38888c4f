// Asking the service. A failure is an Error with the sentence that a person should read.

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The service does not answer; is it still running?");
  }
  if (answer.status === 401) location.assign("/login");
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(content.error || `The service answered ${answer.status}.`);
  return content;
}

export function post(path, content, signal) {
  return ask(path, {
    method: "POST", body: JSON.stringify(content), headers: { "Content-Type": "application/json" }, signal,
  });
}

// A photo's bytes with options in the address; empty options are left out.
export function postPhoto(path, blob, options, signal) {
  const headers = { "Content-Type": "application/octet-stream" };
  return ask(`${path}?${address(options)}`, { method: "POST", body: blob, headers, signal });
}

export function address(options) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(options)) {
    for (const one of Array.isArray(value) && name === "index" ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") found.append(name, one);
    }
  }
  return found;
}

export const thumbnailOf = (index, id, mark) => `/thumbnails/${encodeURIComponent(index)}/${id}?v=${mark}`;
export const photoOf = (index, id) => `/photos/${encodeURIComponent(index)}/${id}`;
