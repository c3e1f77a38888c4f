// The photos: a grid that grows as one scrolls; arrows move in it, near-duplicates unfold.

export function makeGrid({ list, more, search, look }) {
  let load = null; // gives the next photos, or none

  const observer = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) more.click();
  }, { rootMargin: "900px" });
  observer.observe(more);
  more.addEventListener("click", async () => {
    if (!load) return;
    const next = load;
    load = null;
    more.disabled = true;
    await next();
    more.disabled = false;
  });

  list.addEventListener("keydown", (event) => {
    const tile = event.target.closest(".tile");
    if (!tile) return;
    const tiles = [...list.querySelectorAll(".tile")];
    const at = tiles.indexOf(tile), across = columns(tiles);
    const to = {
      ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - across, ArrowDown: at + across,
      Home: 0, End: tiles.length - 1,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      if (tiles[to]) focus(tiles, tiles[to]);
    } else if (event.key.toLowerCase() === "i" && !event.ctrlKey && !event.metaKey && !event.altKey) {
      look(tile.photo);
    }
  });

  function focus(tiles, tile) {
    for (const other of tiles) other.tabIndex = -1;
    tile.tabIndex = 0;
    tile.focus();
    tile.scrollIntoView({ block: "nearest" });
  }

  function cell(photo, isCopy = false) {
    const item = document.createElement("li");
    item.className = isCopy ? "cell copy" : "cell";
    const name = photo.path.split("/").pop();
    const tile = button("tile", "");
    tile.photo = photo;
    tile.tabIndex = -1;
    const parts = [name, photo.label, said(photo), isCopy ? "near-duplicate" : ""].filter(Boolean);
    tile.setAttribute("aria-label", `${parts.join(", ")}. Search by this photo.`);
    const picture = element("span", "picture");
    const image = element("img");
    Object.assign(image, { src: photo.thumbnail, alt: "", loading: "lazy", draggable: false });
    image.addEventListener("error", () => picture.classList.add("gone"));
    picture.append(image);
    if (photo.similarity !== undefined) picture.append(element("span", "score", photo.similarity.toFixed(2)));
    const caption = element("span", "name", photo.label ?? name);
    if (photo.label) caption.append(element("small", "", name));
    tile.append(picture, caption);
    tile.title = photo.path;
    tile.addEventListener("click", () => search(photo));
    const larger = button("look", "⤢", `Show ${name} large`);
    larger.tabIndex = -1;
    larger.addEventListener("click", () => look(photo));
    item.append(tile, larger);
    if (photo.copies?.length) item.append(unfolding(photo, item));
    return item;
  }

  function unfolding(photo, item) {
    const count = photo.copies.length;
    const control = button("copies", `+${count}`, `Show ${count} near-duplicate${count > 1 ? "s" : ""}`);
    control.setAttribute("aria-expanded", "false");
    let shown = [];
    control.addEventListener("click", () => {
      const isOpen = shown.length > 0;
      for (const one of shown) one.remove();
      shown = isOpen ? [] : photo.copies.map((one) => cell(one, true));
      item.after(...shown);
      control.setAttribute("aria-expanded", String(!isOpen));
    });
    return control;
  }

  return {
    clear() { list.replaceChildren(); more.hidden = true; load = null; },
    wait(is) { list.classList.toggle("waiting", is); list.setAttribute("aria-busy", String(is)); },
    // Photos to the end of the grid; `next` loads those that follow, null where there are none.
    add(photos, next) {
      list.append(...photos.map((photo) => cell(photo)));
      const first = list.querySelector(".tile");
      if (first && !list.querySelector(".tile[tabindex='0']")) first.tabIndex = 0;
      load = next;
      more.hidden = next === null;
      if (next) { observer.unobserve(more); observer.observe(more); } // tells again if it is in view still
    },
  };
}

function said(photo) {
  return photo.similarity === undefined ? "" : `similarity ${photo.similarity.toFixed(2)}`;
}

function columns(tiles) {
  const top = tiles[0]?.offsetTop;
  const row = tiles.findIndex((tile) => tile.closest("li").offsetTop !== tiles[0].closest("li").offsetTop);
  return top === undefined || row < 1 ? tiles.length : row;
}

export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

export function button(className, text, label = "") {
  const made = element("button", className, text);
  made.type = "button";
  if (label) made.setAttribute("aria-label", label);
  return made;
}
