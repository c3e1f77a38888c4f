// The grid of photos: grows as one scrolls, and arrow keys walk through it.

const STEP = 60;

export class Grid {
  // list: the <ol>; end: what lies below it; choose(row): called when a photo is clicked.
  constructor(list, end, choose) {
    Object.assign(this, { list, choose, order: [], shown: 0 });
    new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.grow(), {
      rootMargin: "600px",
    }).observe(end);
    list.addEventListener("keydown", (event) => this.walk(event));
  }

  // photos: of the whole collection; order: their rows; similarities: by row, none while nothing was asked.
  show(photos, order, similarities) {
    const isInside = this.list.contains(document.activeElement);
    Object.assign(this, { photos, order, similarities, shown: 0 });
    this.list.replaceChildren();
    this.grow();
    if (isInside) this.list.querySelector("button")?.focus({ preventScroll: true });
  }

  grow() {
    const next = Array.from(this.order.slice(this.shown, this.shown + STEP), (row) => this.tile(row));
    this.list.append(...next);
    this.shown += next.length;
  }

  tile(row) {
    const { name, label, id, has_thumbnail: hasThumbnail } = this.photos[row];
    const similarity = this.similarities?.[row].toFixed(3);
    const button = document.createElement("button");
    button.type = "button";
    button.title = name;
    button.dataset.row = row;
    button.append(hasThumbnail ? picture(`thumbs/${id}.jpg`) : text("gone", "no thumbnail"));
    const line = text("name", "");
    line.append(text("", label ?? name.split("/").pop()));
    if (similarity) line.append(text("similarity", similarity));
    button.append(line);
    button.setAttribute("aria-label", similarity ? `${name}, similarity ${similarity}` : name);
    button.addEventListener("click", () => this.choose(row));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  walk(event) {
    const items = [...this.list.children];
    const here = items.indexOf(document.activeElement?.closest("li"));
    const columns = getComputedStyle(this.list).gridTemplateColumns.split(" ").length;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (here < 0 || !step) return;
    event.preventDefault();
    items[Math.max(0, Math.min(items.length - 1, here + step))].firstChild.focus();
  }
}

function picture(source) {
  const image = document.createElement("img");
  Object.assign(image, { src: source, alt: "", loading: "lazy", decoding: "async" });
  return image;
}

function text(name, words) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = words;
  return span;
}
