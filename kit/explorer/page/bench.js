// What a page without Python computes for one state, in a worker: from the photo to probabilities and heat map.
import { pixelsOf } from "./decode.js";
import { noiseSteps } from "./noise.js";
import { perturb } from "./pixels.js";
import { imageOf, resized, tensorOf } from "./prepare.js";

const BLACK = [0, 0, 0];
const THUMBNAIL = 56; // longest side, in pixels

export class Bench {
  /** `about` says how images are prepared; `run` gives what the network makes of a tensor, or what is known of it. */
  constructor(about, run) {
    this.about = about;
    this.run = run;
    this.photos = new Map();
    this.fields = new Map(); // of noise, by seed
  }

  /** Take a photo, as bitmaps or as pixels; returns what the page says of it. */
  open({ name, image, upright, stored }) {
    const { steps, choices } = this.about;
    const images = new Map();
    this.photos.set(name, images);
    if (image) {
      images.set("", image);
      return { from: null, signs: {} };
    }
    const [turned, plain] = [upright, stored].map((bitmap) => bitmap && pixelsOf(bitmap, null));
    const isTurned = plain !== null && turned.data.some((value, k) => value !== plain.data[k]);
    for (const { changes: { matte } = steps } of Object.values(choices.alpha))
      for (const exif of [true, false]) {
        const bitmap = exif || !isTurned ? upright : stored;
        const opaque = bitmap === upright ? turned : plain;
        const decoded = turned.clear ? pixelsOf(bitmap, matte ?? BLACK) : opaque;
        images.set(keyOf({ exif, matte }), decoded);
      }
    for (const bitmap of [upright, stored]) bitmap?.close();
    return { from: turned.from, signs: { exif: isTurned, alpha: turned.clear } };
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
    };
  }

  pixels({ settings }) {
    return this.#imageOf(settings.photo, this.#stepsOf(settings)).data;
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

  #imageOf(photo, steps) {
    const images = this.photos.get(photo);
    return images.get("") ?? images.get(keyOf(steps));
  }

  #field(seed, count) {
    if (!(this.fields.get(seed)?.length >= count))
      this.fields.set(seed, new Int16Array(count).map(noiseSteps(this.about.seeds[seed])));
    return this.fields.get(seed);
  }

  #perturbed(image, { brightness, noise, seed }) {
    if (brightness === 1 && noise === 0) return image;
    const { data, width, height } = image;
    const field = noise ? this.#field(seed, data.length) : null;
    const out = new Uint8ClampedArray(data.length);
    perturb(out, data, width, height, { brightness, noise, field, channels: 3 });
    return { data: new Uint8Array(out.buffer), width, height };
  }
}

const keyOf = ({ exif, matte }) => JSON.stringify([exif, matte]);

/** Predictions that were computed beforehand, in place of a network: tables by the photo's name. */
export function recorded(tables, { classes, neutral }) {
  const address = (settings) =>
    JSON.stringify(
      Object.keys(neutral)
        .filter((key) => !["photo", "where"].includes(key) && key in settings)
        .filter((key) => settings[key] !== neutral[key])
        .map((key) => [key, settings[key]]),
    );
  const rowOf = (shares, indices) => {
    const row = new Float32Array(classes.length);
    indices.forEach((index, k) => {
      row[index] = shares[k];
    });
    return row;
  };
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
