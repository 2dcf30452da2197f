// Noise fields as numpy draws them: PCG64, and the ziggurat of default_rng(seed).standard_normal(dtype=float32).
import { NOISE_STEPS } from "./pixels.js";

const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const TAIL = 3.6541528853610088; // where the last layer begins
const AREA = 0.00492867323399; // of each of the 256 layers
const SIZES = 2 ** 23;

/** Marsaglia and Tsang (2000): which sizes are inside a layer at once, its width, its height. */
const LAYERS = (() => {
  const [inside, width] = [new Float64Array(256), new Float32Array(256)];
  const height = new Float32Array(256);
  const density = (x) => Math.exp(-0.5 * x * x);
  let right = TAIL;
  inside[0] = Math.round((right * density(right) * SIZES) / AREA);
  width[0] = AREA / density(right) / SIZES;
  height[0] = 1;
  for (let layer = 255; layer >= 1; layer--) {
    width[layer] = right / SIZES;
    height[layer] = density(right);
    const left = layer > 1 ? Math.sqrt(-2 * Math.log(AREA / right + density(right))) : 0;
    inside[layer] = Math.round((left / right) * SIZES);
    right = left;
  }
  return { inside, width, height };
})();

/** Draw whole numbers of 32 bits; the state is eight parts of 16 bits, the lowest first. */
function generator({ state, inc }) {
  const parts = (text) =>
    Int32Array.from({ length: 8 }, (_, k) => Number((BigInt(text) >> BigInt(16 * k)) & 0xffffn));
  const [now, step, factor] = [state, inc, MULTIPLIER].map(parts);
  const before = new Int32Array(8);
  let high = -1; // the half of a number of 64 bits that is still to be given
  return () => {
    if (high >= 0) {
      const drawn = high;
      high = -1;
      return drawn;
    }
    before.set(now);
    let carry = 0;
    for (let k = 0; k < 8; k++) {
      let sum = step[k] + carry;
      for (let i = 0; i <= k; i++) sum += before[i] * factor[k - i];
      carry = Math.floor(sum / 65536);
      now[k] = sum - 65536 * carry;
    }
    const low = ((now[1] ^ now[5]) << 16) | (now[0] ^ now[4]);
    const top = ((now[3] ^ now[7]) << 16) | (now[2] ^ now[6]);
    const turn = now[7] >> 10;
    const by = turn & 31;
    const first = by ? (low >>> by) | (top << (32 - by)) : low;
    const second = by ? (top >>> by) | (low << (32 - by)) : top;
    high = (turn & 32 ? first : second) >>> 0;
    return (turn & 32 ? second : first) >>> 0;
  };
}

/** Draw samples of a normal distribution, in float32 arithmetic. */
function normal(draw) {
  const { inside, width, height } = LAYERS;
  const share = () => Math.fround((draw() >>> 8) / 2 ** 24);
  const logarithm = () => Math.fround(Math.log1p(-share()));
  const tail = (negative) => {
    for (;;) {
      const beyond = Math.fround(-Math.fround(1 / TAIL) * logarithm());
      const other = -logarithm();
      if (other + other > beyond * beyond) return negative ? -(TAIL + beyond) : TAIL + beyond;
    }
  };
  return () => {
    for (;;) {
      const bits = draw();
      const layer = bits & 255;
      const size = bits >>> 9;
      const x = Math.fround(size * width[layer]) * (bits & 256 ? -1 : 1);
      if (size < inside[layer]) return x;
      if (layer === 0) return tail((size >>> 8) & 1);
      const place = Math.fround(Math.fround(height[layer - 1] - height[layer]) * share());
      if (Math.fround(place + height[layer]) < Math.exp(-0.5 * x * x)) return x;
    }
  };
}

const WHOLE = 1.5 * 2 ** 52; // so large that doubles beside it have no fraction

/** Round half to the even number, as Python and numpy do. */
export const even = (value) => value + WHOLE - WHOLE;

/** Draw values of the field of a seed, whose generator begins so: whole numbers, NOISE_STEPS for a standard deviation. */
export function noiseSteps(state) {
  const sample = normal(generator(state));
  return () => even(Math.fround(Math.fround(sample()) * NOISE_STEPS)); // of 16 bits but for one in 10 ** 15
}
