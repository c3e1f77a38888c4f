// A page opened as a file may load neither modules nor data: say so instead of staying empty.
if (location.protocol === "file:") {
  document.getElementById("status").textContent =
    "Open this page through a file server: run `python -m http.server` in its folder, then open http://localhost:8000.";
  document.getElementById("progress").hidden = true;
}
