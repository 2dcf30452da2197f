// A whole page as a person works it: what it shows at first, what each step changes in it, and what it asks for.
//
// That lies in data/page.txt, a line for each element; `make record` writes it, and what has changed there is to be
// read. The model is as small as the photos: a class is as probable as its colour is bright.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import test from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { FakeElement, called, camera, pass, settled } from "./dom.mjs";
import { Bench } from "../../kit/explorer/page/bench.js";
import { StandIn, living } from "../../kit/explorer/page/live.js";
import { render } from "../../kit/explorer/page/explorer.js";

const FILE = new URL("./data/page.txt", import.meta.url);
const { panel: recorded } = JSON.parse(
  readFileSync(new URL("./data/texts.json", import.meta.url), "utf-8"),
);

// -- photos and a model

/** An EXIF block that says upside down. */
const EXIF = [
  ...Buffer.from("Exif\0\0II*\0"),
  8,
  0,
  0,
  0,
  1,
  0,
  0x12,
  1,
  3,
  0,
  1,
  0,
  0,
  0,
  3,
  0,
  0,
  0,
];

/** A file of 3 × 2 or fewer pixels, which is a JPEG with an EXIF block where it is turned. */
const photo = (width, rgba, isTurned = false) => {
  const exif = isTurned ? [0xff, 0xe1, 0, 2 + EXIF.length, ...EXIF] : [];
  return Uint8Array.from([0xff, 0xd8, ...exif, 0xff, 0xda, width, ...rgba, 0xff, 0xd9]);
};
const CAT = photo(
  3,
  [
    [200, 10, 20, 255, 190, 30, 40, 255, 180, 50, 60, 255],
    [170, 70, 80, 255, 160, 90, 99, 255, 150, 110, 120, 255],
  ].flat(),
  true,
);
const DOG = photo(2, [0, 60, 250, 255, 10, 70, 240, 0]);
const CLASSES = ["dark", "red", "green", "blue"];

/** Probabilities of the mean colour, and where the image is bright. */
async function model(tensor, { where }) {
  const sums = [32 * tensor.length, 0, 0, 0];
  tensor.forEach((level, k) => (sums[1 + (k % 3)] += 3 * level));
  const total = sums.reduce((sum, share) => sum + share, 0);
  const row = Float32Array.from(sums, (share) => share / total);
  const cells = { height: 1, width: 2, values: [0, where === -1 ? 1 : 0.5] };
  const calibrated = row.map((share) => (1 + share) / 5);
  return { row, calibrated, novel: false, cells: where === null ? null : cells };
}

const LATER = { key: "flip", label: "Flip", hint: "Swap left and right.", kind: "switch" };
const [BRIGHTNESS, NOISE] = ["brightness", "noise"].map((key) =>
  recorded.sliders.find((spec) => spec.key === key),
);
const MORE = { ...NOISE, key: "jpeg", label: "JPEG", hint: "Save.", neutral: null };
const NEUTRAL = { ...recorded.neutral, photo: "cat.jpg", flip: false, jpeg: null };
const PANEL = {
  ...recorded,
  title: "colours",
  classes: CLASSES,
  photos: [
    { name: "cat.jpg", added: false, labelled: true, thumbnail: "Y2F0" },
    { name: "my.dog.png", added: true, labelled: false, thumbnail: "" },
  ],
  labels: { "cat.jpg": "red" },
  notes: ["a note"],
  tries: [
    ["night", { ...NEUTRAL, photo: "my.dog.png", brightness: 0.05 }],
    ["grain", { ...NEUTRAL, noise: 60 }],
    ["day", { ...NEUTRAL, brightness: 1.2 }],
  ],
  tempered: true,
  ahead: { ...recorded.ahead, places: 2 },
  neutral: NEUTRAL,
  start: { ...NEUTRAL, noise: 4 },
  sliders: [
    { ...BRIGHTNESS, step: 0.2 },
    NOISE,
    { ...LATER, unit: "", neutral: false, group: "more", section: "Scene" },
    { ...MORE, unit: "", low: 1, snaps: true, group: "more", section: "File" },
  ],
  path: recorded.path.filter(({ key }) => !["thumbnail", "filter", "polarity"].includes(key)),
  steps: { ...recorded.steps, size: [2, 3], filter: "nearest", fit: "squash", scaling: [] },
  choices: {
    ...recorded.choices,
    scaling: {
      "": recorded.choices.scaling[""],
      range_0_1: {
        ...recorded.choices.scaling.range_0_1,
        changes: { scaling: [{ divisor: 255, mean: null, std: null }] },
      },
    },
  },
};
const packed = (text) => gzipSync(text).toString("base64");
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const PARTS = [
  packed(JSON.stringify(PANEL)),
  packed("script"),
  "wasm",
  "network",
  base64(CAT),
  base64(DOG),
];

// -- more of a browser

const log = [];
const brief = (settings) =>
  Object.fromEntries(
    Object.entries(settings).filter(([key, value]) => value !== NEUTRAL[key] || key === "photo"),
  );

/** A message in a line, with those of its settings that are not neutral, and the lengths of its bytes. */
const lineOf = ({ settings, ...content }, buffers = []) => {
  const { request: _request, number: _number, ...fields } = content;
  const lengths = buffers.map(({ byteLength }) => byteLength);
  return JSON.stringify({ ...fields, ...(settings && { settings: brief(settings) }), lengths });
};

class FakeBlob {
  constructor(parts = []) {
    this.bytes = parts.flatMap((part) =>
      typeof part === "string" ? [...Buffer.from(part)] : [...(part.bytes ?? new Uint8Array(part))],
    );
  }
  arrayBuffer = async () => Uint8Array.from(this.bytes).buffer;
}

let bitmaps = 0; // that are open

/** One whose pixels come as they are stored: of an EXIF block, the orientation is taken out. */
class ImageBitmap {
  constructor([, , mark, ...bytes], options) {
    const isTurned = bytes[0] === 0xe1;
    assert.ok(mark === 0xff && (isTurned || bytes[0] === 0xda), "no image");
    if (isTurned) assert.equal(bytes[EXIF.length - 1], 1);
    const [width, ...levels] = bytes.slice(isTurned ? 5 + EXIF.length : 1, -2);
    assert.deepEqual(options, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
    const pixels = Array.from({ length: levels.length / 4 }, (_, k) =>
      levels.slice(4 * k, 4 * k + 4),
    );
    this.rgba = levels;
    bitmaps += 1;
    const close = () => (bitmaps -= 1);
    Object.assign(this, { width, height: pixels.length / width, close });
  }
}

class OffscreenCanvas {
  constructor(width, height) {
    let [ground, image] = [null, null];
    const context = {
      fillRect: () =>
        (ground = context.fillStyle
          .match(/^rgb\((\d+),(\d+),(\d+)\)$/)
          .slice(1)
          .map(Number)),
      drawImage: (bitmap) => (image = bitmap),
      getImageData: (...box) => {
        assert.deepEqual(box, [0, 0, image.width, image.height]);
        assert.deepEqual([width, height], [image.width, image.height]);
        const level = (value, k) => (k % 4 === 3 ? 255 : image.rgba[k | 3] ? value : ground[k % 4]);
        return { data: Uint8ClampedArray.from(ground ? image.rgba.map(level) : image.rgba) };
      },
    };
    this.getContext = () => context;
  }
}

/** The browser's own unpacks in a thread, which a busy machine gives no time that a test could count on. */
class DecompressionStream extends TransformStream {
  constructor() {
    super({ transform: (chunk, controller) => controller.enqueue(gunzipSync(chunk)) });
  }
}

/** A port gives its message to the other in the next turn. */
class MessageChannel {
  constructor() {
    this.port1 = { close: () => {} };
    this.port2 = { postMessage: (data) => queueMicrotask(() => this.port1.onmessage({ data })) };
  }
}

let halted = null; // what workers wait for

/** A worker whose script is that of tests/page/bench.test.mjs. */
class Worker {
  turn = Promise.resolve();
  constructor(url) {
    log.push(`worker ${url}`);
    this.script = url.split(":").at(-1);
  }
  postMessage({ kind, content }, [port, ...moved]) {
    if (this.script === "no script") this.onerror({ message: "it ends early" });
    if (this.script === "refused") this.onerror({});
    const answer = async () => {
      if (halted) await halted;
      if (kind !== "start") return this.bench[kind](content);
      const { about, ...files } = content;
      if (files.network !== "network") throw new Error("no network");
      log.push(`start ${JSON.stringify(files)} ${Object.keys(about).length} fields`);
      this.bench = new Bench(about, model);
      return null;
    };
    assert.equal(moved.length, content.bitmap ? 1 : 0);
    this.turn = this.turn.then(() =>
      answer().then(
        (value) => port.postMessage({ value }),
        (error) => port.postMessage({ trouble: error.message }),
      ),
    );
  }
}

let urls = 0;
URL.createObjectURL = ({ bytes }) => `blob:${(urls += 1)}:${Buffer.from(bytes)}`;
URL.revokeObjectURL = (url) => log.push(`revoked ${url}`);
Object.assign(navigator, {
  clipboard: { writeText: async (text) => log.push(`copied ${text}`) },
});
Object.assign(globalThis, {
  Blob: FakeBlob,
  DecompressionStream,
  ImageBitmap,
  MessageChannel,
  OffscreenCanvas,
  Worker,
  createImageBitmap: async (blob, options) => new ImageBitmap(blob.bytes, options),
  location: { hash: "#photo=cat.jpg&noise=101&seed=3" }, // what no slider has is left out
  history: { replaceState: (_state, _title, url) => log.push(`address ${url}`) },
  matchMedia: () => scheme,
});
const scheme = { matches: true };
const body = new FakeElement("body");
const main = new FakeElement("main");
const scripts = PARTS.map((textContent, part) => ({ textContent, dataset: { part } }));
Object.assign(scripts[5], { textContent: "", dataset: { part: "dog" } }); // which lies beside the page
window.kitParts = { dog: PARTS[5] };
Object.assign(document, {
  body,
  documentElement: new FakeElement("html"),
  querySelector: () => main,
  querySelectorAll: () => scripts,
  exitFullscreen: () => log.push("leaves the screen"),
});
document.documentElement.append(body);
body.append(main);
main.append(new FakeElement("h1")); // which an explorer leaves there
const opening = () => main.append(new FakeElement("output")); // which it takes away
opening();
Object.assign(FakeElement.prototype, {
  requestFullscreen: async () => {
    throw new Error("refused");
  },
  showPopover: () => log.push("shown in the window"),
  toBlob(done) {
    done(new FakeBlob([`${this.image.width}x${this.image.height}`]));
  },
  scrollIntoView(options) {
    log.push(`scrolls to ${this.tag}.${this.className} ${JSON.stringify(options)}`);
  },
});
const { send } = StandIn.prototype;
StandIn.prototype.send = function (content, callbacks, buffers) {
  if (content.request) prefix = content.request.replace(/\.[^.]*$/, "");
  log.push(`asks ${lineOf(content, buffers)}`);
  return send.call(this, content, callbacks, buffers);
};
main.addEventListener("kit:painted", ({ detail }) =>
  log.push(`painted ${detail.ahead ? "ahead " : ""}${JSON.stringify(brief(detail.settings))}`),
);

// -- what is seen

const short = (number) => String(Number(Number(number).toFixed(4)));

function lineOfElement(node) {
  const { tag, className, attributes, dataset, style, image, drawn, texts } = node;
  const data = Object.entries(dataset).map(([name, value]) => [`data-${name}`, value]);
  const styles = Object.entries(style).map(([name, value]) => [`style-${name}`, value]);
  const properties = ["checked", "inert", "popover", "scrollLeft"]
    .filter((name) => node[name])
    .map((name) => [name, node[name]]);
  const own = [...attributes].filter(([name]) => !(name.slice(5) in dataset));
  const pairs = [...own, ...data, ...styles, ...properties];
  const values = pairs.map(([name, value]) =>
    value === "" || value === true
      ? name
      : `${name}=${String(value).replace(/kit-\w+-(?=\d+)/, "kit-")}`.replace(
          /\d+\.\d{5,}/g,
          short,
        ),
  );
  if (image) values.push(`${image.width}x${image.height}:${image.data}`);
  for (const { image: map, box } of drawn ?? [])
    if (map.image)
      values.push(
        `map ${map.getAttribute("width")}x${map.getAttribute("height")} ` +
          `${map.image.width}x${map.image.height}:${map.image.data} at ${box}`,
      );
  node.drawn = [];
  const name = [tag, ...className.split(" ").filter(Boolean)].join(".");
  return [name, ...values, ...texts.map((text) => JSON.stringify(text))].join(" ");
}

function linesOf(node, depth = 0) {
  const inner = node.children.flatMap((child) => linesOf(child, depth + 1));
  return ["  ".repeat(depth) + lineOfElement(node), ...inner];
}

/** Lines that are new, in their order, and how many of those before are gone. */
function changed(before, after) {
  const lengths = Array.from({ length: before.length + 1 }, () =>
    Array.from({ length: after.length + 1 }, () => 0),
  );
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--)
      lengths[i][j] =
        before[i] === after[j]
          ? 1 + lengths[i + 1][j + 1]
          : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
  const lines = [];
  let [i, j] = [0, 0];
  while (j < after.length)
    if (before[i] === after[j]) [i, j] = [i + 1, j + 1];
    else if (i < before.length && lengths[i + 1][j] >= lengths[i][j + 1]) i += 1;
    else lines.push(after[j++].trim());
  return [...lines, `- ${before.length - lengths[0][0]} lines`];
}

/** Let what was asked for be answered and painted. */
async function go(ms) {
  for (let time = 0; time < ms; time += 50) {
    for (let turn = 0; turn < 4; turn++) await settled();
    pass(50);
  }
}

const root = () => main.children.at(-1);
const press = (name) => called(root(), name).click();
const key = (name, target = root()) => {
  if (window.fire("keydown", { key: name, target })) log.push(`takes ${name}`);
  if (name !== " ") window.fire("keyup", { key: name, target });
};
const keyed = (name) => [...root()].find((node) => node.getAttribute("data-key") === name);
const set = (node, value) => {
  node[node.getAttribute("type") === "checkbox" ? "checked" : "value"] = value;
  node.fire(node.getAttribute("type") === "range" ? "input" : "change");
};
const file = (name, bytes) => ({
  name,
  size: bytes.length,
  arrayBuffer: async () => Uint8Array.from(bytes).buffer,
});
/** What the kernel says, as the answer to a message of the page. */
const hear = (content, buffers = []) => {
  const request = content.request ?? `${prefix}.${content.kind}`;
  inNotebook.events["msg:custom"]({ ...content, request }, buffers);
};
const kernel = {};
let prefix = "";
const signal = (name) => ({
  connect: (heard) => (kernel[name] = heard),
  disconnect: (heard) => log.push(`hears no more of ${name} ${heard === kernel[name]}`),
});
let inNotebook = null;
let leave = null; // what a host calls when it takes the page away
let lastView = null; // the last message with one
const listening = () => {
  for (const type of ["keydown", "keyup", "resize"])
    log.push(`${type} ${window.listeners[type].map(({ early }) => early)}`);
};
const walk = () =>
  `walk: ${[...root()].find(({ title }) => title.startsWith("Move ")).textContent}`;

const STEPS = {
  "the page opens": async () => {
    await import("../../kit/explorer/page/alone.js");
    for (const matches of [true, false]) {
      scheme.matches = matches;
      scheme.onchange();
      log.push(`theme ${document.documentElement.getAttribute("theme")}`);
    }
  },
  "the pointer comes to a slider, which then moves": async () => {
    keyed("brightness").fire("pointerenter");
    await go(1500);
    set(keyed("brightness"), "0.1");
  },
  "Why?": () => press("Why?"),
  "the cause is undone": () => root().querySelector(".kit-apply").click(),
  "and done again": () => press("Go back"),
  "the report is closed": () => {
    press("Close");
    log.push(`focus ${document.activeElement.textContent}`);
  },
  "and once more, with a key": async () => {
    press("Why?");
    await go(1500);
    log.push(`hidden ${root().querySelector(".kit-because").hidden}`);
    key("Escape");
    log.push(`hidden ${root().querySelector(".kit-because").hidden}`);
  },
  "a slider moves while nobody sees the page, and the pointer comes to another": async () => {
    document.hidden = true;
    set(keyed("brightness"), "0.6");
    await go(1500);
    document.hidden = false;
    keyed("noise").fire("pointerenter");
  },
  Reset: () => press("Reset"),
  "an image prepared otherwise": () => set(keyed("scaling"), "range_0_1"),
  "Why? of that": () => press("Why?"),
  "of another state nothing is said": () => set(keyed("noise"), "30"),
  "nor of another photo": () => called(root(), "my.dog.png").fire("change"),
  "a transparent photo on black": () => set(keyed("alpha"), "alpha_black"),
  "its label": () => {
    press("Label it");
    root().querySelector(".kit-say").querySelector("input").value = "blue";
    root().querySelector("form").fire("submit");
  },
  "a label that is no class": () => {
    root().querySelector(".kit-mark").click();
    root().querySelector(".kit-say").querySelector("input").value = "dodo";
    root().querySelector("form").fire("submit");
  },
  "no label": () => {
    root().querySelector(".kit-mark").click();
    press("I do not know");
    log.push(`focus ${document.activeElement.className}`);
  },
  "Where?": () => press("Where?"),
  "the map of another class": () => set(called(root(), "Class of the map"), "1"),
  "reset, with a map": () => {
    press("Reset");
    return 300;
  },
  "swapped, with it": () => {
    const menu = keyed("channels");
    menu.showPicker = () => log.push("its menu opens");
    key("Enter", menu);
    set(menu, "channels_swapped");
  },
  "no map": () => press("Where?"),
  "the original photo, while it is held": async () => {
    press("Why?");
    keyed("noise").fire("focus");
    await go(1500);
    press("Find the flip: Brightness");
    called(root(), "Original photo").fire("pointerdown");
  },
  "and let go": () => called(root(), "Original photo").fire("pointerup"),
  "held, and left in another way": () => {
    const peek = called(root(), "Original photo");
    for (const left of ["pointerleave", "pointercancel", "blur"]) {
      for (const event of ["pointerdown", "pointerdown", left, left]) peek.fire(event);
      log.push(`${left}, held ${peek.getAttribute("aria-pressed")}`);
    }
  },
  "untouched, with a key": () => {
    press("Reset");
    for (const name of ["Tab", "Enter", " "]) key(name, called(root(), "Original photo"));
  },
  "the key is let go": () => {
    window.fire("keyup", { key: " ", target: called(root(), "Original photo") });
  },
  "the other photo": () => called(root(), "cat.jpg").fire("change"),
  "the flip": () => press("Find the flip: Brightness"),
  "a map, beside which the flip is still told": async () => {
    press("Where?");
    await go(500);
    log.push(root().querySelector(".kit-done").textContent);
    press("Where?");
  },
  "a key that ends a walk, and closes one thing at a time": async () => {
    press("Why?");
    root().querySelector(".kit-mark").click();
    key("p");
    await settled();
    const menu = root().querySelector("details");
    menu.open = true;
    press("Find the flip: Brightness");
    for (let count = 0; count < 5; count += 1) {
      key("Escape");
      const open = [".kit-say", ".kit-because"].map((name) => !root().querySelector(name).hidden);
      log.push(`${walk()} ${[menu.open, ...open]} ${root().className}`);
    }
  },
  "the code": () => press("Copy as Python"),
  "the code where it cannot be copied": async () => {
    const { writeText } = navigator.clipboard;
    navigator.clipboard.writeText = () => Promise.reject(new Error("not allowed"));
    press("Copy as Python");
    await settled();
    Object.assign(navigator.clipboard, { writeText });
  },
  "a try": () => press("night"),
  "a parameter of the drawer": async () => {
    press("More perturbations");
    set(keyed("flip"), true);
  },
  "Why? in its place": async () => {
    set(keyed("flip"), false);
    press("Why?");
    await go(1500);
    press("Close");
  },
  "a number that no slider has": () => set(called(root(), "JPEG, exact value"), "none"),
  "all steps": () => press("Other steps"),
  "no audience after all": () => {
    for (const name of ["p", "p"]) key(name);
  },
  "the audience": () => {
    for (const name of ["PageDown", "p", "p", "p"]) key(name);
  },
  "the next places, and the first after the last": () => {
    for (const target of [root(), root(), body]) key("PageDown", target);
  },
  "in a low window": () => {
    for (const height of [600, 500]) {
      globalThis.innerHeight = height;
      window.fire("resize");
      log.push(`zoom ${root().style.zoom}`);
    }
  },
  "the place before, in a high one": () => {
    globalThis.innerHeight = 1000;
    window.fire("resize");
    key("PageUp");
    key("PageUp");
  },
  "on the whole screen": () => {
    document.fullscreenElement = root();
    root().fire("fullscreenchange");
  },
  "and out": () => {
    key("Escape");
    document.fullscreenElement = null;
    root().fire("fullscreenchange");
  },
  "left by what the browser has for it": async () => {
    key("p");
    await go(50);
    log.push(root().className);
    document.fullscreenElement = null;
    root().fire("fullscreenchange");
  },
  "a file that is no image": () => {
    body.fire("paste", { clipboardData: { files: [file("mine.png", [1, 2, 3, 4])] } });
    log.push(root().querySelector(".kit-done").textContent);
  },
  "one that ends early, and another": () => {
    const files = [file("cut.jpg", DOG.slice(0, -1)), file("text.png", [1])];
    body.fire("paste", { clipboardData: { files } });
  },
  "one that is dropped": () => {
    for (const event of ["dragover", "dragleave", "dragover"])
      log.push(`${event} ${body.fire(event)} ${body.className}`);
    const files = [file("torn.png", [1]), file("mine.png", DOG)];
    log.push(body.fire("drop", { dataTransfer: { files } }));
  },
  "labelled photos are judged one after the other": async () => {
    for (const name of ["mine.png", "my.dog.png"]) {
      called(root(), name).fire("change");
      await go(500);
      press("Label it");
      root().querySelector(".kit-say").querySelector("input").value = "blue";
      root().querySelector("form").fire("submit");
      await go(500);
    }
    log.splice(0);
    set(keyed("noise"), "40");
  },
  "a walk ends with whatever else is done": async () => {
    const actions = [() => set(keyed("noise"), "10"), () => press("night"), () => press("Reset")];
    for (const action of actions) {
      press("Find the flip: Brightness");
      log.push(walk());
      action();
      log.push(walk());
      await go(300);
    }
  },
  "text that is pasted is the browser's": () =>
    log.push(body.fire("paste", { clipboardData: { files: [] } })),
  "one that is too large, while a slider is still to be answered": () => {
    set(keyed("noise"), "45");
    body.fire("paste", { clipboardData: { files: [{ name: "big.png", size: 65e6 }] } });
  },
  "a slider that moves, after which nothing is refused": () => set(keyed("noise"), "50"),
  "an image is removed, and the map is that of the predicted class": async () => {
    press("Where?");
    await go(500);
    for (const name of ["cat.jpg", "my.dog.png"]) {
      set(called(root(), "Class of the map"), "0");
      await go(500);
      called(root(), name).fire("change");
      await go(500);
    }
    set(called(root(), "Class of the map"), "0");
    keyed("noise").fire("pointerenter");
    await go(500);
    press("Remove my.dog.png");
  },
  "a map of the first class is put away": async () => {
    set(called(root(), "Class of the map"), "0");
    await go(500);
    press("Where?");
    await go(500);
    log.push(`map ${called(root(), "Where?").getAttribute("aria-pressed")}`);
    press("Where?");
    await go(500);
  },
  "so is that of the camera": async () => {
    set(called(root(), "Class of the map"), "2");
    await go(500);
    press("Camera");
    await go(150);
    for (const name of ["p", "Escape"]) {
      key(name);
      await settled();
    }
    set(called(root(), "Class of the map"), "2");
    return 150;
  },
  "a snap": () => {
    press("Snap");
    log.push(`focus ${document.activeElement.textContent}`);
  },
  "a try, which ends the camera": async () => {
    press("Camera");
    await go(150);
    set(keyed("noise"), "20"); // which the next frame takes along
    await go(150);
    press("grain");
  },
  "another photo, which ends the camera, too; before, nothing is held": async () => {
    press("Camera");
    await go(150);
    const peek = called(root(), "Original photo");
    peek.fire("pointerdown");
    log.push(`held ${peek.getAttribute("aria-pressed")}`);
    peek.fire("pointerup");
    called(root(), "cat.jpg").fire("change");
    log.push(`camera ${called(root(), "Camera").getAttribute("aria-pressed")}`);
  },
  "a slider, of the photo that took the place of the camera's": () => set(keyed("noise"), "10"),
  "a camera that is refused": () => {
    camera.getUserMedia = async () => {
      throw new Error("not allowed");
    };
    press("Camera");
  },
  "another address": () => {
    location.hash =
      "#photo=cat.jpg&brightness=0.5&jpeg=1&channels=channels_swapped&noise=100&noise=101&fit=none";
    window.fire("hashchange");
  },
  "one of a photo that is not there": () => {
    location.hash = "#photo=gone.jpg&noise=30";
    window.fire("hashchange");
  },
  "an answer that takes long": async () => {
    let goOn = null;
    halted = new Promise((done) => (goOn = done));
    set(keyed("noise"), "11");
    await go(10_500);
    const lost = root().querySelector(".kit-lost");
    log.push(`told ${lost.textContent}`);
    halted = null;
    goOn();
    await go(1000);
    log.push(`told ${!lost.hidden}`);
  },
  "a page whose model does not run": async () => {
    root().remove();
    for (const [part, text] of [
      [3, "damaged"],
      [1, packed("no script")],
      [1, packed("refused")],
    ]) {
      scripts[part].textContent = text;
      opening();
      await import(`../../kit/explorer/page/alone.js?${text}`);
      log.push(root().textContent);
      root().remove();
    }
  },
  "in a notebook": async () => {
    main.replaceChildren();
    inNotebook = await living(PARTS, false);
    const sliders = PANEL.sliders.slice(0, 2);
    Object.assign(inNotebook, {
      panel: {
        ...inNotebook.panel,
        alone: false,
        table: true,
        map: null,
        sliders,
        flips: false,
        tries: [],
      },
      off: (event) => log.push(`hears no more of ${event}`),
      get: (name) => (name === "_panel" ? inNotebook.panel : PARTS),
      widget_manager: {
        kernel: {
          statusChanged: signal("status"),
          connectionStatusChanged: signal("connection"),
        },
      },
    });
    leave = render({ model: inNotebook, el: main });
    const heard = inNotebook.events["msg:custom"];
    inNotebook.events["msg:custom"] = (content, buffers) => {
      if (content.answer) lastView = { content, buffers };
      heard(content, buffers);
    };
  },
  "without tries, the next place is a photo": async () => {
    key("p");
    key("PageDown");
    await go(500);
    called(root(), "cat.jpg").fire("change");
    key("p");
  },
  "a pin": () => press("Pin"),
  "a photo without a label": () => called(root(), "my.dog.png").fire("change"),
  "a pin of that": () => {
    press("Label it");
    key("Escape");
    root().querySelector("details").open = true;
    press("Pin");
    log.push(`focus ${document.activeElement.getAttribute("aria-label")}`);
    press("Yes, blue");
  },
  "what the kernel says of it": () => hear({ kind: "pinned", text: "Pinned: a file" }),
  "which is gone with another photo": async () => {
    const { content, buffers } = lastView;
    const settings = { ...content.settings, photo: "cat.jpg" };
    hear({ ...content, settings, request: "" }, buffers.slice(0, 1));
    log.push(`said: ${root().querySelector(".kit-done").textContent}`);
    hear({ ...content, request: "" }, buffers.slice(0, 1));
  },
  "photos that another page has added or labelled, and what compiling has found": () => {
    inNotebook.panel.notes = ["falls back to Keras"];
    inNotebook.events["change:_panel"]();
  },
  "the menu is closed": () => {
    root().focus();
    root().querySelector("details").open = true;
    key("Escape");
    log.push(`focus ${document.activeElement.tag}`);
    const menu = root().querySelector("details");
    menu.open = true;
    for (const target of [menu.firstChild, root(), menu.firstChild]) {
      root().fire("pointerdown", { target });
      log.push(`open ${menu.open}`);
    }
  },
  "a letter that is typed, and some for others": async () => {
    const host = new AbortController();
    const heard = ({ target }) => log.push(`the host hears of a key at ${target.tag}`);
    window.addEventListener("keydown", heard, host);
    for (const target of [called(root(), "Noise, exact value"), keyed("scaling"), body])
      key("p", target);
    const kept = [{ key: "Enter" }, { key: "s" }, { key: "z", ctrlKey: true }];
    const commands = [
      { key: "s", ctrlKey: true },
      { key: "s", metaKey: true },
      { key: "Enter", shiftKey: true },
    ];
    for (const pressed of [...kept, ...commands])
      window.fire("keydown", { ...pressed, target: keyed("noise") });
    host.abort();
    for (const target of [keyed("noise"), called(root(), "my.dog.png")]) {
      key("p", target);
      await settled();
      log.push(root().className);
    }
    for (const held of [{ ctrlKey: true }, { metaKey: true }])
      window.fire("keydown", { key: "p", ...held, target: root() });
  },
  "Why? in a notebook": async () => {
    press("Reset");
    await go(500);
    press("Why?");
    hear({ kind: "asking", text: "checks, part 1 of 4" });
    const asking = root().querySelector(".kit-asking");
    log.push(asking.textContent);
    hear({ kind: "error", request: `${prefix}.remove`, text: "no such photo" });
    log.push(asking.textContent);
    press("Stop");
    log.push(asking.textContent);
  },
  "an error of that": () => hear({ kind: "error", request: `${prefix}.why`, text: "no memory" }),
  "an answer of which all is unfolded": async () => {
    press("Why?");
    await go(1500);
    const told = { headline: "Noise.", advice: "", lines: ["Without noise: red"], pictures: [] };
    const changes = { ...told, settings: { ...NEUTRAL, photo: "my.dog.png" } };
    hear({ kind: "because", changes, stopped: "Stopped." });
    root().querySelector(".kit-folds").firstChild.open = true;
  },
  "a state that a cell has assigned and nobody knows": () =>
    hear({ kind: "error", request: "", text: "not in the page" }),
  "a photo that no frame has taken yet goes with the next answer": async () => {
    const { content, buffers } = lastView;
    const photo = Uint8Array.from({ length: 18 }, (_, k) => k);
    const others = { ...content.bars[0], index: -1, name: "96 others" };
    hear({ ...content, request: "" }, [buffers[0], photo]);
    hear({ ...content, bars: [...content.bars, others], request: "" }, [buffers[0]]);
  },
  "a map that is not whole is asked for, but not while nobody sees it": async () => {
    const { content, buffers } = lastView;
    const where = { height: 1, width: 2, waits: true, name: "red", about: "half" };
    const input = Uint8Array.from([...buffers[0], ...Array(8).fill(9)]);
    const settings = { ...content.settings, where: -1 };
    for (const isHidden of [true, false]) {
      document.hidden = isHidden;
      hear({ ...content, settings, where, request: "" }, [input]);
      await go(300);
      log.push(`hidden ${isHidden}`);
    }
    called(root(), "Original photo").fire("pointerdown");
    await go(300);
    hear({ ...content, settings, where, request: "" }, [input]);
    await go(300);
    log.push("nor while the original photo is held");
    called(root(), "Original photo").fire("pointerup");
    await go(300);
    hear({ ...content, request: "" }, [buffers[0]]);
  },
  "the cell was run again, where a part of it is in view": async () => {
    for (const [top, bottom] of [
      [-9, -1],
      [-9, 0],
      [1000, 1300],
      [1001, 1300],
    ]) {
      root().getBoundingClientRect = () => ({ top, bottom });
      log.push(`at ${top}`);
      hear({ kind: "fresh" });
      log.push("in the next frame");
      await go(50);
    }
  },
  "what another page has asked for": () => {
    for (const kind of ["pinned", "asking", "fresh", "error"])
      for (const other of ["kit-other-1", `${prefix}1`])
        hear({ kind, text: "another", request: `${other}.why` });
  },
  "a host that leaves pixels out": () => {
    for (const kind of ["noise", "ahead", "view"]) hear({ kind, request: "" });
  },
  "a file for a table": () => {
    root().fire("dragover");
    log.push(root().querySelector(".kit-error").textContent);
    root().fire("drop", { dataTransfer: { files: [] } });
  },
  "the connection breaks while a cause is looked for": () => {
    press("Why?");
    hear({ ...lastView.content, request: "" }, lastView.buffers.slice(0, 1)); // not painted yet
    kernel.connection(null, "connecting");
    log.push(root().querySelector(".kit-asking").textContent);
  },
  "and is back": () => {
    kernel.connection(null, "connected");
    hear({ kind: "error", request: `${prefix}.remove`, text: "no such photo" });
    log.push(`before an answer ${root().className}`);
  },
  "the kernel ends": async () => {
    set(keyed("noise"), "10");
    await go(100);
    kernel.status(null, "restarting");
    kernel.status(null, "dead"); // of which it has heard already
    const old = root();
    for (let turn = 0; turn < 100 && root() === old; turn++) await settled();
    assert.notEqual(root(), old);
    for (let turn = 0; turn < 100; turn++) await settled();
    log.push(`explorers ${main.children.length}`);
    listening();
  },
  "and its cell is deleted": () => {
    leave();
    listening();
    hear({ ...lastView.content, request: "" }, lastView.buffers);
  },
  "a walk does not begin with an answer to older settings": async () => {
    main.replaceChildren();
    const events = {};
    const values = { _panel: { ...inNotebook.panel, table: false, flips: true }, _kept: [] };
    const sent = [];
    const on = (event, heard) => (events[event] = heard);
    render({ model: { get: (name) => values[name], on, send: (c) => sent.push(c) }, el: main });
    for (const noise of ["20", "40"]) set(keyed("noise"), noise);
    press("Find the flip: Brightness");
    const { request, settings } = sent.find(({ kind }) => kind === "settings");
    const { content, buffers } = lastView;
    events["msg:custom"]({ ...content, request, settings }, buffers.slice(0, 1));
    await go(300);
    log.push(`noise of it ${settings.noise}, brightness ${keyed("brightness").value}`);
  },
  "what is under way ends with an error, and with the kernel": async () => {
    main.replaceChildren();
    const events = {};
    const values = { _panel: { ...inNotebook.panel, table: false, flips: true }, _kept: [] };
    const widget_manager = { kernel: { statusChanged: signal("status") } };
    const on = (event, heard) => (events[event] = heard);
    render({
      model: { get: (name) => values[name], on, send: () => {}, widget_manager },
      el: main,
    });
    press("Find the flip: Brightness");
    log.push(walk());
    events["msg:custom"]({ kind: "error", request: "", text: "no memory" }, []);
    log.push(walk());
    camera.getUserMedia = async () => ({ getTracks: () => [] });
    press("Camera");
    await settled();
    press("Find the flip: Brightness");
    kernel.status(null, "dead");
    log.push(walk(), `camera ${called(root(), "Camera").getAttribute("aria-pressed")}`);
  },
  "a page whose host has lost the kernel, with nothing kept": () => {
    main.replaceChildren();
    const events = {};
    const values = { _panel: { ...inNotebook.panel, table: false }, _kept: [] };
    const on = (event, heard) => (events[event] = heard);
    render({ model: { get: (name) => values[name], on, send: () => {} }, el: main });
    log.push(`files for the page: ${body.listeners.drop.length}`);
    events.comm_live_update();
    log.push(`lost ${!root().querySelector(".kit-lost").hidden}`);
    main.classList.add("jupyter-widgets-disconnected");
    events.comm_live_update();
    main.classList.remove("jupyter-widgets-disconnected");
    for (const status of ["busy", "idle", "restarting", "autorestarting", "dead", "terminating"]) {
      const widget_manager = { kernel: { statusChanged: signal("status") } };
      const box = new FakeElement("div");
      const model = { get: (name) => values[name], on, send: () => {}, widget_manager };
      render({ model, el: box });
      kernel.status(null, status);
      log.push(`${status}, lost ${!box.querySelector(".kit-lost").hidden}`);
    }
  },
  "a page that nobody answers, for which what was kept does": () => {
    main.replaceChildren();
    const values = { _panel: inNotebook.panel, _kept: PARTS };
    const send = ({ kind }) => log.push(`nobody hears ${kind}`);
    const model = { get: (name) => values[name], on: () => {}, off: () => {}, send };
    render({ model, el: main });
    return 9000;
  },
  "a camera that another photo ends, which a cell has assigned, and that goes out with the page":
    async () => {
      main.replaceChildren();
      const events = {};
      const values = { _panel: { ...inNotebook.panel, table: false, tempered: false }, _kept: [] };
      const sent = [];
      const on = (event, heard) => (events[event] = heard);
      const model = { get: (name) => values[name], on, off: () => {}, send: (c) => sent.push(c) };
      const end = render({ model, el: main });
      const stop = () => log.push("its light goes out");
      camera.getUserMedia = async () => ({ getTracks: () => [{ stop }] });
      press("Camera");
      await go(100);
      const { settings } = sent.find(({ kind }) => kind === "frame");
      const { content, buffers } = lastView;
      const reply = { ...content, settings, where: null };
      for (const ms of [50, 0]) {
        const { request } = sent.findLast(({ kind }) => kind === "frame");
        events["msg:custom"]({ ...reply, request }, buffers.slice(0, 1));
        await go(ms);
      }
      log.push(`frame of ${root().querySelector("canvas").image.width} pixels`);
      for (const photo of [settings.photo, "cat.jpg"]) {
        const view = { ...reply, settings: { ...settings, photo }, request: "" };
        events["msg:custom"](view, buffers.slice(0, 1));
        log.push(`${photo}, camera ${called(root(), "Camera").getAttribute("aria-pressed")}`);
      }
      await go(100);
      press("Camera");
      await settled();
      events["msg:custom"]({ ...reply, request: "" }, [buffers[0], new Uint8Array(18)]); // not painted any more
      end();
    },
  "a photo that the page darkens while the kernel is silent, and where nothing is to be asked ahead":
    async () => {
      main.replaceChildren();
      const events = {};
      const _panel = { ...inNotebook.panel, ahead: { ...PANEL.ahead, places: 0 } };
      const values = { _panel, _kept: [] };
      const sent = [];
      const on = (event, heard) => (events[event] = heard);
      render({ model: { get: (name) => values[name], on, send: (c) => sent.push(c) }, el: main });
      const { content, buffers } = lastView;
      const settings = { ...content.settings, noise: 0 };
      const photo = new Uint8Array(6).fill(100);
      const source = { live: true, width: 2, height: 1 };
      events["msg:custom"]({ ...content, settings, source, request: "" }, [buffers[0], photo]);
      await go(1500);
      for (const brightness of ["0.4", "0.6"]) {
        set(keyed("brightness"), brightness);
        await go(100);
        log.push(`${root().querySelector("canvas").image.data}`);
      }
      log.push(...sent.map(({ kind }) => kind));
    },
  "labelled photos beside one that the page cannot paint by itself": async () => {
    main.replaceChildren();
    const events = {};
    const photos = inNotebook.panel.photos.map((row) => ({ ...row, labelled: true }));
    const values = { _panel: { ...inNotebook.panel, photos }, _kept: [] };
    const sent = [];
    const on = (event, heard) => (events[event] = heard);
    render({ model: { get: (name) => values[name], on, send: (c) => sent.push(c) }, el: main });
    const { content, buffers } = lastView;
    const source = { live: false, width: 2, height: 1 };
    const photo = new Uint8Array(6);
    const decode = globalThis.createImageBitmap;
    globalThis.createImageBitmap = async () => ({ width: 2, height: 1, close: () => {} });
    events["msg:custom"]({ ...content, source, request: "" }, [buffers[0], photo]);
    await go(100);
    globalThis.createImageBitmap = decode;
    log.push(...sent.map(({ kind }) => kind));
  },
  "what was refused of a label is gone once another is taken": async () => {
    main.replaceChildren();
    const events = {};
    const values = { _panel: { ...inNotebook.panel, table: false }, _kept: [] };
    const sent = [];
    const on = (event, heard) => (events[event] = heard);
    render({ model: { get: (name) => values[name], on, send: (c) => sent.push(c) }, el: main });
    const request = sent[0].request.replace("hello", "label");
    const view = [{ ...lastView.content, request }, lastView.buffers.slice(0, 1)];
    const refused = [{ kind: "error", request, text: "no such class" }];
    for (const messages of [[view, refused, view], [view]]) {
      for (const message of messages) {
        events["msg:custom"](...message);
        await go(100);
      }
      log.push(`error hidden ${root().querySelector(".kit-error").hidden}`);
      root().querySelector(".kit-mark").click();
      press("I do not know");
    }
  },
};

const STYLE = ["explorer", "alone"]
  .map((name) =>
    readFileSync(new URL(`../../kit/explorer/page/${name}.css`, import.meta.url), "utf-8"),
  )
  .join("\n")
  .replace(/\/\*.*?\*\//gs, "");

/** Selectors without `:is()`: one for each of its choices. */
function plain(selector) {
  const start = selector.indexOf(":is(");
  if (start < 0) return [selector];
  let [end, depth] = [start + 4, 1];
  for (; depth; end++) depth += { "(": 1, ")": -1 }[selector[end]] ?? 0;
  return selector
    .slice(start + 4, end - 1)
    .split(APART)
    .flatMap((choice) => plain(selector.slice(0, start) + choice.trim() + selector.slice(end)));
}
const APART = /,\s+(?![^(]*\))/;
const HOST = /jp-|vscode|output_area|cell-output|kit-note(?!-)|theme="dark"|^h1$|^footer$/; // what no walk has
const POINTED = /:not\(:hover\)|:has\(:focus-visible\)|:focus-visible/g;
const unused = new Set(
  [...STYLE.matchAll(/([^{}]+)\{[^{}]*\}/g)]
    .flatMap(([, selectors]) => plain(selectors.trim().replace(/\s+/g, " ")))
    .flatMap((selector) => selector.split(APART))
    .filter((selector) => !HOST.test(selector)),
);

async function walked() {
  const sections = [];
  let before = [];
  for (const [name, step] of Object.entries(STEPS)) {
    const ms = await step();
    await go(typeof ms === "number" ? ms : 1500);
    const after = linesOf(body);
    const nodes = [document.documentElement, ...document.documentElement];
    for (const selector of unused)
      if (nodes.some((node) => node.matches(selector.replace(POINTED, ""))))
        unused.delete(selector);
    sections.push([name, [...log.splice(0).map((line) => `> ${line}`), ...changed(before, after)]]);
    before = after;
  }
  assert.equal(bitmaps, 0);
  return sections.map(([name, lines]) => [`# ${name}`, ...lines].join("\n"));
}

test("a page shows and asks for what it did when it was recorded", async () => {
  const sections = await walked();
  if (process.env.RECORD) writeFileSync(FILE, `${sections.join("\n\n")}\n`);
  const expected = readFileSync(FILE, "utf-8").trimEnd().split("\n\n");
  for (const [k, section] of sections.entries()) assert.equal(section, expected[k]);
  assert.equal(sections.length, expected.length);
});

test("what the style names is there: elements of the walk, and colours", () => {
  assert.deepEqual([...unused], [], "press it in a step of STEPS, or name a host's own in HOST");
  const named = (pattern) => [...new Set([...STYLE.matchAll(pattern)].map(([, name]) => name))];
  assert.deepEqual(named(/var\((--kit-\w+)/g).sort(), named(/(--kit-\w+):/g).sort());
});
