// A camera of the page: what it shows is seen live, and kept as a photo at a press.
import { button, element } from "./dom.js";

const SIDE = 512; // longest side of a photo, in pixels

export class Camera {
  constructor(events) {
    this.events = events;
    this.on = false;
    this.video = Object.assign(element("video", { hidden: true }), {
      muted: true,
      playsInline: true,
    });
    this.button = button(
      "Camera",
      "See your camera, and keep a photo of it",
      () => (this.on ? this.stop() : this.start()),
      { "aria-pressed": "false" },
    );
    this.snap = button("Snap", "Keep this as a photo", () => this.#keep(), { hidden: true });
  }

  async start() {
    this.#switch(true);
    try {
      if (!navigator.mediaDevices) throw new Error("this page came over plain http");
      const stream = await navigator.mediaDevices.getUserMedia({ video: true });
      this.video.srcObject = stream;
      if (this.on) await this.video.play();
      else this.stop();
    } catch (trouble) {
      if (!this.on) return;
      this.stop();
      this.events.fail(
        `No camera (${trouble.message}). Allow it in the browser, or choose a photo.`,
      );
    }
  }

  stop() {
    this.video.srcObject?.getTracks().forEach((track) => track.stop());
    this.video.srcObject = null;
    this.#switch(false);
  }

  #switch(on) {
    this.on = on;
    this.button.setAttribute("aria-pressed", String(on));
    this.snap.hidden = !on;
    this.video.hidden = !on;
    this.events.switched(on);
  }

  /** Send the present picture as a file. */
  #keep() {
    const { video } = this;
    const scale = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
    const sides = [video.videoWidth, video.videoHeight];
    const [width, height] = sides.map((length) => Math.max(1, Math.round(length * scale)));
    const canvas = element("canvas", { width, height });
    canvas.getContext("2d").drawImage(video, 0, 0, width, height);
    canvas.toBlob((file) => this.events.snapped(Object.assign(file, { name: "Snap" })));
    this.stop();
    this.button.focus();
  }
}
