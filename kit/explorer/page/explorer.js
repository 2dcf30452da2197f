// The widget: paints what the kernel decides, and tells it what people do.
import { AnswerView } from "./answer.js";
import { BecauseView } from "./because.js";
import { Camera } from "./camera.js";
import { CONTROLS } from "./controls.js";
import { button, div, element, grouped, stateOf, write, writeLong } from "./dom.js";
import { BARE, Exchange, GONE } from "./exchange.js";
import { Files } from "./files.js";
import { Flip } from "./flip.js";
import { LabelPicker } from "./labels.js";
import { living } from "./live.js";
import { PathView } from "./path.js";
import { PhotoStrip } from "./photos.js";
import { Preview, bytesOf } from "./preview.js";
import { Stage } from "./stage.js";
import { Where } from "./where.js";

const OVER = ["restarting", "autorestarting", "dead", "terminating"]; // states of a kernel that will not answer this page

const KEPT_MS = 1_000;
const LATE_MS = 50; // so long the photo waits for its bars: painting it while the kernel computes would slow both down

const BUSY = "Still computing; this goes on by itself."; // a page without a kernel loses none

export function render({ model, el }) {
  window.kitViews = (window.kitViews ?? 0) + 1; // a page loads this module once for each explorer
  const explorer = new ExplorerView(model, `kit-${Date.now().toString(36)}-${window.kitViews}`);
  el.append(explorer.root);
  explorer.start();
  return () => explorer.stop();
}

class ExplorerView {
  constructor(model, prefix) {
    this.model = model;
    this.prefix = prefix;
    const { panel } = this;
    this.preview = new Preview((seed) => this.ask("noise", { seed }));
    this.files = new Files(this);
    this.picker = new LabelPicker(this);
    this.where = new Where(this);
    this.answer = new AnswerView(() => this.picker.open(this.answer.mark), panel.caption);
    this.path = new PathView(this);
    this.photos = new PhotoStrip(this);
    this.camera = new Camera(this);
    this.because = new BecauseView(this);
    this.controls = panel.sliders.map((spec, index) =>
      CONTROLS[spec.kind](spec, `${prefix}-${index}`, this),
    );
    const walked = panel.sliders.filter(({ kind }) => panel.flips && kind === "range");
    this.flips = new Map(walked.map((spec) => [spec.key, new Flip(spec, this)]));
    const around = (key, value, most) =>
      this.controls.find(({ spec }) => spec.key === key).around(value, most);
    this.exchange = new Exchange(prefix, panel.ahead, around, () => this.mayLookAhead());
    this.settings = { ...panel.neutral };
    this.message = null; // the newest answer, painted in the next frame
    this.frame = this.timer = this.resting = this.late = 0;
    this.ended = new AbortController();
    this.held = null; // the settings to come back to from the untouched state
    this.build(panel);
  }

  get panel() {
    return this.model.get("_panel");
  }

  // -- structure

  build(panel) {
    this.banner = element("p", { class: "kit-lost", role: "alert", hidden: true });
    this.error = element("p", { class: "kit-error", role: "alert", hidden: true });
    this.notes = div("kit-notes");
    const pin = () => this.ask("pin", { settings: this.settings });
    const summary = element("summary", { class: "kit-box", text: "More" });
    const items = element(
      "div",
      {},
      button("Copy as Python", "Copy the code of this state", () => this.copyCode()),
      button(
        "Pin",
        "Keep this as a case, for kit.check_cases to guard",
        () => (this.picker.known.label ? pin() : this.picker.open(summary, pin)),
        { hidden: panel.alone },
      ),
      button("Present (P)", "In the whole window; Page Down shows the next, Escape leaves", () =>
        this.stage.toggle(),
      ),
    );
    items.addEventListener("click", () => this.closeMenu(), true); // before what is chosen takes the focus
    this.menu = element("details", { class: "kit-menu" }, summary, items);
    this.tries = panel.tries.map(([name, settings]) => ({
      state: stateOf(settings),
      node: button(name, "Show this", ({ target }) => this.show(settings, target)),
    }));
    const tries = this.tries.map(({ node }) => node);
    this.done = element("p", { class: "kit-done", role: "status" });
    this.peek = button("Original photo", "Hold to see it unperturbed, prepared as usual", () => {});
    this.about = element("figcaption", { class: "kit-long" });
    this.more = grouped("kit-more kit-drawer", "More perturbations");
    this.more.hidden = true;
    this.moreButton = button(
      "More perturbations",
      "Blur, contrast, JPEG, weather and others",
      () => this.open("more", this.more.hidden),
      { "aria-expanded": "false", hidden: panel.sliders.every(({ group }) => group === "main") },
    );
    const main = div("kit-main");
    const sections = {};
    for (const { node, spec } of this.controls) {
      const flip = this.flips.get(spec.key);
      if (flip) node.append(flip.button);
      const section = () => element("fieldset", {}, element("legend", { text: spec.section }));
      const home = spec.group === "main" ? main : (sections[spec.section] ??= section());
      home.append(node);
    }
    this.more.append(...Object.values(sections));
    this.answer.node.append(this.done, this.picker.node);
    this.body = div(
      "kit-body",
      element(
        "header",
        { class: "kit-group" },
        element("p", { class: "kit-title kit-long", text: panel.title }), // no heading: its level depends on the notebook
        !panel.table &&
          div(
            "kit-group kit-quiet",
            button("Add an image…", "Or drop or paste one anywhere here", () =>
              this.files.node.click(),
            ),
            this.files.node,
            this.camera.button,
            this.camera.snap,
          ),
        div(
          "kit-group",
          this.peek,
          button("Reset", `Unperturbed, prepared ${panel.usual}`, () => this.reset()),
        ),
        this.menu,
      ),
      tries.length > 0 && grouped("kit-tries kit-group", "Try", "Try:", ...tries),
      this.error,
      this.notes,
      this.photos.node,
      div(
        "kit-columns",
        div(
          "kit-pictures",
          element("figure", {}, this.preview.picture.canvas, this.about),
          element("figure", {}, this.where.picture.canvas, this.where.caption),
          this.where.text,
        ),
        this.answer.node,
      ),
      div("kit-sliders", main, div("kit-ask", this.moreButton, this.because.ask)),
      this.path.node,
      this.more,
      this.because.node,
    );
    this.root = element(
      "section",
      {
        class: `kit-explorer ${panel.tempered ? "kit-tempered" : ""}`,
        role: "group",
        "aria-label": `Explorer ${window.kitViews}: ${panel.title}`,
        tabindex: -1, // a click anywhere lets it hear keys
      },
      this.banner,
      this.body,
    );
    this.refresh();
    const next = panel.tries.length ? ".kit-tries button" : ".kit-photos input";
    const places = () => [...this.root.querySelectorAll(next)];
    this.stage = new Stage(this.root, places, this.ended.signal);
  }

  refresh() {
    this.notes.replaceChildren(...this.panel.notes.map((text) => element("p", { text })));
    this.notes.hidden = this.panel.notes.length === 0;
    this.photos.build(this.panel.photos, this.settings.photo);
  }

  /** One at a time, below all that must not move. */
  open(key, open) {
    const drawers = { more: this.more, because: this.because.node };
    for (const [name, drawer] of Object.entries(drawers)) drawer.hidden = !(open && key === name);
    this.moreButton.setAttribute("aria-expanded", String(!this.more.hidden));
    if (open) drawers[key].scrollIntoView({ block: "nearest" });
  }

  // -- beginning and end

  start() {
    this.events = Object.entries({
      "msg:custom": (content, buffers) => this.heard(content, buffers),
      "change:_panel": () => this.refresh(),
      comm_live_update: () => {
        if (this.root.closest(".jupyter-widgets-disconnected")) this.tell("lose", GONE);
      },
    });
    for (const event of this.events) this.model.on(...event);
    this.listen();
    this.files.listen(this.panel.alone ? document.body : this.root);
    // Hosts that tell of the kernel's end are JupyterLab and Notebook.
    this.kernel = this.model.widget_manager?.kernel;
    this.onStatus = (_, status) => {
      if (OVER.includes(status)) this.tell("lose", GONE);
    };
    this.onConnection = (_, status) => this.tell("connected", status === "connected");
    this.kernel?.statusChanged?.connect(this.onStatus);
    this.kernel?.connectionStatusChanged?.connect(this.onConnection);
    this.tell("greetUntilHeard");
  }

  stop() {
    for (const event of this.events) this.model.off(...event);
    this.kernel?.statusChanged?.disconnect(this.onStatus);
    this.kernel?.connectionStatusChanged?.disconnect(this.onConnection);
    this.ended.abort();
    this.camera.stop();
    this.photos.stop();
    cancelAnimationFrame(this.frame);
    for (const timer of [this.timer, this.resting, this.late]) clearTimeout(timer);
  }

  listen() {
    this.peek.addEventListener("pointerdown", () => this.hold(true));
    this.root.addEventListener("pointerdown", ({ target }) => {
      this.menu.open &&= this.menu.contains(target);
    });
    for (const event of ["pointerup", "pointerleave", "pointercancel", "blur"])
      this.peek.addEventListener(event, () => this.hold(false));
    // Hosts take keys for their own before an element hears of them, Notebook 7 the arrows for one.
    const early = { capture: true, signal: this.ended.signal };
    for (const event of ["keydown", "keyup"])
      window.addEventListener(event, (pressed) => this.key(pressed), early);
  }

  key(event) {
    if (!this.root.contains(event.target) && !this.stage.on) return;
    const down = event.type === "keydown";
    // Commands, such as to save the notebook, are for the host, but its undo and copy are of cells.
    const withCtrl = event.ctrlKey || event.metaKey;
    const isCommand = withCtrl
      ? !/^[acvxyz]$/i.test(event.key)
      : event.shiftKey && event.key === "Enter";
    if (down && isCommand) return;
    event.stopPropagation();
    const types = event.target.matches("select, input:not([type=range], [type=radio])");
    if (event.target === this.peek && [" ", "Enter"].includes(event.key)) {
      event.preventDefault();
      this.hold(down);
    } else if (down && this.stage.turn(event.key)) {
      event.preventDefault();
    } else if (down && event.key === "p" && !types) {
      this.stage.toggle();
    } else if (down && event.key === "Escape") {
      const running = [...this.flips.values()].find((flip) => flip.running);
      if (running) running.stop();
      else if (this.menu.open) this.closeMenu();
      else if (!this.picker.node.hidden) this.picker.close();
      else if (this.stage.on) this.stage.toggle();
      else if (!this.because.node.hidden) this.because.close();
    }
  }

  // -- what people do

  changed(key, value) {
    if (key === "photo") this.camera.stop();
    this.endFlips();
    const settings = { ...this.settings, [key]: value };
    this.move(key === "photo" ? this.predicted(settings) : settings);
    this.tell("near", key);
  }

  /** See what the model sees of a class, or see it no more: as for the prediction, all stays as it is. */
  look(where) {
    this.move({ ...this.settings, where }, this.done.textContent);
  }

  /** Of another image, and of one that is reset, a map is that of the predicted class. */
  predicted(settings) {
    return { ...settings, where: this.settings.where === null ? null : -1 };
  }

  move(settings, done = "") {
    write(this.done, done);
    this.settings = settings;
    if (this.held === null) this.because.moved(settings); // the original photo is shown for a moment only
    if (this.camera.on) return; // the next frame takes the settings along
    this.tell("changed", settings);
    if (this.message) this.paint(); // known ahead: in the frame of the event, not in the one after
    else this.late ||= setTimeout(() => this.draw(), LATE_MS);
  }

  endFlips() {
    this.flips.forEach((flip) => flip.stop());
  }

  take(some) {
    this.endFlips();
    this.put(some);
  }

  /** Change some settings, but not the photo. */
  put(some) {
    const { photo: _photo, where: _where, ...changed } = some;
    this.adopt({ ...this.settings, ...changed });
    this.move(this.settings);
  }

  reset() {
    this.settings = this.predicted(this.settings);
    this.take(this.panel.neutral);
  }

  show(settings, place) {
    this.stage.place = place;
    this.endFlips();
    this.camera.stop();
    this.adopt(this.predicted(settings));
    this.move(this.settings);
  }

  closeMenu() {
    this.menu.open = false;
    this.menu.firstChild.focus();
  }

  hold(on) {
    if (on === (this.held !== null) || this.camera.on) return;
    this.peek.setAttribute("aria-pressed", String(on));
    const back = this.held;
    this.held = on ? this.settings : null;
    this.take(on ? this.panel.neutral : back);
  }

  async copyCode() {
    try {
      await navigator.clipboard.writeText(this.code);
      write(this.done, "Copied.");
    } catch {
      this.fail(`Expected access to the clipboard; the code is: ${this.code}`);
    }
  }

  /** A camera's frame takes the place of the photograph, with what the hand has set. */
  framed({ photo, pixels, width, height }) {
    if (photo !== this.settings.photo) this.settings = this.predicted({ ...this.settings, photo });
    if (this.preview.base) this.preview.base = this.camera.frame;
    this.photos.show(photo);
    this.tell("framed", this.settings, { kind: "frame", width, height }, [pixels.buffer]);
    this.draw();
  }

  // -- talking to the kernel

  ask(kind, fields = {}, buffers = []) {
    this.post({ kind, request: `${this.prefix}.${kind}`, ...fields }, buffers);
  }

  post(content, buffers) {
    try {
      const { base, side } = this.preview;
      const held = content.kind === "settings" ? { held: base?.photo ?? null, side } : {};
      const status = ({ content: { execution_state: state } }) =>
        this.ended.signal.aborted || this.tell("served", content.request, state === "busy");
      const callbacks = Object.assign(() => {}, { iopub: { status } }); // marimo calls what it is given
      this.model.send({ ...content, ...held }, callbacks, buffers);
    } catch {
      this.tell("lose", GONE);
    }
  }

  tell(event, ...values) {
    for (const [effect, ...results] of this.exchange.after(performance.now(), event, ...values))
      this[effect](...results);
    this.judge();
    this.root.dataset.inFlight = this.exchange.idle ? "" : "1";
    clearTimeout(this.timer);
    const wait = this.exchange.due - performance.now();
    if (wait < Infinity && !this.ended.signal.aborted)
      this.timer = setTimeout(() => this.tick(), Math.max(0, wait));
  }

  /** While nothing else is under way; photos where the cores may be used ahead of a hand. */
  judge() {
    const { ahead, idle, lost, moving } = this.exchange;
    if (!idle || moving || lost || document.hidden || this.camera.on || this.held) return;
    this.where.ask();
    if (ahead.places && this.root.dataset.told) this.photos.ask(this.settings);
  }

  tick() {
    this.tell("tick");
    if (this.exchange.greetings === 2) this.goOn(); // after seconds without an answer
  }

  mayLookAhead() {
    return this.preview.base !== null && !this.camera.on && !document.hidden && this.held === null;
  }

  heard(content, buffers) {
    if (this.ended.signal.aborted) return;
    const { kind, request } = content;
    if (["view", "ahead"].includes(kind) && !buffers?.length) this.tell("lose", BARE); // some hosts leave pixels out
    else if (kind === "view") {
      this.tell("answered", content, buffers);
      if (request === `${this.prefix}.label`) this.picker.answered(true);
    } else if (kind === "ahead") this.tell("foreseen", content, buffers);
    else if (kind === "noise") {
      this.preview.takeNoise(content);
      this.draw();
    } else if (String(request).startsWith(`${this.prefix}.`)) this.replied(content, buffers);
    else if (kind === "error" && request === "") this.tell("failed", content);
  }

  /** What this view has asked for. */
  replied(content, buffers) {
    const { kind, request } = content;
    if (kind === "fresh") requestAnimationFrame(() => this.reveal());
    else if (kind === "judged") this.photos.heard(content);
    else if (kind === "where") this.where.heard(content, buffers);
    else if (kind === "pinned") this.done.textContent = content.text;
    else if (kind === "asking") this.because.progress(content.text);
    else if (kind === "because") this.because.explain(content, buffers);
    else if (kind === "error") {
      if (request === `${this.prefix}.why`) this.because.end("The question could not be answered.");
      if (request === `${this.prefix}.label`) this.picker.answered(false);
      this.tell("failed", content);
    }
    this.judge();
  }

  lose(text) {
    this.banner.textContent = this.panel.alone ? BUSY : text;
    this.banner.hidden = false;
    this.body.inert = true;
    this.root.classList.add("kit-stale");
    this.because.end("Ended: the kernel does not answer.");
    this.endFlips();
    this.photos.forget();
    this.camera.stop();
    if (text === GONE) this.goOn();
  }

  /** Let what was kept answer in place of the kernel. */
  async goOn() {
    const kept = this.model.get("_kept");
    if (this.ended.signal.aborted || !kept.length) return;
    this.stop();
    const model = await living(kept, false);
    this.stop = render({ model, el: this.root.parentElement });
    this.root.remove();
  }

  /** After the cell was run: the whole explorer, where a part of it is in view already. */
  reveal() {
    const { top, bottom } = this.root.getBoundingClientRect();
    if (bottom >= 0 && top <= innerHeight) this.root.scrollIntoView({ block: "nearest" });
  }

  /** The bars are stale until an answer comes: the settings may have moved meanwhile. */
  find() {
    this.banner.hidden = true;
    this.body.inert = false;
  }

  fail(text, stale = false) {
    const { changes } = this.exchange;
    const isFirst = stale || this.error.hidden || this.failedAt !== changes;
    const before = isFirst ? "" : this.error.textContent;
    if (!before.includes(text)) this.error.textContent = `${before}\n${text}`.trim();
    this.error.hidden = false;
    this.failedAt = changes; // the change that the error belongs to
    write(this.done, "");
    if (!stale) return;
    this.root.classList.add("kit-stale");
    this.endFlips();
  }

  news({ content, buffers }) {
    // The kernel sends a photograph once: one that no frame has taken yet goes with the next answer.
    const untaken = buffers.length === 1 && this.message ? this.message.buffers.slice(1) : [];
    this.message = { content, buffers: [...buffers, ...untaken] };
    // Not with the frame: a hand on the keyboard may be quicker.
    this.picker.known = { top: content.answer.name, label: content.answer.label };
    this.draw();
  }

  adopt(settings) {
    this.settings = { ...settings };
    this.photos.show(settings.photo);
    this.path.show(settings);
    for (const { spec, show } of this.controls) show(settings[spec.key]);
  }

  adopted(settings) {
    if (settings.photo !== this.panel.camera.name) this.camera.stop();
    if (settings.photo !== this.settings.photo) write(this.done, ""); // which was of the one before
    this.adopt(settings);
    this.because.moved(settings);
  }

  // -- painting, once a frame

  draw() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.paint());
  }

  paint() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.late);
    this.frame = this.late = 0;
    const taken = this.message;
    this.message = null;
    if (taken) this.preview.take(taken.content, taken.buffers, this.camera.frame);
    if (this.preview.drawNoise(this.settings)) this.draw();
    this.picker.moved(this.settings);
    const state = stateOf(this.settings);
    for (const { state: own, node } of this.tries) node.setAttribute("aria-pressed", own === state);
    this.preview.paint(this.settings, this.exchange.moving);
    if (taken) this.paintAnswer(taken);
    this.tell("tick");
  }

  paintAnswer({ content, buffers }) {
    if (!this.root.dataset.told) {
      this.root.dataset.told = "1"; // the style hides what stands there for pages without a kernel
      this.photos.show(this.settings.photo); // the strip has a width from now on
    }
    this.where.paint(content, bytesOf(buffers[0]));
    this.answer.paint(content);
    this.photos.paint(content);
    if (stateOf(content.settings) === stateOf(this.settings))
      for (const [key, flip] of this.flips) flip.painted(this.settings[key], content.answer.name);
    this.path.paint(content.path);
    const about = `${content.settings.photo.replace(/\.\w+$/, "")} · ${content.about}`;
    writeLong(this.about, about);
    this.preview.picture.canvas.setAttribute("aria-label", `The photo ${about}`);
    this.code = content.code;
    // What is refused beside the bars, such as a file, stays until a hand moves.
    if (this.exchange.changes > this.failedAt || this.root.classList.contains("kit-stale"))
      this.error.hidden = true;
    if (!this.exchange.lost) this.root.classList.remove("kit-stale");
    this.keep(content);
    const detail = { settings: content.settings, ahead: content.request === undefined };
    this.root.dispatchEvent(new CustomEvent("kit:painted", { bubbles: true, detail }));
  }

  /** Once this has been shown for a while, pages without a kernel show it, too. */
  keep({ verdict, settings }) {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      const state = verdict + JSON.stringify(settings);
      if (state !== this.kept) this.ask("keep");
      this.kept = state; // what the output of the cell shows where no kernel is
    }, KEPT_MS);
  }
}

export default { render };
