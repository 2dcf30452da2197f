// What a page without Python computes for one state, in a worker: from the photo to probabilities and heat map.
import { pixelsOf, turned } from "./decode.js";
import { noiseSteps } from "./noise.js";
import { perturb } from "./pixels.js";
import { imageOf, resized, tensorOf } from "./prepare.js";

const BLACK = [0, 0, 0];
const BACK = { 6: 8, 8: 6 }; // orientations that undo others; each of the rest undoes itself
const MOST_SHOWN = 4_194_304; // pixels; of a larger photo every second, third and so on is shown, and all are predicted
const THUMBNAIL = 56; // longest side, in pixels

export class Bench {
  /** `about` says how images are prepared; `run` gives what the network makes of a tensor, or what is known of it. */
  constructor(about, run) {
    this.about = about;
    this.run = run;
    this.photos = new Map();
    this.fields = new Map(); // of noise, by seed
  }

  /** Take a photo, as a bitmap or as pixels; returns what reading it can get wrong. */
  open({ name, image, bitmap, orientation = 1 }) {
    const { steps, choices } = this.about;
    const images = new Map(); // upright, by the ground below what is transparent
    this.photos.set(name, { image, images, back: BACK[orientation] ?? orientation });
    if (image) return { signs: {} };
    const plain = pixelsOf(bitmap, null);
    const opaque = plain.clear || turned(plain, orientation);
    for (const { changes: { matte } = steps } of Object.values(choices.alpha))
      images.set(
        String(matte),
        plain.clear ? turned(pixelsOf(bitmap, matte ?? BLACK), orientation) : opaque,
      );
    bitmap.close();
    return { signs: { exif: orientation > 1, alpha: plain.clear } };
  }

  remove({ name }) {
    this.photos.delete(name);
  }

  /** What a state comes to; null where it is not known. */
  async look({ settings }) {
    const steps = this.#stepsOf(settings);
    const image = this.#imageOf(settings.photo, steps);
    const tensor = tensorOf(this.#perturbed(image, settings), steps);
    const outputs = await this.run(tensor.data, settings);
    if (outputs === null) return null;
    if (!outputs.row.every(Number.isFinite))
      throw new Error("Expected probabilities, received nan or infinite values");
    return {
      ...outputs,
      seen: imageOf(tensor, this.about.steps),
      size: [image.width, image.height],
      stride: strideOf(image),
    };
  }

  /** Unperturbed pixels to look at, of a large photo some. */
  pixels({ settings }) {
    const image = this.#imageOf(settings.photo, this.#stepsOf(settings));
    return perturbed(image, { stride: strideOf(image) }).data;
  }

  thumbnail({ name }) {
    const image = this.#imageOf(name, this.about.steps);
    const scale = THUMBNAIL / Math.max(image.width, image.height);
    const size = [image.height, image.width].map((side) => Math.max(1, Math.round(side * scale)));
    return resized(image, { size, filter: "bilinear", fit: "squash" });
  }

  #stepsOf(settings) {
    const { steps, choices } = this.about;
    const changes = Object.entries(choices).map(([step, rows]) => rows[settings[step]].changes);
    return Object.assign({}, steps, ...changes);
  }

  #imageOf(photo, { exif, matte }) {
    const { image, images, back } = this.photos.get(photo);
    const upright = image ?? images.get(String(matte));
    return exif ? upright : turned(upright, back);
  }

  #field(seed, count) {
    if (!(this.fields.get(seed)?.length >= count))
      this.fields.set(seed, new Int16Array(count).map(noiseSteps(this.about.seeds[seed])));
    return this.fields.get(seed);
  }

  #perturbed(image, { brightness, noise, seed }) {
    if (brightness === 1 && noise === 0) return image;
    const field = noise ? this.#field(seed, image.data.length) : null;
    return perturbed(image, { brightness, noise, field });
  }
}

function perturbed(image, { stride = 1, ...how }) {
  const [width, height] = [image.width, image.height].map((side) => Math.ceil(side / stride));
  const out = new Uint8ClampedArray(3 * width * height);
  perturb(out, image.data, image.width, image.height, { ...how, stride, channels: 3 });
  return { data: new Uint8Array(out.buffer), width, height };
}

const strideOf = ({ width, height }) => Math.ceil(Math.sqrt((width * height) / MOST_SHOWN));

/** Changed settings, but for the photo and the map. */
export function changesOf(settings, neutral) {
  return Object.entries(settings)
    .filter(([key, value]) => !["photo", "where"].includes(key) && value !== neutral[key])
    .sort();
}

/** Predictions that were computed beforehand, in place of a network: tables by the photo's name. */
export function recorded(tables, { classes, neutral }) {
  const address = (settings) => JSON.stringify(changesOf(settings, neutral));
  const rowOf = (shares, indices) =>
    Float32Array.from(classes, (_, index) => shares[indices.indexOf(index)] ?? 0);
  const states = new Map();
  for (const [name, list] of tables)
    for (const { settings, row, calibrated, ...state } of list)
      states.set(name + address(settings), {
        ...state,
        row: rowOf(row, state.classes),
        calibrated: rowOf(calibrated, state.classes),
      });
  return (_tensor, settings) => states.get(settings.photo + address(settings)) ?? null;
}
