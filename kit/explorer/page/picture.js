// A picture on a canvas, in the very pixels that it is given.
import { element } from "./dom.js";
import { perturb } from "./pixels.js";

export class Picture {
  constructor(label) {
    this.canvas = element("canvas", { role: "img", "aria-label": label, width: 1, height: 1 });
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.image = null;
  }

  /** Paint RGB pixels, perturbed: see `perturb`. */
  paint(rgb, width, height, how = {}) {
    this.#resize(width, height, how.stride);
    perturb(this.image.data, rgb, width, height, how);
    this.context.putImageData(this.image, 0, 0);
  }

  show(bitmap) {
    this.#resize(bitmap.width, bitmap.height);
    this.context.drawImage(bitmap, 0, 0);
    bitmap.close();
  }

  #resize(across, down, stride = 1) {
    this.canvas.style.imageRendering = across < 100 ? "pixelated" : "";
    this.canvas.style.aspectRatio = `${across} / ${down}`; // the same place on the page at every stride
    const [width, height] = [across, down].map((side) => Math.ceil(side / stride));
    if (this.image?.width === width && this.image.height === height) return;
    Object.assign(this.canvas, { width, height });
    this.image = this.context.createImageData(width, height);
    this.image.data.fill(255);
  }
}
