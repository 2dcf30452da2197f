// What a photo shows: a person says so, and then it is known whether the prediction is correct.
import { button, element, grouped } from "./dom.js";

export class LabelPicker {
  constructor(view) {
    const id = `${view.prefix}-classes`;
    const { classes } = view.panel;
    this.view = view;
    this.known = { top: "", label: "" }; // the predicted class, and what the image is known to show
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
      { class: "kit-group" },
      element("span", { text: "It is" }),
      this.box,
      element("datalist", { id }, ...classes.map((value) => element("option", { value }))),
      this.yes,
      this.none,
      button("✕", "Close", () => this.close(), { "aria-label": "Close the list" }),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.box.value.trim() || !this.box.value) this.#choose(this.box.value.trim());
    });
    // One that is picked from the list comes whole, not letter by letter.
    this.box.addEventListener("input", ({ inputType = "insertReplacementText" }) => {
      if (inputType === "insertReplacementText" && classes.includes(this.box.value))
        this.#choose(this.box.value);
    });
    this.node = grouped("kit-say", "What the image shows", form);
    this.node.hidden = true;
  }

  /** Ask; the focus goes back to the opener, and once a label is taken, `onChosen` is called. */
  open(opener, onChosen) {
    const { top, label } = this.known;
    Object.assign(this, { opener, onChosen, photo: this.view.settings.photo });
    this.box.value = "";
    Object.assign(this.yes, { value: top, textContent: `Yes, ${top}`, hidden: top === label });
    this.none.hidden = label === "";
    this.node.hidden = false;
    this.box.focus();
  }

  close() {
    this.node.hidden = true;
    this.opener.focus();
  }

  /** Of another photo it offers nothing. */
  moved({ photo }) {
    this.node.hidden ||= photo !== this.photo;
  }

  /** Whether the kernel took what was chosen: if not, that is there to be put right. */
  answered(isTaken) {
    if (this.photo !== this.view.settings.photo) return;
    this.node.hidden = isTaken;
    if (isTaken) this.onChosen?.();
    else this.box.focus();
  }

  #choose(label) {
    if (this.node.hidden) return;
    this.close();
    this.view.failedAt = -1; // the next answer takes the place of what was refused
    this.view.ask("label", { photo: this.photo, label });
  }
}
