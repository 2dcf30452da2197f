// The photographs as a strip of thumbnails, one of which is shown; those that were added can be taken away.
// While no hand moves, it asks whether each labelled photo is predicted correctly with the present settings.
import { button, div, element, stateOf, write } from "./dom.js";

const PART = 8; // photos asked about at a time; the kernel judges as many as it can without keeping a hand waiting

export class PhotoStrip {
  constructor(view) {
    this.view = view;
    this.urls = [];
    this.strip = element("div", { class: "kit-photos", role: "radiogroup", "aria-label": "Photo" });
    this.count = element("p", { class: "kit-count" });
    this.node = div("kit-strip", this.strip, this.count);
    this.marks = new Map(); // "right" or "wrong" by name, for settings as in the context
  }

  build(photos, chosen) {
    this.stop();
    this.labelled = photos.filter(({ labelled }) => labelled).map(({ name }) => name);
    const isFocused = this.strip.contains(document.activeElement);
    this.strip.replaceChildren(...photos.map((photo) => this.#item(photo)));
    this.count.hidden = this.labelled.length === 0;
    this.show(chosen);
    const radios = [...this.strip.querySelectorAll("input")];
    if (isFocused) (radios.find(({ checked }) => checked) ?? radios[0]).focus();
    this.forget();
  }

  show(name) {
    for (const radio of this.strip.querySelectorAll("input")) {
      radio.checked = radio.value === name;
      if (radio.checked && !radio.matches(":focus")) this.#reveal(radio.closest(".kit-photo"));
    }
  }

  ask(settings) {
    this.#about(settings);
    const left = this.labelled.filter((name) => !this.marks.has(name));
    if (this.busy || left.length === 0) return;
    this.busy = true;
    this.view.ask("judge", { settings: { ...settings, where: null }, photos: left.slice(0, PART) });
  }

  heard({ settings, marks }) {
    this.busy = false;
    this.#learn(settings, marks);
  }

  paint({ settings, answer }) {
    this.#about(settings);
    if (answer.state) this.#learn(settings, { [settings.photo]: answer.state });
  }

  forget() {
    this.busy = false;
    this.context = "";
  }

  stop() {
    for (const url of this.urls.splice(0)) URL.revokeObjectURL(url);
  }

  #about(settings) {
    const context = stateOf({ ...settings, photo: "" });
    if (context === this.context) return;
    this.context = context;
    this.marks.clear();
    this.#mark();
  }

  #learn(settings, marks) {
    if (stateOf({ ...settings, photo: "" }) !== this.context) return;
    for (const [name, state] of Object.entries(marks)) this.marks.set(name, state);
    this.#mark();
  }

  #mark() {
    for (const item of this.strip.querySelectorAll(".kit-photo")) {
      const radio = item.querySelector("input");
      const state = this.marks.get(radio.value) ?? "";
      if ((item.dataset.state ?? "") === state) continue; // while a slider moves, most stay as they are
      item.dataset.state = state;
      radio.setAttribute("aria-description", { right: "correct", wrong: "wrong" }[state] ?? "");
    }
    const states = this.labelled.map((name) => this.marks.get(name));
    const right = states.filter((state) => state === "right").length;
    write(this.count, `${states.every(Boolean) ? right : "…"} of ${states.length} correct`);
  }

  #item({ name, added, thumbnail }) {
    const radio = element("input", {
      type: "radio",
      name: `${this.view.prefix}-photo`,
      value: name,
      "aria-label": name,
    });
    radio.addEventListener("change", () => this.view.changed("photo", name));
    // Beyond the first photos there are no thumbnails.
    const sign = thumbnail?.byteLength
      ? element("img", { src: this.#url(thumbnail), alt: "", draggable: "false" })
      : element("span", { class: "kit-long", text: name.replace(/\.\w+$/, "") });
    const label = element("label", { title: name }, radio, sign);
    const remove =
      added &&
      button("✕", `Remove ${name}`, () => this.view.ask("remove", { name }), {
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
