// Pictures of one's own: chosen, dropped or pasted, they go to the kernel in pieces.
import { element } from "./dom.js";

const PIECE_BYTES = 1_000_000; // over a slow line, the kernel is heard of after each

export class Files {
  constructor(view) {
    this.view = view;
    this.node = element("input", {
      type: "file",
      accept: "image/*",
      multiple: true,
      hidden: true,
    });
    this.node.addEventListener("change", () => {
      this.send(this.node.files);
      this.node.value = "";
    });
  }

  listen(root) {
    root.addEventListener("dragover", (event) => {
      event.preventDefault();
      root.classList.add("kit-drop");
    });
    root.addEventListener("dragleave", () => root.classList.remove("kit-drop"));
    root.addEventListener("drop", (event) => this.#take(event, event.dataTransfer.files));
    root.addEventListener("paste", (event) => {
      if (event.clipboardData.files.length > 0) this.#take(event, event.clipboardData.files);
    });
  }

  /** One after the other: the kernel takes few at a time. */
  async send(pictures) {
    if (pictures.length === 0) return;
    const { done, error, root } = this.view;
    done.textContent = error.textContent = "Reading …";
    error.hidden = "told" in root.dataset; // before the first photo, nothing else is seen
    this.view.failedAt = -1; // what was refused before gives place to this
    for (const picture of Array.from(pictures)) await this.#sendOne(picture);
  }

  #take(event, pictures) {
    event.preventDefault();
    event.stopPropagation();
    event.currentTarget.classList.remove("kit-drop");
    this.send(pictures);
  }

  async #sendOne(picture) {
    const { view } = this;
    const limit = view.panel.uploadBytes;
    if (picture.size > limit) {
      view.fail(
        `Expected an image of at most ${limit / 1e6} MB, received ${Math.round(picture.size / 1e6)} MB: ${picture.name}`,
      );
      return;
    }
    const content = await picture.arrayBuffer();
    const number = `${view.prefix}.${Date.now()}.${picture.name}`;
    for (let start = 0; start === 0 || start < content.byteLength; start += PIECE_BYTES) {
      const end = Math.min(start + PIECE_BYTES, content.byteLength);
      const last = end === content.byteLength;
      view.ask("upload", { number, name: picture.name, last }, [content.slice(start, end)]);
    }
  }
}
