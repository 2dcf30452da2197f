// @ts-check
// The photographs as a strip of thumbnails, one of which is shown; those that were added can be taken away.
import { button, element } from "./dom.js";

export class PhotoStrip {
  /**
   * @param {string} prefix
   * @param {{ chosen: (name: string) => void, removed: (name: string) => void }} events
   */
  constructor(prefix, events) {
    this.prefix = prefix;
    this.events = events;
    /** @type {string[]} */
    this.urls = [];
    this.node = element("div", { class: "kit-photos", role: "radiogroup", "aria-label": "Photo" });
  }

  build(photos, chosen) {
    this.stop();
    this.node.replaceChildren(...photos.map((photo) => this.#item(photo)));
    this.show(chosen);
  }

  show(name) {
    for (const radio of this.node.querySelectorAll("input")) {
      radio.checked = radio.value === name;
      if (radio.checked && !radio.matches(":focus")) this.#reveal(radio.closest(".kit-photo"));
    }
  }

  stop() {
    for (const url of this.urls.splice(0)) URL.revokeObjectURL(url);
  }

  #item({ name, added, thumbnail }) {
    const radio = element("input", { type: "radio", name: `${this.prefix}-photo`, value: name, "aria-label": name });
    radio.addEventListener("change", () => this.events.chosen(name));
    const picture = thumbnail?.byteLength ? element("img", { src: this.#url(thumbnail), alt: "", draggable: "false" }) : null;
    const label = element("label", { title: name }, radio, picture, element("span", { text: name }));
    const remove = added && button("✕", `Remove ${name}`, () => this.events.removed(name), { class: "kit-remove", "aria-label": `Remove ${name}` });
    return element("div", { class: "kit-photo" }, label, remove);
  }

  #url(bytes) {
    const url = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
    this.urls.push(url);
    return url;
  }

  /** Scroll the strip, and nothing else of the page. */
  #reveal(item) {
    const { offsetLeft, offsetWidth } = item;
    const { scrollLeft, clientWidth } = this.node;
    if (offsetLeft < scrollLeft || offsetLeft + offsetWidth > scrollLeft + clientWidth) this.node.scrollLeft = offsetLeft - clientWidth / 2;
  }
}
