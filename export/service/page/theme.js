// Light or dark: the system's choice until a person chooses.

export function watchTheme(button) {
  const root = document.documentElement;
  const show = (theme) => theme ? root.setAttribute("data-theme", theme) : root.removeAttribute("data-theme");
  show(read());
  button.addEventListener("click", () => {
    const isDark = read() ? read() === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    const next = isDark ? "light" : "dark";
    try { localStorage.setItem("theme", next); } catch { /* a browser that keeps nothing */ }
    show(next);
    window.dispatchEvent(new Event("theme"));
  });
}

function read() {
  try { return localStorage.getItem("theme"); } catch { return null; }
}
