// @ts-check
// Sliders and switches: each has an element, shows a value, and calls `changed(key, value)`.
import { element } from "./dom.js";

function rangeControl(spec, id, changed, near) {
  // A parameter without a neutral number is off; the place after its last number stands for that.
  const off = spec.neutral === null;
  const last = off ? spec.high + spec.step : spec.high;
  const common = { min: spec.low, title: spec.hint };
  const slider = element("input", { ...common, type: "range", id, max: last, step: spec.step, "data-key": spec.key });
  const box = element("input", {
    ...common, type: "number", max: spec.high, step: "any", "aria-label": `${spec.label}, exact value`, placeholder: off ? "off" : "",
  });
  const node = element("div", { class: "kit-range" }, element("label", { for: id, text: spec.label }), slider, box,
    element("span", { class: "kit-unit", text: spec.unit, "aria-hidden": "true" }));
  const show = (value) => {
    slider.value = value ?? last;
    if (document.activeElement !== box) box.value = value ?? "";
    slider.setAttribute("aria-valuetext", value === null ? "off" : `${value} ${spec.unit}`.trim());
    node.classList.toggle("kit-changed", value !== spec.neutral);
  };
  const change = (text) => {
    const number = Number(text);
    const empty = text === "" || (off && number > spec.high);
    const inside = Math.min(spec.high, Math.max(spec.low, number));
    const value = empty ? spec.neutral : spec.whole ? Math.round(inside) : inside;
    show(value);
    changed(spec.key, value);
    return value;
  };
  slider.addEventListener("input", () => change(slider.value));
  slider.addEventListener("dblclick", () => change(""));
  for (const event of ["pointerenter", "focus"]) slider.addEventListener(event, () => near(spec.key));
  box.addEventListener("input", () => box.value !== "" && box.validity.valid && change(box.value));
  box.addEventListener("change", () => { box.value = change(box.value) ?? ""; });
  return { key: spec.key, show, around: (value, most) => around(spec, value, most), node };
}

/** The nearest `most` places of a slider, the nearest first. */
export function around({ low, high, step }, value, most) {
  const decimals = (String(step).split(".")[1] ?? "").length;
  const place = (index) => Number((low + index * step).toFixed(decimals));
  const last = Math.round((high - low) / step);
  const here = Math.round((value - low) / step);
  const indices = Array.from({ length: last + 1 }, (_, index) => index);
  return indices.sort((a, b) => Math.abs(a - here) - Math.abs(b - here)).slice(0, most).map(place);
}

function switchControl(spec, id, changed) {
  const box = element("input", { type: "checkbox", id, title: spec.hint, "data-key": spec.key });
  box.addEventListener("change", () => changed(spec.key, box.checked));
  const node = element("div", { class: "kit-range" }, element("label", { for: id, text: spec.label }), box);
  return { key: spec.key, show: (value) => { box.checked = value; }, node };
}

export const CONTROLS = { range: rangeControl, switch: switchControl };
