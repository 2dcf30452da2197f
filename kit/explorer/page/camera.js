// A camera of the page: each frame is a photo.
import { button, element } from "./dom.js";
import { rgbOf } from "./pixels.js";

export class Camera {
  constructor(view) {
    this.view = view;
    this.video = null; // while it is on
    this.frame = null; // the last one while it is on, as the photo that it is
    this.context = element("canvas").getContext("2d", { willReadFrequently: true });
    this.button = button("Camera", "Live from your camera", () =>
      this.on ? this.stop() : this.start(),
    );
    this.snap = button("Snap", "Keep this frame as a photo", () => {
      this.stop(); // its next frame would take the place of what is kept
      view.ask("snap");
      this.button.focus();
    });
    this.#switched();
  }

  get on() {
    return this.video !== null;
  }

  async start() {
    const video = Object.assign(element("video"), { muted: true, playsInline: true });
    this.video = video;
    this.#switched();
    try {
      if (!navigator.mediaDevices) throw new Error("this page came over plain http");
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
      if (this.video === video) await video.play();
      else release(video);
      this.#look(video, 0);
    } catch (trouble) {
      if (this.video !== video) return;
      this.stop();
      this.view.fail(`No camera (${trouble.message}). Allow it in the browser, or choose a photo.`);
    }
  }

  stop() {
    if (this.on) release(this.video);
    this.video = this.frame = null;
    this.#switched();
  }

  #switched() {
    this.button.setAttribute("aria-pressed", String(this.on));
    this.snap.hidden = !this.on;
  }

  #look(video, sentAt) {
    if (this.video !== video) return;
    const { name, side, pause } = this.view.panel.camera;
    const now = performance.now();
    const due = !this.view.exchange.inFlight && now >= sentAt + pause && video.videoWidth > 0;
    requestAnimationFrame(() => this.#look(video, due ? now : sentAt));
    if (!due) return;
    this.frame = { photo: name, ...this.#take(video, side) };
    this.view.framed(this.frame);
  }

  /** The present frame as RGB, its longer side at most `side` pixels. */
  #take(video, side) {
    const { canvas } = this.context;
    const { videoWidth, videoHeight } = video;
    const scale = Math.min(1, side / Math.max(videoWidth, videoHeight));
    const [width, height] = [videoWidth, videoHeight].map((length) =>
      Math.max(1, Math.round(length * scale)),
    );
    Object.assign(canvas, { width, height });
    this.context.drawImage(video, 0, 0, width, height);
    return { pixels: rgbOf(this.context.getImageData(0, 0, width, height).data), width, height };
  }
}

function release(video) {
  video.srcObject?.getTracks().forEach((track) => track.stop());
}
