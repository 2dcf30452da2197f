// @ts-check
// The widget: paints what the kernel decides, and tells it what people do.
import { AnswerView } from "./answer.js";
import { BecauseView } from "./because.js";
import { Camera } from "./camera.js";
import { CONTROLS } from "./controls.js";
import { button, element, write } from "./dom.js";
import { Exchange } from "./exchange.js";
import { PathView } from "./path.js";
import { PhotoStrip } from "./photos.js";
import { Picture } from "./picture.js";

const PIECE_BYTES = 4_000_000; // well under the 10 MiB at which a Jupyter server closes the connection
const STILL_MS = 3_000; // a first answer that takes longer lets the page say that it is not live
const KEPT_MS = 1_000; // silence after which what is shown is kept in the notebook's own state
const OVER = ["restarting", "autorestarting", "dead", "terminating"]; // states of a kernel that will not answer this page

const NEED_BYTES = ["view", "ahead", "noise"]; // kinds of answers with pixels, which some hosts leave out

let views = 0;

function render({ model, el }) {
  const explorer = new ExplorerView(model, `kit-${Date.now().toString(36)}-${views++}`);
  el.append(explorer.root);
  explorer.start();
  return () => explorer.stop();
}

class ExplorerView {
  constructor(model, prefix) {
    const panel = model.get("_panel");
    this.model = model;
    this.prefix = prefix;
    this.photo = new Picture("The photograph");
    this.input = new Picture("What the network sees");
    this.answer = new AnswerView();
    this.path = new PathView(panel.path, prefix, {
      changed: (key, value) => this.changed(key, value),
      sample: (step) => this.post({ kind: "sample", request: `${prefix}.sample`, step }),
      open: (key) => this.toggle(key),
    });
    this.photos = new PhotoStrip(prefix, {
      chosen: (name) => { this.stopCamera(); this.changed("photo", name); },
      removed: (name) => this.post({ kind: "remove", request: `${prefix}.remove`, name }),
    });
    this.because = new BecauseView({
      ask: () => this.post({ kind: "why", request: `${prefix}.why`, settings: this.settings }),
      stop: () => this.post({ kind: "stop", request: `${prefix}.stop` }),
      take: (settings) => this.take(settings),
      closed: () => {},
    });
    this.controls = panel.sliders.map((spec, index) => ({
      ...CONTROLS[spec.kind](spec, `${prefix}-${index}`, (key, value) => this.changed(key, value), (key) => this.near(key)), spec,
    }));
    const around = (key, value, most) => this.controls.find((control) => control.key === key).around(value, most);
    this.exchange = new Exchange(prefix, { ...panel.ahead, around });
    this.settings = { ...panel.neutral };
    /** @type {any} */
    this.base = null; // unperturbed pixels of the photograph, where the page paints the perturbation itself
    this.noise = { seed: null, field: new Int16Array(0), wanted: "" };
    /** @type {any[]} */
    this.painted = []; // what the photograph was last painted from: painting it anew for each reply would double the work
    this.message = null; // the newest answer, painted in the next frame
    this.tensorLines = [];
    this.frame = this.timer = this.stilled = this.kept = 0;
    /** @type {Camera | null} */
    this.camera = null;
    this.held = null; // the settings to come back to from the untouched state
    this.code = "";
    this.failedAt = -1; // the change that the error belongs to
    this.build(panel);
  }

  // -- structure

  build(panel) {
    const { prefix } = this;
    this.title = element("h3", { text: panel.title });
    this.latency = element("span", { class: "kit-latency", hidden: !panel.latency });
    this.banner = element("p", { class: "kit-lost", role: "alert", hidden: true });
    this.still = element("p", { class: "kit-lost", hidden: true, text: panel.live });
    this.error = element("p", { class: "kit-error", role: "alert", hidden: true });
    this.notes = element("div", { class: "kit-notes" }, ...panel.notes.map((text) => element("p", { text })));
    this.file = element("input", { type: "file", accept: "image/*", class: "kit-file", multiple: true, "aria-label": "Add pictures of your own", tabindex: -1 });
    this.snap = button("Snap", "Keep this frame as a photo", () => this.takeSnap(), { class: "kit-snap", hidden: true });
    this.cameraButton = button("Camera", "A live picture of your camera", () => (this.camera ? this.stopCamera() : this.startCamera()), { "aria-pressed": "false" });
    this.copy = button("Copy as Python", "Copy the code of this state", () => this.copyCode());
    this.pin = button("Pin", "Keep this as a case, for kit.check_cases to guard", () => this.post({ kind: "pin", request: `${prefix}.pin`, settings: this.settings }));
    this.done = element("p", { class: "kit-done", role: "status" });
    this.peek = button("Untouched", "Hold to see the untouched photo, prepared as usual", () => {}, { class: "kit-peek" });
    this.about = element("figcaption", { class: "kit-about" });
    this.more = element("div", { class: "kit-more", hidden: true, role: "group", "aria-label": "More perturbations" });
    this.moreButton = button("More perturbations", "Blur, contrast, JPEG, weather and others", () => this.toggle("more"), { "aria-expanded": "false" });
    this.tensor = element("tbody");
    const heads = ["Property", "Fed", "Expected", "Same?"].map((text) => element("th", { scope: "col", text }));
    this.tensorBox = element("div", { class: "kit-tensor", hidden: true, role: "group", "aria-label": "The tensor that is fed" },
      element("table", {}, element("thead", {}, element("tr", {}, ...heads)), this.tensor));
    const main = element("div", { class: "kit-main" });
    const sections = new Map();
    for (const { node, spec } of this.controls) {
      if (spec.group === "main") main.append(node);
      else if (sections.has(spec.section)) sections.get(spec.section).append(node);
      else {
        const section = element("fieldset", {}, element("legend", { text: spec.section }), node);
        sections.set(spec.section, section);
        this.more.append(section);
      }
    }
    this.answer.caption.textContent = panel.caption;
    this.body = element("div", { class: "kit-body" },
      element("header", {}, this.title, button("Add a picture…", "Or drop or paste one anywhere here", () => this.file.click()), this.file,
        this.cameraButton, this.snap, this.peek, button("Reset", `Unperturbed, prepared ${panel.usual}`, () => this.reset(), { class: "kit-reset" }),
        this.copy, this.pin, this.because.ask, this.latency),
      this.done, this.error, this.notes, this.photos.node,
      element("div", { class: "kit-columns" },
        element("div", { class: "kit-pictures" },
          element("figure", {}, this.photo.canvas, this.about),
          element("figure", {}, this.input.canvas, element("figcaption", { text: "What the network sees" }))),
        this.more, this.answer.node),
      element("div", { class: "kit-sliders" }, main, this.moreButton),
      this.path.node, this.tensorBox, this.because.node);
    // The attribute keeps JupyterLab from taking the arrow keys for moving between cells.
    this.root = element("section", { class: "kit-explorer", role: "group", "aria-label": "Explorer", "data-lm-suppress-shortcuts": "true", "data-sharp": "true" },
      this.banner, this.still, this.body);
    this.root.classList.toggle("kit-tempered", panel.tempered);
    this.photos.build(panel.photos, this.settings.photo);
  }

  refresh() {
    this.error.hidden = true; // of a picture before the one that has come
    this.photos.build(this.model.get("_panel").photos, this.settings.photo);
  }

  toggle(key) {
    const box = key === "more" ? this.more : this.tensorBox;
    box.hidden = !box.hidden;
    this.moreButton.setAttribute("aria-expanded", String(!this.more.hidden));
    this.root.classList.toggle("kit-open", !this.more.hidden);
    this.paintTensor();
  }

  // -- beginning and end

  start() {
    this.onMessage = (content, buffers) => this.heard(content, buffers);
    this.onPanel = () => this.refresh();
    this.onLive = () => { if (this.root.closest(".jupyter-widgets-disconnected")) this.perform(this.exchange.gone(performance.now())); };
    this.model.on("msg:custom", this.onMessage);
    this.model.on("change:_panel", this.onPanel);
    this.model.on("comm_live_update", this.onLive);
    this.watchKernel();
    this.listen();
    this.showStill();
    this.perform(this.exchange.opened(performance.now()));
  }

  stop() {
    this.model.off("msg:custom", this.onMessage);
    this.model.off("change:_panel", this.onPanel);
    this.model.off("comm_live_update", this.onLive);
    this.kernel?.statusChanged?.disconnect(this.onStatus);
    this.kernel?.connectionStatusChanged?.disconnect(this.onConnection);
    window.removeEventListener("keydown", this.onKey, true);
    window.removeEventListener("keyup", this.onKey, true);
    this.stopCamera();
    this.photos.stop();
    this.answer.stop();
    cancelAnimationFrame(this.frame);
    for (const timer of [this.timer, this.stilled, this.kept]) clearTimeout(timer);
    this.stopped = true;
  }

  /** Hear of the kernel's end from hosts that tell it, as JupyterLab and Notebook do. */
  watchKernel() {
    this.kernel = this.model.widget_manager?.kernel;
    this.onStatus = (_, status) => { if (OVER.includes(status)) this.perform(this.exchange.gone(performance.now())); };
    this.onConnection = (_, status) => this.perform(this.exchange.connected(status === "connected", performance.now()));
    this.kernel?.statusChanged?.connect(this.onStatus);
    this.kernel?.connectionStatusChanged?.connect(this.onConnection);
  }

  /** Show what was kept in the notebook, until the kernel answers. */
  showStill() {
    const kept = this.model.get("_still");
    if (!kept?.content) return;
    this.paintContent(kept.content);
    [this.photo, this.input].forEach((picture, index) => picture.paintFile(kept.pictures[index]).catch(() => {}));
    this.stilled = setTimeout(() => { this.still.hidden = false; hideNote(this.root); }, STILL_MS);
  }

  /** Keep what is shown in the notebook's own state; the kernel is not told. */
  keepStill(content) {
    clearTimeout(this.kept);
    this.kept = setTimeout(async () => {
      const blobs = [this.photo, this.input].map(({ canvas }) => new Promise((done) => { canvas.toBlob(done, "image/jpeg", 0.85); }));
      const files = await Promise.all((await Promise.all(blobs)).map((blob) => blob?.arrayBuffer()));
      if (this.stopped || files.some((file) => !file)) return;
      this.model.set("_still", { content, pictures: files.map((file) => new DataView(file)) });
    }, KEPT_MS);
  }

  listen() {
    this.file.addEventListener("change", () => { this.sendFiles(this.file.files); this.file.value = ""; });
    this.root.addEventListener("dragover", (event) => { event.preventDefault(); this.root.classList.add("kit-drop"); });
    this.root.addEventListener("dragleave", () => this.root.classList.remove("kit-drop"));
    this.root.addEventListener("drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      this.root.classList.remove("kit-drop");
      this.sendFiles(event.dataTransfer.files);
    });
    this.root.addEventListener("paste", (event) => {
      const pictures = event.clipboardData.files;
      if (pictures.length === 0) return;
      event.preventDefault();
      event.stopPropagation();
      this.sendFiles(pictures);
    });
    this.peek.addEventListener("pointerdown", () => this.hold(true));
    for (const event of ["pointerup", "pointerleave", "pointercancel", "blur"]) this.peek.addEventListener(event, () => this.hold(false));
    // Hosts take keys for their own before an element hears of them, Notebook 7 the arrows for one.
    this.onKey = (event) => this.key(event);
    window.addEventListener("keydown", this.onKey, true);
    window.addEventListener("keyup", this.onKey, true);
  }

  key(event) {
    if (!this.root.contains(event.target)) return;
    event.stopPropagation();
    const down = event.type === "keydown";
    if (event.target === this.peek && [" ", "Enter"].includes(event.key)) {
      event.preventDefault();
      if (!event.repeat) this.hold(down);
    } else if (down && event.key === "Enter" && event.target.matches(".kit-choice select")) {
      event.preventDefault();
      event.target.showPicker?.();
    } else if (down && event.key === "Escape" && !this.because.node.hidden) {
      this.because.close();
    }
  }

  // -- what people do

  changed(key, value) {
    this.move({ ...this.settings, [key]: value });
    this.near(key);
  }

  move(settings) {
    if (this.exchange.lost) return;
    write(this.done, "");
    this.settings = settings;
    this.because.moved(settings);
    if (this.camera) return; // the next frame takes the settings along
    this.exchange.live = this.mayLookAhead();
    this.perform(this.exchange.changed(settings, performance.now()));
    if (this.message) this.paint(); // known ahead: in the frame of the event, not in the one after
    else this.draw();
  }

  near(key) {
    this.exchange.live = this.mayLookAhead();
    this.perform(this.exchange.near(key, performance.now()));
  }

  /** Change some settings, but not the photo; return what they were before. */
  take(some) {
    const { photo, ...changed } = some;
    const before = Object.fromEntries(Object.keys(changed).map((key) => [key, this.settings[key]]));
    this.adopt({ ...this.settings, ...changed });
    this.move(this.settings);
    return before;
  }

  reset() {
    this.take(this.model.get("_panel").neutral);
  }

  hold(on) {
    if (on === (this.held !== null) || this.camera) return;
    this.peek.setAttribute("aria-pressed", String(on));
    const back = this.held;
    this.held = on ? this.settings : null;
    this.take(on ? this.model.get("_panel").neutral : back);
  }

  /** One after the other: the kernel takes few at a time. */
  async sendFiles(pictures) {
    for (const picture of [...pictures]) await this.sendFile(picture);
  }

  async sendFile(picture) {
    const limit = this.model.get("_panel").uploadBytes;
    if (picture.size > limit) {
      this.fail(`Expected a picture of at most ${limit / 1e6} MB, received ${Math.round(picture.size / 1e6)} MB: ${picture.name}`);
      return;
    }
    const content = await picture.arrayBuffer();
    const number = `${this.prefix}.${Date.now()}.${picture.name}`;
    for (let start = 0; start === 0 || start < content.byteLength; start += PIECE_BYTES) {
      const end = Math.min(start + PIECE_BYTES, content.byteLength);
      const last = end === content.byteLength;
      this.post({ kind: "upload", request: `${this.prefix}.upload`, number, name: picture.name, last }, [content.slice(start, end)]);
    }
  }

  async copyCode() {
    const label = this.copy.textContent;
    try {
      await navigator.clipboard.writeText(this.code);
      this.copy.textContent = "Copied";
    } catch {
      this.fail(`Expected to be let at the clipboard; the code is: ${this.code}`);
    }
    setTimeout(() => { this.copy.textContent = label; }, 1500);
  }

  // -- a camera: each frame is a photograph, and the next one is sent when the kernel has answered

  async startCamera() {
    this.stopCamera();
    const camera = this.camera = new Camera();
    try {
      if (await camera.start()) this.look();
    } catch (trouble) {
      if (this.camera === camera) this.fail(`Expected a camera, received ${trouble.message}; allow it, or choose a photo`);
      if (this.camera === camera) this.stopCamera();
    }
    this.cameraOn(this.camera === camera);
  }

  stopCamera() {
    this.camera?.stop();
    this.camera = null;
    this.cameraOn(false);
  }

  takeSnap() {
    this.stopCamera(); // its next frame would take the place of what is kept
    this.post({ kind: "snap", request: `${this.prefix}.snap` });
    this.cameraButton.focus();
  }

  cameraOn(on) {
    this.cameraButton.setAttribute("aria-pressed", String(on));
    this.snap.hidden = !on;
    this.peek.disabled = on; // a frame has no untouched state to come back to
  }

  look() {
    const { camera } = this;
    if (!camera?.wanted) return;
    requestAnimationFrame(() => this.look());
    const { name, side, pause } = this.model.get("_panel").camera;
    if (this.exchange.inFlight || performance.now() < camera.sentAt + pause) return;
    const taken = camera.frame(side);
    if (!taken) return;
    camera.sentAt = performance.now();
    this.settings = { ...this.settings, photo: name };
    this.cameraBase = { photo: name, ...taken };
    if (this.base) this.base = this.cameraBase;
    this.photos.show(name);
    const { pixels, width, height } = taken;
    this.perform(this.exchange.framed(this.settings, { kind: "frame", width, height }, [pixels.buffer], camera.sentAt));
    this.draw();
  }

  // -- talking to the kernel

  post(content, buffers = []) {
    try {
      const held = content.kind === "settings" ? { held: this.base?.photo ?? null } : {};
      this.model.send({ ...content, ...held }, undefined, buffers);
    } catch {
      this.perform(this.exchange.gone(performance.now()));
    }
  }

  /** Do what the exchange asks for. */
  perform(effects) {
    for (const effect of effects) {
      if (effect.post) this.post(effect.post, effect.buffers);
      if (effect.show) this.news(effect.show, effect.since ?? 0);
      if (effect.adopt) this.adopted(effect.adopt);
      if (effect.fail) this.fail(effect.fail, effect.stale);
      if (effect.lost) this.lose(effect.lost);
      if (effect.found) this.find();
      if (effect.rest) this.draw();
    }
    if (this.exchange.idle) delete this.root.dataset.inFlight;
    else this.root.dataset.inFlight = "1";
    clearTimeout(this.timer);
    const wait = this.exchange.due - performance.now();
    if (wait < Infinity && !this.stopped) this.timer = setTimeout(() => this.tick(), Math.max(0, wait));
  }

  tick() {
    this.exchange.live = this.mayLookAhead();
    this.perform(this.exchange.tick(performance.now()));
  }

  mayLookAhead() {
    return this.base !== null && !this.camera && !document.hidden && this.held === null;
  }

  heard(content, buffers) {
    if (this.stopped) return;
    const now = performance.now();
    const own = String(content.request ?? "").startsWith(`${this.prefix}.`);
    this.exchange.live = this.mayLookAhead();
    if (NEED_BYTES.includes(content.kind) && !buffers?.length) {
      this.perform(this.exchange.maimed(now));
    } else if (content.kind === "view") this.perform(this.exchange.answered(content, buffers, now));
    else if (content.kind === "ahead") this.perform(this.exchange.foreseen(content, buffers, now));
    else if (content.kind === "noise") this.takeNoise(content, buffers[0]);
    else if (content.kind === "pinned" && own) this.done.textContent = content.text;
    else if (content.kind === "asking" && own) this.because.progress(content.text);
    else if (content.kind === "because" && own) {
      this.because.explain(content, buffers);
      this.because.moved(this.settings);
    } else if (content.kind === "error" && (own || content.request === "")) {
      if (content.request === `${this.prefix}.why`) this.because.end("The question could not be answered.");
      this.perform(this.exchange.failed(content, now));
    }
  }

  lose(text) {
    this.banner.textContent = text;
    this.banner.hidden = false;
    this.body.inert = true;
    this.root.classList.add("kit-stale");
    this.because.end("Ended: the kernel does not answer.");
    this.stopCamera();
  }

  find() {
    this.banner.hidden = true;
    this.body.inert = false;
    this.root.classList.remove("kit-stale");
  }

  fail(text, stale = false) {
    this.error.textContent = text;
    this.error.hidden = false;
    this.failedAt = this.exchange.changes;
    if (stale) this.root.classList.add("kit-stale");
  }

  news(answer, since) {
    // The kernel sends a photograph once: one that no frame has taken yet goes with the next answer.
    const untaken = answer.buffers.length === 1 && this.message ? this.message.buffers.slice(1) : [];
    this.message = { content: answer.content, since, buffers: [...answer.buffers, ...untaken] };
    this.draw();
  }

  adopt(settings) {
    this.settings = { ...settings };
    this.photos.show(settings.photo);
    this.path.show(settings);
    for (const control of this.controls) control.show(settings[control.key]);
  }

  adopted(settings) {
    if (this.camera && settings.photo !== this.model.get("_panel").camera.name) this.stopCamera();
    this.adopt(settings);
    this.because.moved(settings);
  }

  // -- painting, once a frame

  draw() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.paint());
  }

  paint() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const taken = this.message;
    this.message = null;
    if (taken) this.takeSource(taken);
    this.paintPhoto();
    if (taken) this.paintAnswer(taken);
    this.exchange.live = this.mayLookAhead();
    this.perform(this.exchange.tick(performance.now()));
  }

  takeSource({ content, buffers }) {
    const { source } = content;
    if (buffers.length > 1) {
      const pixels = bytesOf(buffers[1]);
      this.base = source.live ? { photo: content.settings.photo, pixels, width: source.width, height: source.height } : null;
      this.painted = [];
      if (!source.live) {
        this.photo.paint(pixels, source.width, source.height);
        this.root.dataset.sharp = "true";
      }
      this.root.dataset.live = source.live;
    } else if (this.camera && source) {
      this.base = source.live ? this.cameraBase : null;
      this.root.dataset.live = source.live;
    } else if (this.base && this.base.photo !== content.settings.photo) {
      this.base = null; // a frame of a camera that another view has
      this.photo.paint(new Uint8Array(3), 1, 1);
    }
    this.wantNoise();
  }

  paintPhoto() {
    const { base, settings, noise } = this;
    if (!base) return;
    const ready = settings.noise === 0 || (noise.seed === settings.seed && noise.field.length >= base.width * base.height * 3);
    // While a hand moves, as many of the picture's own pixels as the page shows; all of them once it rests.
    const shown = this.photo.canvas.clientWidth * devicePixelRatio;
    const stride = this.exchange.moving && shown ? Math.max(1, Math.floor(base.width / shown)) : 1;
    const wanted = [base, settings.brightness, settings.noise, settings.noise && noise, stride];
    if (!ready || wanted.every((part, index) => part === this.painted[index])) return;
    this.painted = wanted;
    this.photo.paint(base.pixels, base.width, base.height, {
      stride, brightness: settings.brightness, noise: settings.noise, field: noise.field,
    });
    this.root.dataset.sharp = String(stride === 1);
  }

  paintAnswer({ content, since, buffers }) {
    clearTimeout(this.stilled);
    this.still.hidden = true;
    hideNote(this.root);
    this.input.paint(bytesOf(buffers[0]), content.input.width, content.input.height);
    this.paintContent(content);
    // What is refused beside the bars, such as a file, stays until a hand moves.
    if (this.exchange.changes > this.failedAt || this.root.classList.contains("kit-stale")) this.error.hidden = true;
    if (!this.exchange.lost) this.root.classList.remove("kit-stale");
    const kernel = content.kernelMs === null ? "known ahead" : `kernel ${content.kernelMs} ms`;
    if (since) write(this.latency, `${Math.round(performance.now() - since)} ms, ${kernel}`);
    this.keepStill(content);
    const detail = { settings: content.settings, kernelMs: content.kernelMs };
    this.root.dispatchEvent(new CustomEvent("kit:painted", { bubbles: true, detail }));
  }

  paintContent(content) {
    this.answer.paint(content);
    this.path.paint(content.path);
    write(this.about, content.about);
    if (this.about.title !== content.about) this.about.title = content.about;
    this.code = content.code;
    this.tensorLines = content.tensor;
    this.paintTensor();
    const named = `The photograph ${content.settings.photo}, ${content.about}`;
    if (this.photo.canvas.ariaLabel !== named) this.photo.canvas.setAttribute("aria-label", named);
  }

  /** Painted only while people can see it. */
  paintTensor() {
    if (this.tensorBox.hidden) return;
    this.tensor.replaceChildren(...this.tensorLines.map(([name, fed, wanted, same]) => element("tr", { class: same === "same" ? null : "kit-changed" },
      element("th", { scope: "row", text: name }), element("td", { text: fed }), element("td", { text: wanted }), element("td", { text: same }))));
  }

  wantNoise() {
    const { base, noise, settings } = this;
    if (!base) return;
    const count = base.width * base.height * 3;
    const key = `${settings.seed}/${count}`;
    if ((noise.seed === settings.seed && noise.field.length >= count) || noise.wanted === key) return;
    noise.wanted = key;
    this.post({ kind: "noise", request: `${this.prefix}.noise`, seed: settings.seed, count });
  }

  takeNoise({ seed }, view) {
    const field = new Int16Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
    this.noise = { seed, field, wanted: "" };
    this.draw();
  }
}

function bytesOf(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** Take away the picture below the cell, and the line that says how to make the explorer live. */
function hideNote(root) {
  const area = root.closest(".jp-OutputArea, .output_area, .cell-output-container, body");
  for (const note of area?.querySelectorAll?.(".kit-note") ?? []) {
    (note.closest(".jp-OutputArea-child") ?? note).style.display = "none";
  }
}

export default { render };
