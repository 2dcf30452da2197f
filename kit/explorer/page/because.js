// The question "why?" and its answer: a sentence, two images and one button; the rest is folded.
import { button, div, element, grouped, stateOf, write } from "./dom.js";
import { Picture } from "./picture.js";
import { bytesOf } from "./preview.js";

export class BecauseView {
  constructor(view) {
    this.view = view;
    this.busy = false;
    this.valid = []; // the states that the answer is about: the one that was asked for, and that with its fix
    this.ask = button("Why?", "Look for the cause of this prediction", () => this.#ask(), {
      class: "kit-why",
    });
    this.status = element("p", { role: "status", class: "kit-asking" });
    this.headline = element("p", { class: "kit-headline", role: "status" });
    this.advice = element("p");
    this.pictures = div("kit-beside");
    this.folds = div("kit-folds kit-group");
    this.act = button("", "", () => this.#act(), { class: "kit-apply" });
    this.stopButton = button("Stop", "End the search", () => {
      write(this.status, "Stopping …");
      view.ask("stop");
    });
    const line = [this.act, this.stopButton, this.status];
    this.node = grouped(
      "kit-because kit-drawer",
      "Why",
      this.pictures,
      div("kit-reason", this.headline, this.advice, div("kit-group", ...line)),
      this.folds,
      button("✕", "Close this report", () => this.close(), {
        class: "kit-close",
        "aria-label": "Close",
      }),
    );
    this.node.hidden = true;
  }

  /** The state that is shown: the one that was asked about, that with the fix, or another one. */
  moved(settings) {
    // Of another photo there is nothing to compare; an answer that is under way is still told.
    if (this.reason && !this.busy && settings.photo !== this.asked.photo) {
      this.#shut();
      return;
    }
    const place = this.valid.indexOf(stateOf(settings));
    const { guilty = [], button: text, fixed } = this.reason ?? {};
    this.view.path.blame(place === 0 ? guilty : [], place === 1 ? guilty : []);
    this.act.setAttribute("aria-disabled", place < 0);
    write(this.act, place === 1 ? "Go back" : (text ?? ""));
    const outdated = "This is about the state before your last change. Ask again.";
    if (!this.busy && this.reason && !this.stopped)
      write(this.status, place < 0 ? outdated : place === 1 ? fixed.mark : "");
    this.place = place;
  }

  progress(text) {
    if (text) this.#busy(true, `Looking for the cause: ${text} …`);
  }

  explain(content, pixels) {
    const { changes, stopped } = content;
    const found = content.headline !== undefined;
    this.asked = changes.settings;
    this.reason = found ? content : changes;
    this.valid = [this.asked, { ...this.asked, ...this.reason.apply }].map(stateOf);
    this.#paint(this.reason, pixels ?? []);
    this.folds.replaceChildren(...folded(changes, content));
    if (stopped || found) this.#busy(false, stopped ?? "");
    this.stopped = stopped;
    if (found && !this.view.more.hidden) this.view.open("because", true); // which was opened meanwhile
    this.moved(this.view.settings);
  }

  end(text) {
    if (!this.busy) return;
    this.#busy(false, text);
    this.stopped = text; // stays, whatever is moved
  }

  close() {
    this.view.ask("stop");
    this.#shut();
    this.ask.focus();
  }

  #shut() {
    this.#clear();
    this.view.path.blame([], []);
    this.view.open("because", false);
  }

  #ask() {
    if (this.busy) return;
    this.#clear();
    this.view.open("because", true);
    this.#busy(true, "Looking for the cause …");
    this.view.ask("why", { settings: this.view.settings });
  }

  #clear() {
    this.valid = [];
    this.reason = null;
    for (const part of [this.headline, this.advice, this.pictures, this.folds])
      part.replaceChildren();
    this.act.hidden = true;
  }

  #busy(on, text) {
    this.busy = on;
    // Not `disabled`, which would take the focus away from those who work with the keyboard.
    this.ask.setAttribute("aria-disabled", on);
    this.stopButton.hidden = !on;
    this.status.textContent = text;
  }

  #act() {
    this.stopped = "";
    if (this.place >= 0) this.view.take(this.place ? this.asked : this.reason.apply);
  }

  #paint({ headline, advice, apply, fixed, pictures }, pixels) {
    write(this.headline, headline);
    write(this.advice, advice);
    this.act.hidden = !apply;
    if (!pictures.length) return;
    const texts = [
      ["What the model gets", fixed.before],
      [fixed.title, fixed.after],
    ];
    const [before, after] = texts.map((text, index) => shown(text, pictures[index], pixels[index]));
    this.pictures.replaceChildren(before, "→", after);
  }
}

function shown([title, text], [height, width], pixels) {
  const picture = new Picture(title);
  picture.paint(bytesOf(pixels), width, height);
  const prediction = element("b", { text });
  const caption = element("figcaption", { class: "kit-long", text: title }, " ", prediction);
  return element("figure", { title: `${title}: ${text}` }, picture.canvas, caption);
}

/** What a person may want to know besides: each as a fold, if there is any. */
function folded({ lines }, { code, details }) {
  return Object.entries({ "Each change": lines.join("\n"), "As code": code, "How sure": details })
    .filter(([, text]) => text)
    .map(([title, text]) =>
      element("details", {}, element("summary", { text: title }), element("pre", { text })),
    );
}
