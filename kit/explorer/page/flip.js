// A walk along a slider to where the prediction changes, by what is painted on the way.
import { placesOf } from "./controls.js";
import { button, write } from "./dom.js";

const STEPS = 60; // at most, from one end of the slider to the other

export class Flip {
  constructor(spec, view) {
    this.spec = spec;
    this.view = view;
    this.running = false;
    this.text = spec.group === "main" ? "Find the flip" : "⇥";
    this.button = button("", `Move ${spec.label} to where the prediction changes`, () =>
      this.running ? this.stop() : this.#start(),
    );
    this.#label();
  }

  painted(value, name) {
    if (!this.running || value !== this.at) return;
    this.at = NaN;
    this.name ||= name; // at the start, where what stood there before may be of another state
    // In the next frame, for people to see the walk where the predictions are known ahead.
    requestAnimationFrame(() => this.running && this.#next(value, name));
  }

  stop(text = "") {
    if (!this.running) return;
    this.running = false;
    this.#label();
    write(this.view.done, text);
  }

  /** Away from neutral first, then back and the other way. */
  #start() {
    const { high, neutral, step } = this.spec;
    this.off = high + step; // where a parameter without a neutral number is off
    this.places = placesOf(this.spec);
    this.stride = Math.ceil(this.places.length / STEPS);
    const from = this.view.settings[this.spec.key];
    const here = from ?? this.off;
    const up = this.#thinned(this.places.filter((place) => place > here));
    const down = this.#thinned(this.places.filter((place) => place < here).reverse());
    const way = here < (neutral ?? Infinity) ? [...down, from, ...up] : [...up, from, ...down];
    Object.assign(this, { way: [...way, from], name: "", same: from, running: true });
    this.#label();
    this.#go(from);
  }

  #thinned(leg) {
    return leg.filter((_, k) => (k + 1) % this.stride === 0 || k === leg.length - 1);
  }

  #next(value, name) {
    const { label, unit } = this.spec;
    if (name === this.name) {
      this.same = value;
      if (this.way.length) this.#go(this.way.shift());
      else this.stop(`${label} does not change the prediction: it stays ${name}.`);
    } else if (this.stride > 1) {
      this.stride = 1;
      this.way = this.#between(this.same ?? this.off, value);
      this.#go(this.way.shift());
    } else this.stop(`${`${label} ${value} ${unit}`.trim()}: ${this.name} becomes ${name}.`);
  }

  /** Places that were passed over on the way to the last one, which is among them. */
  #between(start, end) {
    const passed = this.places.filter((place) => (place - start) * (place - end) < 0);
    return [...(end < start ? passed.reverse() : passed), end];
  }

  #go(value) {
    this.at = value;
    this.view.put({ [this.spec.key]: value });
  }

  #label() {
    const name = this.running ? "Stop" : "Find the flip";
    this.button.textContent = this.running ? name : this.text;
    this.button.setAttribute("aria-label", `${name}: ${this.spec.label}`);
  }
}
