// What a page without Python computes for one state, in a worker: from the photo to probabilities and heat map.
import { pixelsOf } from "./decode.js";
import { noiseField } from "./noise.js";
import { perturb } from "./pixels.js";
import { imageOf, resized, tensorOf } from "./prepare.js";

const MOST_PIXELS = 4_194_304; // of a photo; larger ones are reduced first
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
  open({ name, image, ...bitmaps }) {
    const photo = { ...bitmaps, images: new Map() };
    this.photos.set(name, photo);
    if (image) photo.images.set("", { ...image, from: null });
    const signs = image ? {} : signsOf(photo, this.about.steps);
    const { width, height, from } = this.#decoded(photo, this.about.steps);
    return { width, height, from, signs };
  }

  remove({ name }) {
    this.photos.delete(name);
  }

  noise({ seed, count }) {
    return this.#field(seed, count).subarray(0, count);
  }

  /** What a state comes to; null where it is not known. */
  async look({ settings }) {
    const steps = this.#stepsOf(settings);
    const image = this.#imageOf(settings, steps);
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

  /** The photo's own pixels. */
  pixels({ settings }) {
    return this.#imageOf(settings, this.#stepsOf(settings)).data;
  }

  /** A small image of a photo. */
  thumbnail({ name }) {
    const image = this.#decoded(this.photos.get(name), this.about.steps);
    const scale = THUMBNAIL / Math.max(image.width, image.height);
    const size = [image.height, image.width].map((side) => Math.max(1, Math.round(side * scale)));
    return resized(image, { size, filter: "bilinear", fit: "squash" });
  }

  #stepsOf(settings) {
    const { steps, faults } = this.about;
    const changes = Object.entries(faults).map(([step, names]) => names[settings[step]]);
    return Object.assign({}, steps, ...changes);
  }

  #imageOf({ photo }, steps) {
    return this.#decoded(this.photos.get(photo), steps);
  }

  #decoded({ images, upright, stored }, { exif, matte }) {
    const key = upright ? keyOf({ exif, matte }) : "";
    if (!images.has(key)) {
      images.clear(); // one is enough: who looks at a fault looks at it for a while
      const bitmap = exif ? upright : (stored ?? upright);
      images.set(key, pixelsOf(bitmap, matte ?? [0, 0, 0], MOST_PIXELS));
    }
    return images.get(key);
  }

  #field(seed, count) {
    const { seeds } = this.about;
    if (!seeds[seed]) throw new Error(`Expected a seed of ${Object.keys(seeds)}, received ${seed}`);
    if (!(this.fields.get(seed)?.length >= count))
      this.fields.set(seed, noiseField(seeds[seed], count));
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

/** Which choices of reading a file make a difference to it. */
function signsOf({ images, upright, stored }, steps) {
  const { clear, ...image } = pixelsOf(upright, null, MOST_PIXELS);
  if (!clear) images.set(keyOf({ ...steps, exif: true }), image);
  const other = stored && pixelsOf(stored, null, MOST_PIXELS).data;
  const exif = other !== null && image.data.some((value, place) => value !== other[place]);
  return { exif, alpha: clear };
}

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
  for (const [name, { classes: indices, states: list }] of tables)
    for (const { settings, row, calibrated, ...state } of list)
      states.set(name + address(settings), {
        ...state,
        classes: indices,
        row: rowOf(row, indices),
        calibrated: rowOf(calibrated, indices),
      });
  return (_tensor, settings) => {
    const state = states.get(settings.photo + address(settings));
    if (!state) return null;
    const { where } = settings;
    const top = state.row.indexOf(Math.max(...state.row));
    if (where === null) return { ...state, cells: null };
    return state.cells && [-1, top].includes(where) ? state : null;
  };
}
