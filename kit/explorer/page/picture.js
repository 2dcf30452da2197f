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
    const { stride = 1 } = how;
    this.canvas.style.imageRendering = width < 100 ? "pixelated" : "";
    this.canvas.style.aspectRatio = `${width} / ${height}`; // the same place on the page at every stride
    this.#resize(Math.ceil(width / stride), Math.ceil(height / stride));
    perturb(this.image.data, rgb, width, height, how);
    this.context.putImageData(this.image, 0, 0);
  }

  #resize(width, height) {
    if (this.image?.width === width && this.image.height === height) return;
    Object.assign(this.canvas, { width, height });
    this.image = this.context.createImageData(width, height);
    this.image.data.fill(255);
  }
}
