// The answer to be read from the back row, and the bars.
import { button, div, element, write, writeLong } from "./dom.js";

const SETTLED_MS = 500; // silence after which the sentence for screen readers is renewed

export class AnswerView {
  constructor(say, caption) {
    this.name = element("span", { class: "kit-name kit-long" });
    this.share = element("span", { class: "kit-share" });
    this.mark = button("Label it", "Say what the image shows", say);
    this.note = element("span", { class: "kit-note-line kit-long" });
    this.status = element("p", { class: "kit-status", role: "status" });
    this.rows = element("tbody");
    const marks = ["0", "50", "100 %"].map((text) => element("span", { text }));
    const scale = element("td", { class: "kit-scale", "aria-hidden": "true" }, ...marks);
    const head = (name, text) => element("th", { scope: "col", class: name, text });
    const columns = [
      head("kit-long", "Class"),
      scale,
      head("kit-value", "Now"),
      head("kit-value kit-was", "Original"),
      head("kit-value kit-even", "Calibrated"),
    ];
    for (const part of [this.name, this.share, this.note]) part.setAttribute("aria-hidden", "true"); // the status says it
    this.node = div(
      "kit-answer",
      div("kit-verdict", element("div", {}, this.name, this.share, this.mark), this.note),
      this.status,
      element(
        "table",
        { class: "kit-bars" },
        element("caption", { text: caption }),
        element("thead", {}, element("tr", {}, ...columns)),
        this.rows,
      ),
    );
  }

  paint({ answer, bars, verdict }) {
    writeLong(this.name, answer.name);
    write(this.share, answer.share);
    write(this.mark, answer.mark || "Label it");
    this.mark.className = `kit-mark kit-long kit-${answer.state || "unknown"}`;
    write(this.note, answer.note);
    this.#paintBars(bars);
    clearTimeout(this.settled);
    this.settled = setTimeout(() => write(this.status, verdict), SETTLED_MS);
  }

  #paintBars(bars) {
    if (this.rows.children.length !== bars.length)
      this.rows.replaceChildren(...bars.map(() => emptyLine()));
    for (const [place, row] of bars.entries()) {
      const line = this.rows.children[place];
      const [name, track, text, ghostText, calibratedText] = line.children;
      writeLong(name, row.name);
      write(text, row.text);
      write(ghostText, row.ghostText);
      line.className = `${row.top ? "kit-top" : ""} ${row.expected ? "kit-expected" : ""} ${row.index < 0 ? "kit-others" : ""}`;
      write(calibratedText, row.calibratedText);
      for (const [part, share] of [row.ghost, row.value, row.calibrated].entries())
        track.children[part].style.transform = `scaleX(${share})`;
    }
  }
}

function emptyLine() {
  const parts = ["kit-ghost", "kit-bar", "kit-thin"].map((name) => element("i", { class: name }));
  const value = (name) => element("td", { class: `kit-value ${name}` });
  return element(
    "tr",
    {},
    element("th", { scope: "row", class: "kit-long" }),
    element("td", { class: "kit-track", "aria-hidden": "true" }, ...parts),
    value(""),
    value("kit-was"),
    value("kit-even"),
  );
}
