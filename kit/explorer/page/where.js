// @ts-check
// Where the model sees a class: a map over its input, which the kernel makes.
import { button, element, writeLong } from "./dom.js";

export class Where {
  /** @param {any} picture @param {{ changed: (where: number | null) => void, toggled: () => void }} events */
  constructor(picture, events) {
    this.picture = picture;
    this.events = events;
    this.options = "";
    this.button = button(
      "Where?",
      "Show where in the image the model sees a class",
      () => events.toggled(),
      { "aria-pressed": "false" },
    );
    this.choice = element("select", { "aria-label": "Class of the map" });
    this.choice.addEventListener("change", () => events.changed(Number(this.choice.value)));
    this.title = element("span", { text: "Model input" });
    this.text = element("p", { class: "kit-where" });
    this.caption = element(
      "figcaption",
      { class: "kit-under" },
      this.title,
      this.choice,
      this.button,
    );
  }

  /** Paint what the model sees: its pixels, and over them the places of the map, which follow them. */
  paint(content, bytes) {
    const { input, where } = content;
    this.picture.paint(bytes, input.width, input.height);
    this.#tell(content);
    if (!where) return;
    const { canvas, context } = this.picture;
    const map = element("canvas", { width: where.width, height: where.height });
    const start = 3 * input.width * input.height;
    const cells = new Uint8ClampedArray(bytes.slice(start, start + 4 * where.width * where.height));
    map.getContext("2d").putImageData(new ImageData(cells, where.width, where.height), 0, 0);
    context.drawImage(map, 0, 0, canvas.width, canvas.height);
  }

  #tell({ settings, where, bars }) {
    this.button.setAttribute("aria-pressed", String(Boolean(where)));
    this.choice.hidden = !where;
    this.title.hidden = Boolean(where);
    writeLong(this.text, where ? where.about : "");
    if (!where) return;
    const named = bars.filter(({ index }) => index >= 0).map(({ index, name }) => [index, name]);
    const classes = new Map([[settings.where, where.name], ...named, [-1, "predicted"]]);
    const options = JSON.stringify([...classes]);
    if (options !== this.options)
      this.choice.replaceChildren(
        ...[...classes].map(([value, text]) => element("option", { value, text })),
      );
    this.options = options;
    this.choice.value = settings.where;
  }
}
