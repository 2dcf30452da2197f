// Sliders and switches: each has an element, shows a value, and calls `changed(key, value)`.
import { div, element } from "./dom.js";

function rangeControl(spec, id, view) {
  // A parameter without a neutral number is off; the place after its last number stands for that.
  const off = spec.neutral === null;
  const last = off ? spec.high + spec.step : spec.high;
  const slider = element("input", {
    min: spec.low,
    title: spec.hint,
    type: "range",
    id,
    max: last,
    step: spec.step,
    "data-key": spec.key,
  });
  const box = element("input", {
    type: "text",
    inputmode: "decimal",
    class: "kit-box",
    title: spec.hint,
    "aria-label": `${spec.label}, exact value`,
    placeholder: off ? "off" : "",
  });
  const caption = element("label", { for: id, class: "kit-long", text: spec.label });
  const node = div("kit-range", caption, slider, box);
  const show = (value) => {
    slider.value = value ?? last;
    if (document.activeElement !== box) box.value = value ?? "";
    slider.setAttribute("aria-valuetext", value === null ? "off" : `${value} ${spec.unit}`.trim());
    node.classList.toggle("kit-changed", value !== spec.neutral);
  };
  const change = (text) => {
    const number = numberOf(text);
    const empty = text.trim() === "" || (off && number > spec.high);
    const near = Math.min(spec.high, Math.max(spec.low, number));
    const [place] = spec.snaps ? around(spec, near, 1) : [near];
    const value = empty ? spec.neutral : place;
    show(value);
    view.changed(spec.key, value);
    return value;
  };
  slider.addEventListener("input", () => change(slider.value));
  slider.addEventListener("dblclick", () => change(""));
  for (const event of ["pointerenter", "focus"])
    slider.addEventListener(event, () => view.tell("near", spec.key));
  box.addEventListener("change", () => {
    box.value = change(Number.isNaN(numberOf(box.value)) ? slider.value : box.value) ?? "";
  });
  return { spec, show, around: (value, most) => around(spec, value, most), node };
}

/** A number as people write it, with a point or a comma; NaN for what is none. */
function numberOf(text) {
  return Number(text.replace(",", "."));
}

export function placesOf({ low, high, step }) {
  const decimals = (String(step).split(".")[1] ?? "").length;
  const count = Math.round((high - low) / step) + 1;
  return Array.from({ length: count }, (_, k) => Number((low + k * step).toFixed(decimals)));
}

/** The nearest `most` places of a slider, the nearest first. */
export function around(spec, value, most) {
  const distance = (place) => Math.round(1e6 * Math.abs(place - value)); // of two as near the lower one is first
  return placesOf(spec)
    .sort((a, b) => distance(a) - distance(b))
    .slice(0, most);
}

function switchControl(spec, id, view) {
  const { key, label, hint } = spec;
  const box = element("input", { type: "checkbox", id, title: hint, "data-key": key });
  box.addEventListener("change", () => view.changed(key, box.checked));
  const node = div("kit-range", element("label", { for: id, class: "kit-long", text: label }), box);
  const show = (value) => Object.assign(box, { checked: value });
  return { spec, show, node };
}

export const CONTROLS = { range: rangeControl, switch: switchControl };
