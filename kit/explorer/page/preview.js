// The photograph, which the page perturbs by itself where it can: ahead of the kernel, and with its bytes.
import { Picture } from "./picture.js";

export class Preview {
  constructor(ask) {
    this.ask = ask; // for the noise field of a seed
    this.picture = new Picture("The photo");
    this.base = null; // unperturbed pixels, where the page paints the perturbation itself
    this.noise = { seed: null, field: new Int16Array(0), wanted: "" };
    this.painted = []; // what it was last painted from: painting it anew for each reply would double the work
  }

  /** Take the photo that an answer brings along, or is about; `frame` is that of this page's camera, if it is on. */
  take({ settings, source }, buffers, frame) {
    if (buffers.length > 1) {
      const pixels = bytesOf(buffers[1]);
      this.base = source.live
        ? { photo: settings.photo, pixels, width: source.width, height: source.height }
        : null;
      if (!source.live) this.picture.paint(pixels, source.width, source.height);
    } else if (frame && source) {
      this.base = source.live ? frame : null;
    } else if (this.base && this.base.photo !== settings.photo) {
      this.base = null; // a frame of a camera that another view has
      this.picture.paint(new Uint8Array(3), 1, 1);
    }
  }

  wantNoise({ seed }) {
    const { base, noise } = this;
    if (!base) return;
    const count = base.width * base.height * 3;
    const key = `${seed}/${count}`;
    if ((noise.seed === seed && noise.field.length >= count) || noise.wanted === key) return;
    noise.wanted = key;
    this.ask(seed, count);
  }

  takeNoise({ seed }, view) {
    const { buffer } = bytesOf(view).slice(); // for numbers of two bytes, which have to begin at an even place
    this.noise = { seed, field: new Int16Array(buffer), wanted: "" };
  }

  /** Paint the photograph where that changes it; while a hand moves, in as many pixels as the page shows. */
  paint({ brightness, noise, seed }, moving) {
    const { base } = this;
    if (!base) return;
    const { field } = this.noise;
    const ready =
      noise === 0 || (this.noise.seed === seed && field.length >= base.width * base.height * 3);
    const shown = this.picture.canvas.clientWidth * devicePixelRatio;
    const stride = moving && shown ? Math.max(1, Math.floor(base.width / shown)) : 1;
    const wanted = [base, brightness, noise, noise && field, stride];
    if (!ready || wanted.every((part, index) => part === this.painted[index])) return;
    this.painted = wanted;
    this.picture.paint(base.pixels, base.width, base.height, { stride, brightness, noise, field });
  }
}

export function bytesOf(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
