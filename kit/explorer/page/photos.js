// The photographs as a strip of thumbnails, one of which is shown; those that were added can be taken away.
import { button, div, element, write } from "./dom.js";

export class PhotoStrip {
  constructor(prefix, events) {
    this.prefix = prefix;
    this.events = events;
    this.urls = [];
    this.strip = element("div", { class: "kit-photos", role: "radiogroup", "aria-label": "Photo" });
    this.count = element("p", { class: "kit-count" });
    this.node = div("kit-strip", this.strip, this.count);
    this.labelled = []; // names
  }

  build(photos, chosen) {
    this.stop();
    this.labelled = photos.filter((photo) => photo.labelled).map((photo) => photo.name);
    this.strip.replaceChildren(...photos.map((photo) => this.#item(photo)));
    this.count.hidden = this.labelled.length === 0;
    this.show(chosen);
  }

  show(name) {
    for (const radio of this.strip.querySelectorAll("input")) {
      radio.checked = radio.value === name;
      if (radio.checked && !radio.matches(":focus")) this.#reveal(radio.closest(".kit-photo"));
    }
  }

  /** Mark the photos whose prediction is known to be correct or wrong, and count them. */
  judge(marks) {
    for (const item of this.strip.querySelectorAll(".kit-photo")) {
      const radio = item.querySelector("input");
      const state = marks.get(radio.value) ?? "";
      if ((item.dataset.state ?? "") === state) continue; // while a slider moves, most stay as they are
      item.dataset.state = state;
      radio.setAttribute("aria-description", { right: "correct", wrong: "wrong" }[state] ?? "");
    }
    const states = this.labelled.map((name) => marks.get(name));
    const right = states.filter((state) => state === "right").length;
    write(this.count, `${states.every(Boolean) ? right : "…"} of ${states.length} correct`);
  }

  stop() {
    for (const url of this.urls.splice(0)) URL.revokeObjectURL(url);
  }

  #item({ name, added, thumbnail }) {
    const radio = element("input", {
      type: "radio",
      name: `${this.prefix}-photo`,
      value: name,
      "aria-label": name,
    });
    radio.addEventListener("change", () => this.events.chosen(name));
    const picture = thumbnail?.byteLength
      ? element("img", { src: this.#url(thumbnail), alt: "", draggable: "false" })
      : null;
    // Beyond the first photos there are no thumbnails.
    const sign = picture ?? element("span", { text: name.replace(/\.\w+$/, "") });
    const label = element("label", { title: name }, radio, sign);
    const remove =
      added &&
      button("✕", `Remove ${name}`, () => this.events.removed(name), {
        class: "kit-remove",
        "aria-label": `Remove ${name}`,
      });
    return div("kit-photo", label, remove);
  }

  #url(bytes) {
    const url = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
    this.urls.push(url);
    return url;
  }

  /** Scroll the strip, and nothing else of the page. */
  #reveal(item) {
    const { offsetLeft, offsetWidth } = item;
    const { scrollLeft, clientWidth } = this.strip;
    if (offsetLeft < scrollLeft || offsetLeft + offsetWidth > scrollLeft + clientWidth)
      this.strip.scrollLeft = offsetLeft - clientWidth / 2;
  }
}
