// The photograph, which the page perturbs by itself where it can: ahead of the kernel, and with its bytes.
import { noiseSteps } from "./noise.js";
import { Picture } from "./picture.js";

const NOISE_PART = 65_536; // values of a noise field drawn in one frame, so that no frame waits for a whole field

export class Preview {
  constructor(ask) {
    this.ask = ask; // for the generator of a seed
    this.picture = new Picture("The photo");
    this.base = null; // unperturbed pixels, where the page paints the perturbation itself
    this.sent = null; // the picture that came last, where the kernel perturbs it
    this.noise = { seed: null, drawn: 0 };
    this.painted = []; // what it was last painted from: painting it anew for each reply would double the work
  }

  /** The longest side on the screen, in its pixels. */
  get side() {
    const { width, height } = this.picture.canvas.getBoundingClientRect();
    return Math.ceil(Math.max(width, height) * devicePixelRatio);
  }

  /** Take the photo that an answer brings along, or is about; `frame` is that of this page's camera, if it is on. */
  take({ settings, source }, buffers, frame) {
    if (buffers.length > 1) {
      const [{ photo }, { live, width, height }, pixels] = [settings, source, bytesOf(buffers[1])];
      this.base = live ? { photo, pixels, width, height } : null;
      this.#show(live ? null : pixels);
    } else if (frame && source) {
      this.base = source.live ? frame : null;
    } else if (this.base && this.base.photo !== settings.photo) {
      this.base = null; // a frame of a camera that another view has
      this.picture.paint(new Uint8Array(3), 1, 1);
    }
  }

  /** Show an image file, unless a newer picture has come before it is decoded. */
  async #show(file) {
    this.sent = file;
    if (!file) return;
    const bitmap = await createImageBitmap(new Blob([file]));
    if (this.sent === file) this.picture.show(bitmap);
  }

  /** Draw a part of the noise field of a seed, whose generator is asked for; whether more may have to be drawn. */
  drawNoise({ seed }) {
    const length = this.base?.pixels.length ?? 0;
    if (length > 0 && !(this.noise.seed === seed && this.noise.field.length >= length)) {
      this.noise = { seed, field: new Int16Array(length), drawn: 0, next: null };
      this.ask(seed);
    }
    const { noise } = this;
    const end = noise.next ? Math.min(length, noise.drawn + NOISE_PART) : 0;
    if (noise.drawn >= end) return false;
    while (noise.drawn < end) noise.field[noise.drawn++] = noise.next();
    return true;
  }

  takeNoise({ seed, state }) {
    if (seed === this.noise.seed) this.noise.next ??= noiseSteps(state);
  }

  /** Paint the photograph where that changes it; while a hand moves, in as many pixels as the page shows. */
  paint({ brightness, noise, seed }, moving) {
    const { base } = this;
    if (!base) return;
    const { field, drawn, seed: known } = this.noise;
    const ready = noise === 0 || (known === seed && drawn >= base.pixels.length);
    const stride = moving ? Math.max(1, Math.floor(base.width / (this.side || base.width))) : 1;
    const wanted = [base, brightness, noise, noise && field, stride];
    if (!ready || wanted.every((part, index) => part === this.painted[index])) return;
    this.painted = wanted;
    this.picture.paint(base.pixels, base.width, base.height, { stride, brightness, noise, field });
  }
}

export function bytesOf(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
