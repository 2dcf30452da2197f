// A walk along a slider to where the prediction changes, by what is painted on the way.
import { button } from "./dom.js";

const STEPS = 60; // at most, from one end of the slider to the other

export class Flip {
  constructor(spec, events) {
    this.spec = spec;
    this.events = events;
    this.running = false;
    this.text = spec.group === "main" ? "Find the flip" : "⇥";
    this.button = button(
      "",
      `Move ${spec.label} to where the prediction changes`,
      () => (this.running ? this.stop() : this.#start()),
      { class: "kit-flip" },
    );
    this.#label();
  }

  painted(value, name) {
    if (!this.running || value !== this.at) return;
    this.at = NaN;
    this.name ||= name; // at the start, where what stood there before may be of another state
    if (name === this.name) this.same = value ?? this.here;
    else Object.assign(this, { other: value, becomes: name });
    // In the next frame, for people to see the walk where the predictions are known ahead.
    requestAnimationFrame(
      () => this.running && (this.other === null ? this.#walk() : this.#halve(value)),
    );
  }

  stop(text = "") {
    if (!this.running) return;
    this.running = false;
    this.#label();
    this.events.say(text);
  }

  /** Away from neutral first, then the other way. */
  #start() {
    const { high, low, neutral, step } = this.spec;
    const value = this.events.now();
    const off = high + step; // where a parameter without a neutral number is off
    const here = value ?? off;
    const stride = step * Math.max(1, Math.ceil((high - low) / step / STEPS));
    const leg = (end) => {
      const count = Math.max(0, Math.ceil(Math.abs(end - here) / stride - 1e-6));
      return Array.from({ length: count }, (_, index) =>
        this.#round(
          here + Math.sign(end - here) * Math.min((index + 1) * stride, Math.abs(end - here)),
        ),
      );
    };
    const legs = here < (neutral ?? off + step) ? [leg(low), leg(high)] : [leg(high), leg(low)];
    // `same` is the last place with the same prediction, `other` the nearest with another one.
    Object.assign(this, {
      from: value,
      here,
      name: "",
      legs,
      same: here,
      other: null,
      becomes: "",
      running: true,
    });
    this.#label();
    this.#go(value);
  }

  #walk() {
    if (this.legs[0]?.length) {
      this.#go(this.legs[0].shift());
      return;
    }
    this.legs.shift();
    if (this.legs.length) this.#walk();
    else {
      this.events.move(this.from);
      this.stop(`${this.spec.label} does not change the prediction: it stays ${this.name}.`);
    }
  }

  #halve(value) {
    const { same, other } = this;
    const { label, snaps, step, unit, whole } = this.spec;
    const middle = this.#round((same + other) / 2);
    if (
      Math.abs(same - other) > (snaps ? step : whole ? 1 : step / 10) * 1.001 &&
      middle !== same &&
      middle !== other
    )
      this.#go(middle);
    else if (value === other)
      this.stop(`${`${label} ${other} ${unit}`.trim()}: ${this.name} becomes ${this.becomes}.`);
    else this.#go(other);
  }

  #go(value) {
    this.at = value;
    this.events.move(value);
  }

  #label() {
    this.button.textContent = this.running ? "Stop" : this.text;
    this.button.setAttribute(
      "aria-label",
      `${this.running ? "Stop" : "Find the flip"}: ${this.spec.label}`,
    );
  }

  #round(value) {
    const decimals = (String(this.spec.step).split(".")[1] ?? "").length;
    return Number(value.toFixed(this.spec.whole ? 0 : decimals + 1));
  }
}
