// What photos show: a person says so, and then it is known whether the prediction of each is correct.
import { button, element, stateOf } from "./dom.js";

const PART = 8; // photos asked about at a time; the kernel judges as many as it can without keeping a hand waiting

export class LabelPicker {
  constructor(prefix, classes, chosen) {
    const id = `${prefix}-classes`;
    this.classes = new Set(classes);
    this.chosen = chosen;
    this.opener = null;
    this.onChosen = () => {};
    this.box = element("input", {
      type: "text",
      list: id,
      class: "kit-box",
      autocomplete: "off",
      "aria-label": "Class of this image",
      placeholder: "Type a class",
    });
    this.yes = button("", "Say that the prediction is correct", () => this.#choose(this.yes.value));
    this.none = button("I do not know", "Take the label back", () => this.#choose(""));
    const form = element(
      "form",
      {},
      element("span", { text: "It is" }),
      this.box,
      element("datalist", { id }, ...classes.map((value) => element("option", { value }))),
      this.yes,
      this.none,
      button("✕", "Close", () => this.close(), { "aria-label": "Close the list" }),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#choose(this.box.value.trim());
    });
    // One that is picked from the list comes whole, not letter by letter.
    this.box.addEventListener("input", ({ inputType = "insertReplacementText" }) => {
      if (inputType === "insertReplacementText" && this.classes.has(this.box.value))
        this.#choose(this.box.value);
    });
    const attributes = { class: "kit-say", role: "group", "aria-label": "What the image shows" };
    this.node = element("div", { ...attributes, hidden: true }, form);
  }

  /** Ask; the focus goes back to the opener, and once something is chosen, `onChosen` is called. */
  open({ top, label }, opener, onChosen = () => {}) {
    Object.assign(this, { opener, onChosen });
    this.box.value = "";
    this.yes.value = top;
    this.yes.textContent = `Yes, ${top}`;
    this.yes.hidden = top === label;
    this.none.hidden = label === "";
    this.node.hidden = false;
    this.box.focus();
  }

  close() {
    this.node.hidden = true;
    this.opener?.focus();
  }

  #choose(label) {
    if (this.node.hidden || (!label && this.box.value)) return;
    this.close();
    this.chosen(label);
    this.onChosen();
  }
}

/** Asks, while no hand moves, whether each labelled photo is predicted correctly with the present settings. */
export class Judging {
  constructor(events) {
    this.events = events;
    this.busy = false;
    this.context = "";
    this.marks = new Map(); // "right" or "wrong" by name
  }

  /** Ask about photos, all of which have a label. */
  ask(settings, photos) {
    this.#about(settings);
    const left = photos.filter((name) => !this.marks.has(name));
    if (this.busy || left.length === 0) return;
    this.busy = true;
    this.events.post({ ...settings, where: null }, left.slice(0, PART));
  }

  heard(settings, marks) {
    this.busy = false;
    this.#learn(settings, marks);
  }

  #learn(settings, marks) {
    if (stateOf({ ...settings, photo: "" }) !== this.context) return;
    for (const [name, state] of Object.entries(marks)) this.marks.set(name, state);
    this.events.judged(this.marks);
  }

  shown({ settings, answer }) {
    this.#about(settings);
    if (answer.state) this.#learn(settings, { [settings.photo]: answer.state });
  }

  forget() {
    this.busy = false;
    this.context = "";
  }

  #about(settings) {
    const context = stateOf({ ...settings, photo: "" });
    if (context === this.context) return;
    this.context = context;
    this.marks = new Map();
    this.events.judged(this.marks);
  }
}
