// The way of the image as a line of chips; those that can be changed are menus, and those that do nothing are folded.
import { button, element, grouped, writeLong } from "./dom.js";

export class PathView {
  constructor(view) {
    this.chips = new Map(view.panel.path.map((spec) => [spec.key, chip(spec, view)]));
    this.others = button("…", "Show the steps that do nothing here", () => {
      this.others.setAttribute("aria-expanded", String(this.node.classList.toggle("kit-all")));
    });
    this.others.setAttribute("aria-expanded", "false");
    this.others.setAttribute("aria-label", "Other steps");
    const chips = [...this.chips.values()].map(({ node }) => node);
    this.node = grouped("kit-path", "From the file to the prediction", ...chips, this.others);
  }

  paint(values) {
    for (const [key, { node, value }] of this.chips) {
      const step = values[key];
      writeLong(value, step.value);
      node.classList.toggle("kit-changed", step.changed);
      node.classList.toggle("kit-idle", step.hidden);
    }
  }

  blame(guilty, fixed) {
    for (const [key, { node, select }] of this.chips) {
      node.classList.toggle("kit-guilty", guilty.includes(key));
      node.classList.toggle("kit-fixed", fixed.includes(key));
      const said = guilty.includes(key) ? "the cause" : fixed.includes(key) ? "fixed" : "";
      (select ?? node).setAttribute("aria-description", said);
    }
  }

  show(settings) {
    for (const [key, { select }] of this.chips) if (select) select.value = settings[key];
  }
}

function chip({ key, label, options }, view) {
  const value = element("span", { class: "kit-chip-value kit-long" });
  const node = element(
    "div",
    { class: `kit-chip ${options ? "kit-choice" : ""}`, "data-chip": key },
    element("span", { class: "kit-chip-label kit-long", text: label }),
    " ", // for those who hear it
    value,
  );
  if (!options) return { node, value, select: null };
  const rows = options.map(([name, text]) => element("option", { value: name, text }));
  const attributes = { id: `${view.prefix}-${key}`, "data-key": key, "aria-label": label };
  const select = element("select", attributes, ...rows);
  select.addEventListener("change", () => view.changed(key, select.value));
  node.append(select);
  return { node, value, select };
}
