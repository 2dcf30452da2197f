// The question "why?" and its answer: first what was changed, then what was measured.
import { button, element, stateOf, write } from "./dom.js";
import { Picture } from "./picture.js";

export class BecauseView {
  constructor(events) {
    this.events = events;
    this.busy = false;
    this.valid = []; // the states that the answer is about: first the one that was asked for, then those that its fixes led to
    this.guilty = this.valid; // chips that are to blame
    this.offers = []; // buttons, each with the settings that it takes on
    this.ask = button("Why?", "Look for the cause of this prediction", () => this.#ask(), {
      class: "kit-why",
    });
    this.status = element("p", { role: "status", class: "kit-asking" });
    this.before = element("p", {
      class: "kit-before",
      hidden: true,
      text: "This is about the state before your last change. Ask again.",
    });
    [this.cause, this.changes, this.found] = ["div", "div", "div"].map((tag) => element(tag));
    this.stopButton = button("Stop", "End the search", () => {
      write(this.status, "Stopping …");
      events.stop();
    });
    this.node = element(
      "div",
      { class: "kit-because", role: "group", "aria-label": "Why", hidden: true, tabindex: 0 },
      button("✕", "Close this report", () => this.close(), {
        class: "kit-close",
        "aria-label": "Close",
      }),
      this.before,
      this.cause,
      this.changes,
      element("div", { class: "kit-line" }, this.status, this.stopButton),
      this.found,
    );
  }

  /** The state that is shown; an answer to another one is marked as such. */
  moved(settings) {
    const place = this.valid.indexOf(stateOf(settings));
    this.settings = settings;
    for (const [offer, some] of this.offers) offer.setAttribute("aria-disabled", this.#holds(some));
    this.before.hidden = this.valid.length === 0 || place >= 0;
    this.events.blame(place === 0 ? this.guilty : []);
  }

  progress(text) {
    this.#busy(true, text ? `Looking for the cause: ${text} …` : "");
  }

  explain(content, pixels) {
    const { changes } = content;
    this.asked = changes.settings;
    if (content.headline === undefined) this.valid = [stateOf(this.asked)];
    this.#paintChanges(changes);
    this.guilty = [...changes.guilty, ...(content.guilty ?? [])];
    if (content.stopped) this.#busy(false, content.stopped);
    else if (content.headline !== undefined) {
      this.#busy(false, "");
      this.#paintFound(content, pixels);
    }
  }

  end(text) {
    if (this.busy) this.#busy(false, text);
  }

  close() {
    this.events.stop();
    this.valid = this.guilty = [];
    this.events.blame([]);
    this.events.opened(false);
    this.ask.focus();
  }

  #ask() {
    if (this.busy) return;
    this.events.opened(true);
    for (const part of [this.cause, this.changes, this.found]) part.replaceChildren();
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

  #take(settings, fixed) {
    if (this.#holds(settings)) return;
    const then = stateOf({ ...this.asked, ...settings });
    this.valid.push(then);
    this.events.take(settings, fixed, then);
  }

  #holds(some) {
    return Object.entries(some).every(([key, value]) => this.settings[key] === value);
  }

  #offer(text, title, settings, fixed, attributes = {}) {
    const offer = button(text, title, () => this.#take(settings, fixed), attributes);
    this.offers.push([offer, settings]);
    return offer;
  }

  #paintChanges({ headline, lines }) {
    this.offers = [];
    this.changes.replaceChildren(
      ...(headline ? [element("p", { class: "kit-headline", text: headline })] : []),
      ...lines.map(({ text, settings, matters, fixed }) =>
        element(
          "div",
          { class: `kit-line ${matters ? "kit-matters" : ""}` },
          element("span", { text }),
          this.#offer("Take back", text, settings, fixed),
        ),
      ),
    );
  }

  #paintFound(content, pixels) {
    const { apply, fixed } = content;
    const line = (text) => (text ? element("p", { text }) : null);
    const headline = element("p", { class: "kit-headline", text: content.headline });
    // What can be put right stands first, so that it is pressed without scrolling.
    if (apply)
      this.cause.append(
        headline,
        this.#offer("Apply the fix", content.fix, apply, fixed, { class: "kit-apply" }),
      );
    const shown = [
      apply ? null : headline,
      line(content.fix),
      content.code ? element("pre", { text: content.code }) : null,
      content.pictures.length ? beside(content.pictures, pixels) : null,
      ...content.findings.map((finding) =>
        element(
          "div",
          {},
          element("p", {}, element("b", { text: finding.title }), ` ${finding.summary}`),
          measured(finding.evidence),
        ),
      ),
      ...content.notes.map(line),
      content.judged ? element("p", { class: "kit-judged", text: content.judged }) : null,
      content.ruledOut.length ? line(`Ruled out: ${content.ruledOut.join(", ")}.`) : null,
    ];
    this.found.replaceChildren(...shown.filter(Boolean));
  }
}

function measured(evidence) {
  const heads = ["Speaks", "Measured", "Value", "Threshold"].map((text) =>
    element("th", { scope: "col", text }),
  );
  return element(
    "details",
    {},
    element("summary", { text: "How this was measured" }),
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...heads)),
      element(
        "tbody",
        {},
        ...evidence.map((cells) =>
          element("tr", {}, ...cells.map((text) => element("td", { text }))),
        ),
      ),
    ),
  );
}

function beside(sizes, pixels) {
  const titles = ["What the model gets", "What it was trained to see"];
  return element(
    "div",
    { class: "kit-beside" },
    ...titles.map((title, index) => {
      const picture = new Picture(title);
      const { buffer, byteOffset, byteLength } = pixels[index];
      const [height, width] = sizes[index];
      picture.paint(new Uint8Array(buffer, byteOffset, byteLength), width, height);
      return element("figure", {}, picture.canvas, element("figcaption", { text: title }));
    }),
  );
}
