// @ts-check
// The question "why?" and its answer: first what was changed, then what was measured.
import { button, element, write } from "./dom.js";
import { Picture } from "./picture.js";

export class BecauseView {
  /**
   * @param {{ ask: () => void, stop: () => void, take: (settings: any) => void, closed: () => void }} events
   */
  constructor(events) {
    this.events = events;
    this.busy = this.open = false;
    this.settings = "";
    this.undo = null;
    this.ask = button("Why?", "Look for the cause of this answer", () => this.#ask(), { class: "kit-why" });
    this.status = element("p", { role: "status", class: "kit-asking" });
    this.before = element("p", { class: "kit-before", hidden: true, text: "This was found before the last change. Ask again for what is shown now." });
    this.changes = element("div");
    this.found = element("div");
    this.stopButton = button("Stop", "End the search", () => {
      write(this.status, "Stopping …");
      events.stop();
    });
    this.node = element("section", { class: "kit-because", "aria-label": "Why", hidden: true }, this.before, this.changes,
      element("div", { class: "kit-line" }, this.status, this.stopButton), this.found,
      element("div", { class: "kit-line" }, button("Close", "Close this answer", () => this.close())));
  }

  /** The state that is shown; an answer to another one is marked as such. */
  moved(settings) {
    this.before.hidden = this.settings === "" || this.settings === JSON.stringify(settings);
  }

  progress(text) {
    this.#busy(true, text ? `Looking for the cause: ${text} …` : "");
  }

  explain(content, pixels) {
    const { changes } = content;
    this.settings = JSON.stringify(changes.settings);
    this.node.hidden = !this.open;
    this.#paintChanges(changes);
    if (content.stopped) this.#busy(false, "Stopped.");
    else if (content.headline !== undefined) {
      this.#busy(false, "");
      this.#paintFound(content, pixels);
    }
  }

  end(text) {
    if (!this.busy) return;
    this.#busy(false, text);
  }

  close() {
    this.events.stop();
    this.open = false;
    this.node.hidden = true;
    this.events.closed();
    this.ask.focus();
  }

  #ask() {
    if (this.busy) return;
    this.open = true;
    this.node.hidden = false;
    this.changes.replaceChildren();
    this.found.replaceChildren();
    this.before.hidden = true;
    this.#busy(true, "Looking for the cause …");
    this.events.ask();
  }

  #busy(on, text) {
    this.busy = on;
    // Not `disabled`, which would take the focus away from those who work with the keyboard.
    this.ask.setAttribute("aria-disabled", on);
    this.stopButton.hidden = !on;
    this.status.textContent = text;
  }

  #paintChanges({ headline, lines }) {
    this.changes.replaceChildren(
      ...(headline ? [element("h4", { text: headline })] : []),
      ...lines.map(({ text, settings, matters }) => element("div", { class: `kit-line ${matters ? "kit-matters" : ""}` },
        element("span", { text }), button("Take back", text, () => this.events.take(settings)))));
  }

  #paintFound(content, pixels) {
    const line = (text) => (text ? element("p", { text }) : null);
    const shown = [element("h4", { text: content.headline }), ...content.findings.map((finding) => element("div", {},
      element("p", {}, element("b", { text: finding.title }), ` ${finding.summary}`), measured(finding.evidence))),
    ...content.notes.map(line), content.judged ? element("p", { class: "kit-judged", text: content.judged }) : null, content.ruledOut.length ? line(`Ruled out: ${content.ruledOut.join(", ")}.`) : null,
    line(content.fix), content.pictures.length ? beside(content.pictures, pixels) : null,
    content.code ? element("pre", { text: content.code }) : null, content.apply ? this.#applying(content.apply) : null];
    this.found.replaceChildren(...shown.filter(Boolean));
  }

  #applying(settings) {
    const undo = button("Undo", "Back to the preprocessing before the fix", () => {
      this.events.take(undo.before);
      undo.hidden = true;
      apply.hidden = false;
    }, { hidden: true });
    const apply = button("Apply the fix", "Put the preprocessing right; the picture stays as it is", () => {
      undo.before = this.events.take(settings);
      apply.hidden = true;
      undo.hidden = false;
    }, { class: "kit-apply" });
    return element("div", { class: "kit-line" }, apply, undo);
  }
}

function measured(evidence) {
  const heads = ["Speaks", "Measured", "Value", "Threshold"].map((text) => element("th", { scope: "col", text }));
  return element("details", {}, element("summary", { text: "How this was measured" }),
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {},
      ...evidence.map((cells) => element("tr", {}, ...cells.map((text) => element("td", { text })))))));
}

function beside(sizes, pixels) {
  const titles = ["What the network gets", "What it was trained to see"];
  return element("div", { class: "kit-beside" }, ...titles.map((title, index) => {
    const picture = new Picture(title);
    const { buffer, byteOffset, byteLength } = pixels[index];
    const [height, width] = sizes[index];
    picture.paint(new Uint8Array(buffer, byteOffset, byteLength), width, height);
    return element("figure", {}, picture.canvas, element("figcaption", { text: title }));
  }));
}
