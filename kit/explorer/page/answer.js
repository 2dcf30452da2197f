// @ts-check
// The answer to be read from the back row, and the bars.
import { button, element, write } from "./dom.js";

const SETTLED_MS = 500; // silence after which the sentence for screen readers is renewed
const MOTION_MS = 180;
const APART_MS = 400; // answers that follow each other faster are a drag: no eye follows the rows then, and each frame costs

export class AnswerView {
  /** @param {() => void} say a person wants to say what the image shows */
  constructor(say) {
    this.name = element("span", { class: "kit-name" });
    this.share = element("span", { class: "kit-share" });
    this.mark = button("It is …", "Say what the image shows", say);
    this.note = element("span", { class: "kit-note-line" });
    this.status = element("p", { class: "kit-status", role: "status" });
    this.caption = element("caption");
    this.rows = element("tbody");
    /** @type {Map<number, any>} */
    this.lines = new Map();
    this.settled = 0;
    this.paintedAt = -Infinity;
    const columns = [["", "Class"], ["kit-scale", ""], ["kit-value", "Now"], ["kit-value kit-was", "Untouched"], ["kit-value kit-even", "Calibrated"]];
    const head = columns.map(([name, text]) => (name === "kit-scale"
      ? element("td", { class: name, "aria-hidden": "true" }, ...["0", "50", "100 %"].map((mark) => element("span", { text: mark })))
      : element("th", { scope: "col", class: name || null, text })));
    for (const part of [this.name, this.share, this.note]) part.setAttribute("aria-hidden", "true"); // the status says it
    this.verdict = element("div", { class: "kit-verdict" },
      element("div", {}, this.name, this.share, this.mark), this.note);
    this.fix = null; // what was applied, shown in the verdict's place as long as its settings are
    this.event = element("div", { class: "kit-event", role: "group", "aria-label": "What the fix did", hidden: true });
    this.node = element("div", { class: "kit-answer" }, this.verdict, this.event, this.status,
      element("table", { class: "kit-bars" }, this.caption, element("thead", {}, element("tr", {}, ...head)), this.rows));
  }

  /** Show what a fix does, once the prediction with it is painted. */
  applied(fix) {
    const { before, after, mark } = fix.fixed;
    const undo = button("Undo", "Back to the state before the fix", () => {
      this.fix = null;
      fix.undo();
    });
    this.fix = { ...fix, undo, waits: true };
    this.event.replaceChildren(
      element("figure", {}, copied(fix.canvas), element("figcaption", { class: "kit-lost-name", text: before })), element("span", { text: "→" }),
      element("figure", {}, element("canvas"), element("figcaption", {}, element("b", { text: after }))),
      element("span", { class: `kit-mark ${mark.startsWith("✓") ? "kit-right" : "kit-unknown"}`, text: mark }), undo);
  }

  #paintFix(settings) {
    const { fix } = this;
    const shown = fix !== null && JSON.stringify(settings) === fix.settings;
    this.verdict.hidden = shown;
    this.event.hidden = !shown;
    if (!shown || !fix.waits) return;
    this.event.querySelectorAll("canvas")[1].replaceWith(copied(fix.canvas));
    fix.waits = false;
    fix.undo.focus();
  }

  paint({ answer, bars, settings, verdict }) {
    this.#paintFix(settings);
    write(this.name, answer.name);
    if (this.name.title !== answer.name) this.name.title = answer.name; // a long one is cut off
    write(this.share, answer.share);
    write(this.mark, answer.mark || "It is …");
    this.mark.className = `kit-mark kit-${answer.state || "unknown"}`;
    write(this.note, answer.note);
    const now = performance.now();
    this.#paintBars(bars, now - this.paintedAt > APART_MS);
    this.paintedAt = now;
    clearTimeout(this.settled);
    this.settled = setTimeout(() => { write(this.status, verdict); }, SETTLED_MS);
  }

  stop() {
    clearTimeout(this.settled);
  }

  #paintBars(bars, alone) {
    const order = bars.map((row) => row.index);
    const before = [...this.lines.keys()];
    const same = order.length === before.length && order.every((index, place) => index === before[place]);
    if (!same) this.#reorder(order, alone);
    for (const row of bars) {
      const line = this.lines.get(row.index);
      const [name, track, text, ghostText, calibratedText] = line.children;
      write(name, row.name);
      if (name.title !== row.name) name.title = row.name;
      write(text, row.text);
      write(ghostText, row.ghostText);
      const className = `${row.top ? "kit-top" : ""} ${row.expected ? "kit-expected" : ""} ${row.index < 0 ? "kit-others" : ""}`;
      if (line.className !== className) line.className = className;
      line.dataset.value = row.value;
      track.children[0].style.transform = `scaleX(${row.ghost})`;
      track.children[1].style.transform = `scaleX(${row.value})`;
      if (row.calibrated === null) continue;
      write(calibratedText, row.calibratedText);
      track.children[2].style.transform = `scaleX(${row.calibrated})`;
    }
  }

  /** Put the lines in this order; those that stay move to their new places, where motion is welcome and can be followed. */
  #reorder(order, alone) {
    const still = !alone || matchMedia("(prefers-reduced-motion: reduce)").matches;
    const tops = new Map(still ? [] : [...this.lines].map(([index, line]) => [index, line.offsetTop]));
    const lines = order.map((index) => [index, this.lines.get(index) ?? emptyLine()]);
    this.lines = new Map(/** @type {[number, any][]} */ (lines));
    this.rows.replaceChildren(...this.lines.values());
    if (still) return;
    for (const [index, line] of this.lines) {
      const top = tops.get(index);
      const moved = top === undefined ? 0 : top - line.offsetTop;
      if (moved) line.animate([{ transform: `translateY(${moved}px)` }, { transform: "none" }], { duration: MOTION_MS, easing: "ease-out" });
    }
  }
}

function emptyLine() {
  const parts = ["kit-ghost", "kit-bar", "kit-thin"].map((name) => element("i", { class: name }));
  const value = (name) => element("td", { class: `kit-value ${name}` });
  return element("tr", {}, element("th", { scope: "row" }), element("td", { class: "kit-track", "aria-hidden": "true" }, ...parts),
    value(""), value("kit-was"), value("kit-even"));
}

/** A canvas with what another one shows now. */
function copied(canvas) {
  const { width, height } = canvas;
  const copy = element("canvas", { width, height, "aria-hidden": "true" });
  if (width * height) copy.getContext("2d").drawImage(canvas, 0, 0);
  return copy;
}
