// @ts-check
// A camera of the page: each frame is a photograph.
import { button, element } from "./dom.js";

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

/** The buttons of a camera, and its frames as long as it is on. */
export class CameraButtons {
  /**
   * @param {() => { name: string, side: number, pause: number }} panel
   * @param {{ ready: () => boolean, framed: (frame: any) => void, switched: (on: boolean) => void, snapped: () => void, fail: (text: string) => void }} events
   */
  constructor(panel, events) {
    this.panel = panel;
    this.events = events;
    /** @type {Camera | null} */
    this.camera = null;
    /** @type {any} */
    this.frame = null; // the last one, as the photograph that it is
    this.button = button("Camera", "Live from your camera", () => (this.camera ? this.stop() : this.start()), { "aria-pressed": "false" });
    this.snap = button("Snap", "Keep this frame as a photo", () => {
      this.stop(); // its next frame would take the place of what is kept
      events.snapped();
      this.button.focus();
    }, { class: "kit-snap", hidden: true });
  }

  get on() {
    return this.camera !== null;
  }

  async start() {
    this.stop();
    const camera = this.camera = new Camera();
    try {
      if (await camera.start()) this.#look();
    } catch (trouble) {
      if (this.camera === camera) {
        this.events.fail(`Expected a camera, received ${trouble.message}; allow it, or choose a photo`);
        this.stop();
      }
    }
    this.#switched();
  }

  stop() {
    this.camera?.stop();
    this.camera = null;
    this.#switched();
  }

  #switched() {
    this.button.setAttribute("aria-pressed", String(this.on));
    this.snap.hidden = !this.on;
    this.events.switched(this.on);
  }

  /** Each frame is a photograph, and the next one is sent when the kernel has answered. */
  #look() {
    const { camera } = this;
    if (!camera?.wanted) return;
    requestAnimationFrame(() => this.#look());
    const { name, side, pause } = this.panel();
    if (!this.events.ready() || performance.now() < camera.sentAt + pause) return;
    const taken = camera.frame(side);
    if (!taken) return;
    camera.sentAt = performance.now();
    this.frame = { photo: name, ...taken };
    this.events.framed(this.frame);
  }
}
