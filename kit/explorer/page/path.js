// @ts-check
// The way of the picture as a row of chips; those that can be changed are menus.
import { element, write } from "./dom.js";

const SAMPLE = "sample:"; // in front of a step, for an option that shows the photograph on which the step acts

export class PathView {
  /**
   * @param {any[]} specs
   * @param {string} prefix
   * @param {{ changed: (key: string, value: string) => void, sample: (step: string) => void, open: (key: string) => void }} events
   */
  constructor(specs, prefix, events) {
    this.chips = new Map(specs.map((spec) => [spec.key, chip(spec, prefix, events)]));
    this.node = element("div", { class: "kit-path", role: "group", "aria-label": "From the file to the answer" },
      ...[...this.chips.values()].map((each) => each.node));
  }

  paint(values) {
    for (const [key, chip] of this.chips) {
      const { node, value, select, sample } = chip;
      const told = values[key];
      // Most stay as they are while a slider moves.
      const state = JSON.stringify([told, select?.value]);
      if (state === chip.state) continue;
      chip.state = state;
      write(value, told.value);
      const title = told.idle || told.value;
      if (value.title !== title) value.title = title;
      node.classList.toggle("kit-changed", told.changed);
      node.classList.toggle("kit-idle", told.idle !== "");
      if (!sample) continue;
      sample.hidden = told.idle === "";
      sample.label = told.idle;
      for (const option of select.querySelectorAll(":scope > option")) option.disabled = told.idle !== "" && option.value !== select.value;
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
    const node = element(opens ? "button" : "div", { class: "kit-chip", type: opens && "button", "data-chip": spec.key }, label, value);
    if (opens) node.addEventListener("click", () => events.open(opens));
    return { node, value, select: null, sample: null, state: "" };
  }
  const id = `${prefix}-${spec.key}`;
  const select = element("select", { id, title: spec.hint, "data-key": spec.key, "aria-label": spec.label });
  for (const [name, text] of spec.options) select.append(element("option", { value: name, text }));
  const sample = spec.sample
    ? element("optgroup", { hidden: true }, element("option", { value: SAMPLE + spec.key, text: `Show ${spec.sample}` })) : null;
  if (sample) select.append(sample);
  let last = "";
  select.addEventListener("focus", () => { last = select.value; });
  select.addEventListener("change", () => {
    if (!select.value.startsWith(SAMPLE)) return events.changed(spec.key, select.value);
    select.value = last;
    return events.sample(spec.key);
  });
  const node = element("div", { class: "kit-chip kit-choice", "data-chip": spec.key }, label, value, select);
  return { node, value, select, sample, state: "" };
}
