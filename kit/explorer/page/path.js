// The way of the image as a row of chips; those that can be changed are menus.
import { element, writeLong } from "./dom.js";

export class PathView {
  constructor(specs, prefix, events) {
    this.chips = new Map(specs.map((spec) => [spec.key, chip(spec, prefix, events)]));
    this.node = element(
      "div",
      { class: "kit-path", role: "group", "aria-label": "From the file to the prediction" },
      ...[...this.chips.values()].map((each) => each.node),
    );
  }

  paint(values) {
    for (const [key, chip] of this.chips) {
      const { node, value, select } = chip;
      const told = values[key];
      // Most stay as they are while a slider moves.
      const state = JSON.stringify([told, select?.value]);
      if (state === chip.state) continue;
      chip.state = state;
      writeLong(value, told.value);
      node.classList.toggle("kit-changed", told.changed);
      node.hidden = told.hidden;
    }
  }

  /** Mark the chips of the steps that are to blame. */
  blame(keys) {
    for (const [key, { node, select }] of this.chips) {
      node.classList.toggle("kit-guilty", keys.includes(key));
      (select ?? node).setAttribute("aria-description", keys.includes(key) ? "the cause" : "");
    }
  }

  show(settings) {
    for (const [key, { select }] of this.chips) if (select) select.value = settings[key];
  }
}

function chip(spec, prefix, events) {
  const value = element("span", { class: "kit-chip-value" });
  const label = element("span", { class: "kit-chip-label", text: spec.label });
  if (!spec.options) {
    const opens = { perturbation: "more", tensor: "tensor" }[spec.key];
    const node = element(
      opens ? "button" : "div",
      { class: "kit-chip", type: opens && "button", "data-chip": spec.key },
      label,
      value,
    );
    if (opens) node.addEventListener("click", () => events.open(opens));
    return { node, value, select: null, state: "" };
  }
  const id = `${prefix}-${spec.key}`;
  const select = element("select", { id, "data-key": spec.key, "aria-label": spec.label });
  for (const [name, text] of spec.options) select.append(element("option", { value: name, text }));
  select.addEventListener("change", () => events.changed(spec.key, select.value));
  const node = element(
    "div",
    { class: "kit-chip kit-choice", "data-chip": spec.key },
    label,
    value,
    select,
  );
  return { node, value, select, state: "" };
}
