// What answers a page without a kernel: a stand-in for the widget's model, in the kernel's messages.
import { Bench, changesOf, recorded } from "./bench.js";
import { bitmapOf } from "./decode.js";
import { bytesOf64, unpacked } from "./network.js";
import { Picture } from "./picture.js";
import { Reasons } from "./reasons.js";
import { Texts } from "./texts.js";

const MISSING = "This combination is not in the page; open the notebook for it.";
const WAITING =
  "Drop a photo here, paste or add one, or use your camera; it does not leave this page.";
const COMPARED_MS = 1_000; // so often a frame of a camera is seen untouched, too, which takes as long as a frame of its own
const REFUSED = "the server of this page or this browser lets no worker run"; // a content security policy, of which no script hears
const UNCHANGED = "You changed nothing, so there is nothing to undo.";
const ENDED = "Only your changes are tried here; the notebook also looks for other causes.";

const jsonOf = async (text) => JSON.parse(new TextDecoder().decode(await unpacked(text)));

/** The model input, and over it the places of a map. */
function bytesOfView({ seen, cells }, { cold, hot, cover }) {
  if (!cells) return seen.data;
  const bytes = new Uint8Array(seen.data.length + 4 * cells.values.length);
  bytes.set(seen.data);
  cells.values.forEach((cell, k) => {
    const colour = cold.map((level, c) => Math.round(level + cell * (hot[c] - level)));
    bytes.set([...colour, Math.round(255 * cover)], seen.data.length + 4 * k);
  });
  return bytes;
}

/** Start a worker of a script; the function that it gives asks it. */
function asking(script) {
  const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  return (kind, content) =>
    new Promise((resolve, reject) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = ({ data: { value, trouble } }) => {
        port1.close();
        if (trouble === undefined) resolve(value);
        else reject(new Error(trouble));
      };
      worker.onerror = ({ message }) => reject(new Error(message || REFUSED)); // of a script that does not run
      const bitmaps = Object.values(content).filter((part) => part instanceof ImageBitmap);
      worker.postMessage({ kind, content }, [port2, ...bitmaps]);
    });
}

/** A stand-in from packed texts: the panel, then what it needs to predict, then photos; `alone` has its state in the address. */
export async function living([first, ...parts], alone) {
  const panel = await jsonOf(first);
  for (const photo of panel.photos) photo.thumbnail = bytesOf64(photo.thumbnail);
  const names = panel.photos.map(({ name }) => name);
  const files = parts.slice(panel.table ? names.length : 3);
  const photos = new Map(names.map((name, k) => [name, { file: new Blob([bytesOf64(files[k])]) }]));
  if (panel.table) {
    const tables = await Promise.all(names.map(async (name, k) => [name, await jsonOf(parts[k])]));
    const bench = new Bench(panel, recorded(tables, panel));
    return new StandIn(panel, photos, async (kind, content) => bench[kind](content), alone);
  }
  const [script, wasm, network] = parts;
  const ask = asking(await unpacked(script));
  const { photos: _photos, classes: _classes, ...about } = panel;
  await ask("start", { about, network, wasm });
  return new StandIn(panel, photos, ask, alone);
}

export class StandIn {
  /** `files` are photos by name, `ask(kind, content)` is answered by a bench. */
  constructor(panel, files, ask, alone) {
    Object.assign(this, { panel, files, ask, alone });
    this.texts = new Texts(panel);
    this.events = {};
    this.labels = { ...panel.labels };
    this.shown = panel.start;
    this.greeted = false;
    this.opened = new Map(); // what is known of a photo, its untouched view included
    this.comparedAt = -COMPARED_MS; // the time of the camera's frame whose untouched view is known
    this.pieces = new Map(); // of files that are on their way
  }

  get(name) {
    return name === "_panel" ? this.panel : [];
  }

  on(event, heard) {
    this.events[event] = heard;
  }

  off() {}

  async send({ kind, request, ...content }, _callbacks, sent = []) {
    const say = (reply, buffers) => this.events["msg:custom"]({ request, ...reply }, buffers);
    try {
      const [reply, ...buffers] = (await this[`on_${kind}`]?.(content, sent, say)) || [];
      if (reply) say(reply, buffers);
    } catch (trouble) {
      say({ kind: "error", text: trouble.message });
    }
  }

  // -- what a state comes to

  async #look(settings) {
    const view = await this.ask("look", { settings });
    return view && { ...view, settings, top: view.row.indexOf(Math.max(...view.row)) };
  }

  #open(name, content = this.files.get(name)) {
    const load = async () => {
      const source = content.file ? await bitmapOf(content.file) : content;
      const untouched = { ...this.panel.neutral, photo: name };
      // Both at once, since a bench takes one after the other.
      const opening = [this.ask("open", { name, ...source }), this.#look(untouched)];
      const [info, view] = await Promise.all(opening);
      return { ...info, untouched: view };
    };
    if (!this.opened.has(name)) this.opened.set(name, load());
    const opened = this.opened.get(name);
    opened.catch(() => this.opened.delete(name));
    return opened;
  }

  async #viewOf(settings) {
    const { untouched } = await this.#open(settings.photo);
    return this.#isUntouched(settings) ? untouched : this.#look(settings);
  }

  #isUntouched(settings) {
    return this.texts.changed(settings).length === 0 && settings.where === null;
  }

  /** What is shown of settings, with the view; undefined where that is not known. */
  async #known(settings) {
    const info = await this.#open(settings.photo);
    const view = await this.#viewOf(settings);
    return view && [this.texts.shown(view, info, this.labels[settings.photo] ?? ""), view];
  }

  async #answered(settings, held) {
    const known = await this.#known(settings);
    if (!known) return [{ kind: "error", text: MISSING }];
    // Texts and numbers, which Python writes in the same way.
    const state = this.#stateOf(settings);
    const pairs = state.map((pair) => pair.map((part) => JSON.stringify(part)).join(": "));
    const code = `explorer.settings = {${pairs.join(", ")}}`;
    const [shown, view] = known;
    const holds = JSON.stringify([settings.photo, settings.exif, settings.alpha]);
    const missing = held !== settings.photo || this.held !== holds;
    const pixels = missing ? [await this.ask("pixels", { settings })] : [];
    this.held = holds; // the pixels that the page has
    const [width, height] = view.size.map((side) => Math.ceil(side / view.stride));
    const source = { live: true, width, height };
    return [
      { ...shown, kind: "view", settings, code, source },
      bytesOfView(view, this.panel.heat),
      ...pixels,
    ];
  }

  #show(photo) {
    const where = this.shown.where === null ? null : -1;
    return this.on_settings({ settings: { ...this.shown, photo, where } });
  }

  #stateOf(settings) {
    return [["photo", settings.photo], ...changesOf(settings, this.panel.neutral)];
  }

  // -- what the page asks for

  on_settings({ settings, held }) {
    this.shown = settings;
    return this.#answered(settings, held);
  }

  async on_ahead({ settings, key, places: [place] }) {
    // One at a time, so that a hand need not wait.
    const [view, pixels] = await this.#answered({ ...settings, [key]: place }, settings.photo);
    return view.kind === "error" ? [view] : [{ kind: "ahead", views: [view] }, pixels];
  }

  on_noise({ seed }) {
    return [{ kind: "noise", seed, state: this.panel.seeds[seed] }];
  }

  on_keep() {
    const state = new URLSearchParams(this.#stateOf(this.shown));
    if (this.alone) history.replaceState(null, "", `#${state}`);
  }

  async on_hello(_content, _sent, say) {
    if (this.greeted) return this.on_settings({ settings: this.shown }); // a greeting is repeated; meanwhile a hand may have moved on
    const { neutral, start } = this.panel;
    const address = new URLSearchParams(this.alone && location.hash.slice(1));
    const wanted = address.get("photo");
    const photo = [wanted, start.photo].find((name) => this.files.has(name));
    if (photo === undefined) return [{ kind: "error", text: WAITING }];
    this.greeted = true;
    if (wanted && photo !== wanted)
      say({ kind: "error", text: `${wanted} is not in this page; add it again.` }, []);
    if (photo !== wanted) return this.on_settings({ settings: start });
    const settings = { ...neutral, ...this.#parsed(address), photo };
    const answer = await this.on_settings({ settings });
    if (answer[0].kind !== "error") return answer;
    say(answer[0], []);
    return this.on_settings({ settings: { ...neutral, photo } });
  }

  /** Settings of an address that can be made with the page's controls. */
  #parsed(address) {
    const { specs, chips } = this.texts;
    const parsed = {};
    for (const [key, text] of address) {
      const { low, high } = specs.get(key) ?? {};
      const number = Number(text);
      const isSeed = key === "seed" && text in this.panel.seeds;
      if (isSeed || (number >= low && number <= high)) parsed[key] = number;
      if (chips.get(key)?.options.some(([name]) => name === text)) parsed[key] = text;
    }
    return parsed;
  }

  on_label({ photo, label }) {
    const { classes, photos } = this.panel;
    if (label && !classes.includes(label))
      throw new Error(`Expected one of ${classes.length} classes, received '${label}'; pick one`);
    this.labels[photo] = label;
    const row = photos.find(({ name }) => name === photo);
    if (row) row.labelled = label !== ""; // a camera's frame has none
    this.events["change:_panel"]();
    return this.on_settings({ settings: this.shown, held: photo });
  }

  async on_judge({ settings, photos: [photo] }) {
    // One at a time, as above.
    const [shown] = (await this.#known({ ...settings, photo })) ?? [];
    return [{ kind: "judged", settings, marks: { [photo]: shown?.answer.state ?? "" } }];
  }

  async on_why({ settings }) {
    const look = (other) => this.#viewOf({ ...other, where: null });
    const view = await look(settings);
    if (!view) throw new Error(MISSING);
    const { untouched } = await this.#open(settings.photo);
    const label = this.labels[settings.photo] ?? "";
    const [reason, after] = await new Reasons(this.texts, view, untouched, label).explained(look);
    reason.headline ||= this.texts.changed(settings).length ? MISSING : UNCHANGED;
    const images = after ? [view.seen, after.seen] : [];
    const pictures = images.map(({ width, height }) => [height, width]);
    const changes = { ...reason, pictures, settings };
    return [{ kind: "because", changes, stopped: ENDED }, ...images.map(({ data }) => data)];
  }

  // -- photos of one's own

  on_upload({ number, name, last }, [piece]) {
    const parts = [...(this.pieces.get(number) ?? []), piece];
    this.pieces.set(number, parts);
    return last && this.pieces.delete(number) && this.#add(name, { file: new Blob(parts) });
  }

  async on_frame({ settings, height, width }, [pixels]) {
    const { name } = this.panel.camera;
    const photo = { ...settings, photo: name };
    const content = { image: { data: new Uint8Array(pixels), width, height } };
    this.files.set(name, content);
    this.held = JSON.stringify([name, photo.exif, photo.alpha]); // the page has its own frames
    const shown = { settings: photo, held: name };
    const now = performance.now();
    if (this.#isUntouched(photo) || now > this.comparedAt + COMPARED_MS) {
      this.opened.delete(name);
      this.comparedAt = now;
      return this.on_settings(shown);
    }
    const opening = this.ask("open", { name, ...content });
    const [answer] = await Promise.all([this.on_settings(shown), opening]);
    return answer;
  }

  on_snap() {
    return this.#add("Snap", this.files.get(this.panel.camera.name));
  }

  async on_remove({ name }) {
    const left = this.panel.photos.filter((photo) => photo.name !== name);
    if (left.length === 0) throw new Error("Expected another photo to show; add one first");
    this.panel.photos = left;
    this.files.delete(name);
    this.opened.delete(name);
    delete this.labels[name]; // or the next one of its name has it
    await this.ask("remove", { name });
    this.events["change:_panel"]();
    return this.#show(this.files.has(this.shown.photo) ? this.shown.photo : left[0].name);
  }

  /** One after the other, as they came, however long each takes to open. */
  #add(name, content) {
    this.adding = Promise.allSettled([this.adding]).then(() => this.#addOne(name, content));
    return this.adding;
  }

  async #addOne(wanted, content) {
    if (this.panel.table) throw new Error("This page holds predictions for its own photos only.");
    let name = wanted;
    for (let count = 2; this.files.has(name); count++) name = `${wanted} (${count})`;
    await this.#open(name, content).catch((cause) => {
      throw new Error(`Expected an image, received ${name}: ${cause.message}`, { cause });
    });
    this.files.set(name, content);
    const { data, width, height } = await this.ask("thumbnail", { name });
    const picture = new Picture(name);
    picture.paint(data, width, height);
    const jpeg = await new Promise((done) => picture.canvas.toBlob(done, "image/jpeg"));
    const thumbnail = await jpeg.arrayBuffer();
    this.panel.photos.push({ name, added: true, labelled: false, thumbnail });
    this.events["change:_panel"]();
    return this.#show(name);
  }
}
