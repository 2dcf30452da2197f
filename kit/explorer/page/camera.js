// @ts-check
// A camera of the page: each frame is a photograph.
import { element } from "./dom.js";

export class Camera {
  constructor() {
    this.video = Object.assign(element("video"), { muted: true, playsInline: true });
    /** @type {MediaStream | null} */
    this.stream = null;
    this.wanted = true;
    this.sentAt = 0;
  }

  /** Ask for the camera and wait for its picture; false where it was stopped meanwhile. */
  async start() {
    if (!navigator.mediaDevices) throw new Error("a page over plain http, where browsers allow none");
    this.stream = await navigator.mediaDevices.getUserMedia({ video: true });
    if (this.wanted) {
      this.video.srcObject = this.stream;
      await this.video.play();
    }
    if (!this.wanted) this.stop();
    return this.wanted;
  }

  stop() {
    this.wanted = false;
    this.stream?.getTracks().forEach((track) => track.stop());
  }

  /** The present frame as RGB, its longer side at most `side` pixels; null while there is none. */
  frame(side) {
    const { videoWidth, videoHeight } = this.video;
    if (videoWidth === 0) return null;
    const scale = Math.min(1, side / Math.max(videoWidth, videoHeight));
    const [width, height] = [videoWidth, videoHeight].map((length) => Math.max(1, Math.round(length * scale)));
    this.context ??= document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const context = /** @type {CanvasRenderingContext2D} */ (this.context);
    Object.assign(context.canvas, { width, height });
    context.drawImage(this.video, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    const pixels = new Uint8Array(3 * width * height);
    for (let i = 0, o = 0; o < pixels.length; i += 4, o += 3) {
      pixels[o] = data[i];
      pixels[o + 1] = data[i + 1];
      pixels[o + 2] = data[i + 2];
    }
    return { pixels, width, height };
  }
}
