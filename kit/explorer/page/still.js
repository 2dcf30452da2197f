// @ts-check
// What was shown last, kept in the notebook's own state for pages without a kernel.
import { element } from "./dom.js";

const STILL_MS = 3_000; // a first answer that takes longer lets the page say that it is not live
const KEPT_MS = 1_000; // silence after which what is shown is kept

export class Still {
  /**
   * @param {any} model
   * @param {any[]} pictures two of them, `Picture`
   * @param {() => void} post asks the kernel to keep it in the output of the cell, too
   */
  constructor(model, pictures, post) {
    this.model = model;
    this.post = post;
    this.before = "";
    this.pictures = pictures;
    this.node = element("p", { class: "kit-lost", hidden: true, text: model.get("_panel").live });
    this.waited = this.kept = 0;
    this.stopped = false;
  }

  /** Show what was kept, until the kernel answers; return it, or null where nothing was. */
  show() {
    const kept = this.model.get("_still");
    if (!kept?.content) return null;
    this.pictures.forEach((picture, index) => picture.paintFile(kept.pictures[index]).catch(() => {}));
    this.waited = setTimeout(() => { this.node.hidden = false; this.told(); }, STILL_MS);
    return kept.content;
  }

  /** The kernel has answered. */
  end() {
    clearTimeout(this.waited);
    this.node.hidden = true;
    this.told();
  }

  /** The picture below the cell, and its line on how to make the explorer live, are not needed: the style hides them. */
  told() {
    this.node.parentElement.dataset.told = "1";
  }

  /** Keep what is shown. */
  keep(content) {
    clearTimeout(this.kept);
    this.kept = setTimeout(async () => {
      const blobs = this.pictures.map(({ canvas }) => new Promise((done) => { canvas.toBlob(done, "image/jpeg", 0.85); }));
      const files = await Promise.all((await Promise.all(blobs)).map((blob) => blob?.arrayBuffer()));
      if (this.stopped || files.some((file) => !file)) return;
      this.model.set("_still", { content, pictures: files.map((file) => new DataView(file)) });
      const state = content.verdict + JSON.stringify(content.settings);
      if (this.before !== state) this.post();
      this.before = state;
    }, KEPT_MS);
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.waited);
    clearTimeout(this.kept);
  }
}
