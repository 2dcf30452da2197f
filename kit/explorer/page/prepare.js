// The preprocessing of a page without Python, bit for bit: from RGB bytes to the tensor, and from a tensor to what it shows.
// An image is { data, width, height }, of three channels a pixel; data are whole numbers 0..255, or float32.
import { even } from "./noise.js";

const f32 = Math.fround;
const TOLERANCE = 1e-6; // of pixels, as in kit.preprocessing.resizing
const BITS = 22; // of the fractions in Pillow's weights
const HALF = 1 << (BITS - 1); // for rounding

const triangle = (x) => Math.max(0, 1 - Math.abs(x));
const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));
const hamming = (x) =>
  Math.abs(x) < 1 ? sinc(x) * (f32(0.54) + f32(0.46) * Math.cos(Math.abs(x) * Math.PI)) : 0;

/** Cubic convolution (R. Keys, 1981). */
function keys(distance, a = -0.5) {
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/** Pillow's antialiased filters: radius and weight. */
const PILLOW = {
  box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
  bilinear: [1, triangle],
  hamming: [1, hamming],
  bicubic: [2, keys],
  lanczos: [3, (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0)],
};

/** Pixels start .. stop become `resized`, of which `count` from `offset` on land at `before`. */
function axisOf(length, other, side, otherSide, { fit, crop_fraction: fraction }) {
  const axis = { start: 0, stop: length, resized: side, offset: 0, count: side, before: 0 };
  if (fit === "crop") {
    const largest = Math.min(length, Math.floor((other * side) / otherSide));
    const size = Math.max(1, Math.trunc(largest * fraction + TOLERANCE));
    axis.start = Math.floor((length - size) / 2);
    axis.stop = axis.start + size;
  } else if (fit.startsWith("letterbox")) {
    axis.count = Math.max(1, Math.min(side, even((length / other) * otherSide)));
    axis.resized = axis.count;
    const border = (side - axis.count) / 2;
    axis.before = fit === "letterbox" ? even(border) : Math.trunc(border);
    if (fit === "letterbox_corner") axis.before = 0;
  } else if (fit.endsWith("_crop")) {
    axis.resized = Math.trunc(side / fraction + TOLERANCE);
    const shorter = Math.trunc(otherSide / fraction + TOLERANCE);
    if (fit === "resize_crop")
      axis.resized = Math.max(axis.resized, Math.trunc((shorter * length) / other));
    axis.offset = even((axis.resized - side) / 2);
  }
  return axis;
}

// -- Pillow's filters, of which each rounds to whole numbers

function boxOf({ start, stop, resized, offset, count }) {
  const scale = (stop - start) / resized;
  const end = start + (offset + count) * scale;
  return [f32(start + offset * scale), f32(Math.min(end, stop))];
}

/** First pixel and weights of each of `count` pixels; see precompute_coeffs in Pillow's Resample.c. */
function pillowTaps(length, [low, high], count, [radius, weigh]) {
  const scale = f32(high - low) / count;
  const widening = Math.max(1, scale);
  return Array.from({ length: count }, (_, place) => {
    const centre = low + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - radius * widening + 0.5));
    const end = Math.min(length, Math.trunc(centre + radius * widening + 0.5));
    const shares = Array.from({ length: Math.max(0, end - first) }, (_unused, k) =>
      weigh((k + first - centre + 0.5) * (1 / widening)),
    );
    const total = shares.reduce((sum, share) => sum + share, 0) || 1;
    const weights = shares.map((share) => (share / total) * 2 ** BITS);
    return [first, Int32Array.from(weights, (w) => Math.trunc(w < 0 ? w - 0.5 : w + 0.5))];
  });
}

/** One pass: pixels that lie `step` bytes apart in each of `count` blocks become the weighted sums of `taps`. */
function along(data, count, step, taps) {
  const block = data.length / count;
  const out = new Uint8ClampedArray(count * taps.length * step);
  let place = 0;
  for (let start = 0; start < data.length; start += block)
    for (const [first, weights] of taps)
      for (let x = 0; x < step; x += 3) {
        let from = start + first * step + x;
        // Whole numbers of 32 bits, as Pillow's are: several times as fast as doubles.
        let red = HALF;
        let green = HALF;
        let blue = HALF;
        for (let k = 0; k < weights.length; k++) {
          const weight = weights[k];
          red = (red + Math.imul(data[from], weight)) | 0;
          green = (green + Math.imul(data[from + 1], weight)) | 0;
          blue = (blue + Math.imul(data[from + 2], weight)) | 0;
          from += step;
        }
        out[place] = red >> BITS;
        out[place + 1] = green >> BITS;
        out[place + 2] = blue >> BITS;
        place += 3;
      }
  return new Uint8Array(out.buffer);
}

function alongRows({ data, height }, taps) {
  return { data: along(data, height, 3, taps), width: taps.length, height };
}

function alongColumns({ data, width }, taps) {
  return { data: along(data, 1, 3 * width, taps), width, height: taps.length };
}

/** Pixels of the source in steps that Pillow adds up. */
function nearestTaps([low, high], count) {
  const step = f32(high - low) / count;
  const places = [low + step * 0.5];
  while (places.length < count) places.push(places.at(-1) + step);
  return places.map((place) => [Math.trunc(place), Int32Array.of(2 ** BITS)]);
}

function pillow(image, rows, columns, { filter, pillow: version }) {
  const [down, across] = [rows, columns].map(boxOf);
  const { width, height } = image;
  const tapsOf = (length, box, count) =>
    filter === "nearest" ? nearestTaps(box, count) : pillowTaps(length, box, count, PILLOW[filter]);
  const vertical = tapsOf(height, down, rows.count);
  const horizontal = tapsOf(width, across, columns.count);
  // Pillow rounds between its passes; since 13.0, the height of tall images comes first.
  const isTall = height - rows.count > Math.max(2 * (width - columns.count), 0);
  if (isTall && version >= 13) return alongRows(alongColumns(image, vertical), horizontal);
  return alongColumns(alongRows(image, horizontal), vertical);
}

// -- TensorFlow's bilinear filter, in float32

function positionsOf({ start, stop, resized, offset, count }) {
  const scale = f32(f32(stop - start) / f32(resized));
  return Array.from({ length: count }, (_, k) => f32(f32(f32(offset + k + 0.5) * scale) - 0.5));
}

const limited = (index, { start, stop }) => start + Math.max(0, Math.min(stop - start - 1, index));
const between = (low, high, share) => f32(low + f32(f32(high - low) * share));

/** Along rows first. */
function bilinear({ data, width }, rows, columns) {
  const [down, across] = [rows, columns].map((axis) =>
    positionsOf(axis).map((at) => {
      const below = Math.floor(at);
      return [limited(below, axis), limited(Math.ceil(at), axis), f32(at - below)];
    }),
  );
  const out = new Float32Array(3 * across.length * down.length);
  let place = 0;
  for (const [up, low, share] of down) {
    const [above, below] = [3 * width * up, 3 * width * low];
    for (const [left, right, part] of across)
      for (let c = 0; c < 3; c++) {
        const [l, r] = [3 * left + c, 3 * right + c];
        const upper = between(data[above + l], data[above + r], part);
        out[place++] = between(upper, between(data[below + l], data[below + r], part), share);
      }
  }
  return { data: out, width: across.length, height: down.length };
}

// -- the steps

/** Put an image on a ground of one colour, its upper left corner at a place. */
function framed({ data, width, height }, wide, tall, left, top, fill) {
  const out = new data.constructor(3 * wide * tall);
  for (let i = 0; i < out.length; i++) out[i] = fill[i % 3];
  for (let row = 0; row < height; row++)
    out.set(data.subarray(3 * width * row, 3 * width * (row + 1)), 3 * (wide * (top + row) + left));
  return { data: out, width: wide, height: tall };
}

function padded(image, { size: [rows, columns], fill }) {
  const { width, height } = image;
  const above = Math.floor((Math.max(height, Math.floor((width * rows) / columns)) - height) / 2);
  const left = Math.floor((Math.max(width, Math.floor((height * columns) / rows)) - width) / 2);
  return framed(image, width + 2 * left, height + 2 * above, left, above, fill);
}

export function resized(image, step) {
  const { size, fit, filter, fill } = step;
  const [tall, wide] = size;
  const source = fit === "pad" ? padded(image, step) : image;
  const rows = axisOf(source.height, source.width, tall, wide, step);
  const columns = axisOf(source.width, source.height, wide, tall, step);
  const sample = filter === "tf_bilinear" ? bilinear : pillow;
  const small = sample(source, rows, columns, step);
  if (rows.count === tall && columns.count === wide) return small;
  return framed(small, wide, tall, columns.before, rows.before, fill);
}

/** Shrink in proportion to fit (height, width), as Pillow's Image.thumbnail does. */
function shrunk(image, { thumbnail: [tall, wide], shrinks }) {
  const { width, height } = image;
  if (wide >= width && tall >= height) return image;
  const aspect = width / height;
  const nearest = (number, distance) => {
    const [low, high] = [Math.floor(number), Math.ceil(number)];
    return Math.max(1, distance(low) <= distance(high) ? low : high);
  };
  const byHeight = wide / tall >= aspect;
  const size = byHeight
    ? [tall, nearest(tall * aspect, (n) => Math.abs(aspect - n / tall))]
    : [nearest(wide / aspect, (n) => (n === 0 ? 0 : Math.abs(aspect - wide / n))), wide];
  return resized(image, { size, filter: "bicubic", fit: "squash", pillow: shrinks });
}

/** Values of pixels in an order of channels, `count` for each of them. */
function ordered({ data, width, height }, channels) {
  if (channels === "rgb") return { data, width, height, count: 3 };
  const count = channels === "gray" ? 1 : 3;
  const out = new data.constructor(count * width * height);
  const whole = data instanceof Uint8Array;
  for (let i = 0, o = 0; i < data.length; i += 3) {
    const luma = 19595 * data[i] + 38470 * data[i + 1] + 7471 * data[i + 2];
    const grey = whole ? (luma + 0x8000) >> 16 : luma / 0x10000;
    for (let c = 0; c < count; c++) out[o++] = channels === "bgr" ? data[i + 2 - c] : grey;
  }
  return { data: out, width, height, count };
}

const channel = (value, c) => f32(Array.isArray(value) ? value[c] : value);
const wrapped = (value) => ((Math.trunc(value) % 256) + 256) % 256;

/** What becomes of one value of a channel: polarity, scalings, a cast. */
function level(value, c, { invert, scaling, cast }) {
  let x = invert ? f32(255 - value) : value;
  for (const { divisor, mean, std } of scaling) {
    x = f32(x / f32(divisor));
    if (mean !== null) x = f32(x - channel(mean, c));
    if (std !== null) x = f32(x / channel(std, c));
  }
  return cast ? wrapped(x) : x;
}

function levels({ data, width, height, count }, steps) {
  const out = new Float32Array(data.length);
  if (data instanceof Uint8Array) {
    const tables = Array.from({ length: count }, (_, c) =>
      Float32Array.from({ length: 256 }, (_unused, value) => level(value, c, steps)),
    );
    for (let i = 0; i < data.length; i++) out[i] = tables[i % count][data[i]];
  } else for (let i = 0; i < data.length; i++) out[i] = level(data[i], i % count, steps);
  return { data: out, width, height, count };
}

/** A layout's shape, and where a value of (row, column, channel) lies, which is the k-th of the image. */
const LAYOUTS = {
  channels_last: (h, w, n) => [[h, w, n], (y, x, c) => (y * w + x) * n + c],
  channels_first: (h, w, n) => [[n, h, w], (y, x, c) => (c * h + y) * w + x],
  transposed: (h, w, n) => [[w, h, n], (y, x, c) => (x * h + y) * n + c],
  reshaped: (h, w, n) => [[h, w, n], (y, x, c, k) => (k % (h * w)) * n + Math.floor(k / (h * w))],
};

function arranged({ data, width, height, count }, layout) {
  const [shape, placeOf] = LAYOUTS[layout](height, width, count);
  if (layout === "channels_last") return { data, shape };
  const out = new Float32Array(data.length);
  for (let y = 0, k = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < count; c++, k++) out[placeOf(y, x, c, k)] = data[k];
  return { data: out, shape };
}

/** From RGB, uint8, to the tensor: { data, shape }, float32, without the leading axis. */
export function tensorOf(image, steps) {
  const first = steps.thumbnail ? shrunk(image, steps) : image;
  const small = steps.size ? resized(first, steps) : first;
  return arranged(levels(ordered(small, steps.channels), steps), steps.layout);
}

/** What a network that expects these steps sees in a tensor, as RGB, uint8. */
export function imageOf({ data, shape }, { channels, layout, invert, scaling }) {
  const count = channels === "gray" ? 1 : 3;
  const sides = layout === "channels_first" ? shape.slice(1) : shape.slice(0, 2);
  const [height, width] = layout === "transposed" ? sides.toReversed() : sides;
  const [, placeOf] = LAYOUTS[layout](height, width, count);
  const out = new Uint8ClampedArray(3 * width * height); // which rounds half to even
  const undone = scaling.toReversed();
  const back = (value, c) => {
    let x = value;
    for (const { divisor, mean, std } of undone) {
      if (std !== null) x = f32(x * channel(std, c));
      if (mean !== null) x = f32(x + channel(mean, c));
      x = f32(x * f32(divisor));
    }
    return invert ? f32(255 - x) : x;
  };
  for (let y = 0, o = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) {
        const stored = count === 1 ? 0 : channels === "bgr" ? 2 - c : c;
        const k = (y * width + x) * count + stored;
        out[o++] = back(data[placeOf(y, x, stored, k)], stored);
      }
  return { data: new Uint8Array(out.buffer), width, height };
}
