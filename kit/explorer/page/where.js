// Where the model sees a class: a map over its input, which the kernel makes; one by occlusion comes row by row.
import { button, element, writeLong } from "./dom.js";
import { Picture } from "./picture.js";
import { bytesOf } from "./preview.js";

export class Where {
  constructor(view) {
    this.view = view;
    this.picture = new Picture("Model input");
    this.busy = false;
    this.options = "";
    this.button = button(
      "Where?",
      "Show where in the image the model sees a class",
      () => view.look(view.settings.where === null ? -1 : null),
      { "aria-pressed": "false", hidden: view.panel.map === null },
    );
    this.choice = element("select", { "aria-label": "Class of the map" });
    this.choice.addEventListener("change", () => view.look(Number(this.choice.value)));
    this.title = element("span", { class: "kit-long", text: "Model input" });
    this.text = element("p", { class: "kit-where kit-long" });
    this.caption = element(
      "figcaption",
      { class: "kit-under kit-long" },
      this.title,
      this.choice,
      this.button,
    );
  }

  /** Paint what the model sees: its pixels, and over them the places of the map, which follow them. */
  paint(content, bytes, places = bytes.subarray(3 * content.input.width * content.input.height)) {
    const { input, where } = content;
    this.busy = false;
    this.shown = { content, bytes };
    this.picture.paint(bytes, input.width, input.height);
    this.#tell(content);
    if (!where) return;
    const { canvas, context } = this.picture;
    const map = element("canvas", { width: where.width, height: where.height });
    const cells = new Uint8ClampedArray(places.slice(0, 4 * where.width * where.height));
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

  /** Ask for the next row of a map that is not whole, while no hand moves. */
  ask() {
    if (this.busy || !this.shown?.content.where?.waits) return;
    this.busy = true;
    this.view.ask("where");
  }

  heard({ settings, where }, [places]) {
    const { content, bytes } = this.shown;
    if (JSON.stringify(settings) === JSON.stringify(content.settings))
      this.paint({ ...content, where }, bytes, bytesOf(places));
  }
}
