// What the worker of a page takes and gives, and what it makes of the pixels that the browser decodes.
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import test from "node:test";
import { settled } from "./dom.mjs";
import { bitmapOf, pixelsOf, turned } from "../../kit/explorer/page/decode.js";
import { Bench } from "../../kit/explorer/page/bench.js";

// -- a browser whose images have one byte a channel, and whose files are their own pixels

globalThis.OffscreenCanvas = class {
  constructor(width, height) {
    const size = { width, height };
    let [opaque, rgba] = [false, null];
    const fillRect = (_left, _top, ...sides) => {
      assert.deepEqual(sides, [width, height]);
      opaque = true;
    };
    const drawImage = (image, ...place) => {
      assert.deepEqual(place, [0, 0]);
      assert.deepEqual({ width: image.width, height: image.height }, size);
      rgba = image.rgba;
    };
    const getImageData = () => ({
      data: opaque ? rgba.map((level, k) => (k % 4 === 3 ? 255 : level)) : rgba,
    });
    this.getContext = () => ({ fillRect, drawImage, getImageData });
  }
};
const bitmap = (rgba, width = rgba.length / 4, height = 1) => ({
  rgba: Uint8ClampedArray.from(rgba),
  width,
  height,
  close: () => {},
});

test("pixels are red, green and blue, and say whether some of them are transparent", () => {
  const opaque = pixelsOf(bitmap([1, 2, 3, 255, 4, 5, 6, 255]), null);
  assert.deepEqual([...opaque.data], [1, 2, 3, 4, 5, 6]);
  assert.equal(opaque.clear, false);
  const clear = bitmap([1, 2, 3, 255, 4, 5, 6, 254]);
  assert.equal(pixelsOf(clear, null).clear, true);
  assert.equal(pixelsOf(clear, [0, 0, 0]).clear, false, "on a ground nothing shines through");
});

test("a photo of more than 50 megapixels is refused", () => {
  const expected = { message: "Expected at most 50000000 pixels, received 50010000; resize it" };
  assert.throws(() => pixelsOf({ width: 10_000, height: 5_001 }, null), expected);
  assert.throws(() => pixelsOf({ width: 10_000, height: 5_000, rgba: null }, null), TypeError); // read, in vain
});

test("how a JPEG, PNG or WebP is to be turned is taken out of it, since browsers follow some of them", async () => {
  globalThis.createImageBitmap = async (part) => [...new Uint8Array(await part.arrayBuffer())];
  const ofText = (text) => [...text].map((letter) => letter.charCodeAt(0));
  /** An EXIF block with another tag and the orientation. */
  const block = (little, orientation) => {
    const number = (value, size) => {
      const bytes = Array.from({ length: size }, (_, k) => (value >> (8 * k)) & 255);
      return little ? bytes : bytes.toReversed();
    };
    const tags = [0x110, 0x112].map((tag) => [tag, 2]);
    const entry = ([tag, size]) => [number(tag, size), number(3, 2), number(1, 4)].flat();
    const values = [9, orientation].map((value) => [...number(value, 2), 0, 0]);
    const entries = tags.flatMap((tag, k) => [...entry(tag), ...values[k]]);
    return [...ofText(little ? "II*\0" : "MM\0*"), ...number(8, 4), ...number(2, 2), ...entries];
  };
  const of = (...parts) => bitmapOf(new Blob([Uint8Array.from(parts.flat())]));
  const [start, marker, scan] = [
    [0xff, 0xd8],
    [0xff, 0xe1, 0, 40, ...ofText("Exif\0\0")],
    [0xff, 0xda, 0xff, 0xd9],
  ];
  const files = {
    JPEG: (exif) => [...start, ...marker, ...exif, ...scan],
    PNG: (exif) => [...ofText("\x89PNG\0\0\0\x22eXIf"), ...exif, ...ofText("IDATIEND")],
    WebP: (exif) => [...ofText("RIFF....WEBPEXIF\x22\0\0\0"), ...exif],
    "WebP of some": (exif) => [...ofText("RIFF....WEBPEXIF\x28\0\0\0Exif\0\0"), ...exif],
  };
  for (const [name, file] of Object.entries(files))
    for (const little of [true, false])
      assert.deepEqual(
        await of(file(block(little, 6))),
        { bitmap: file(block(little, 1)), orientation: 6 },
        name,
      );
  const orientationOf = async (...parts) => (await of(...parts)).orientation;
  const two = [...marker, ...block(true, 3), ...marker, ...block(true, 6)];
  assert.equal(await orientationOf(start, two, scan), 3, "the first of two");
  assert.equal(await orientationOf(start, marker, block(true, 9), scan), 1, "unknown");
  assert.equal(await orientationOf(start, scan), 1);
  assert.equal(await orientationOf(start, marker, ofText("II*\0"), scan), 1, "damaged");
});

test("an image is turned as Pillow's exif_transpose turns it", () => {
  const image = {
    data: Uint8Array.of(1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 7),
    width: 3,
    height: 2,
  };
  const rows = [1, 2, 3, 4, 5, 6, 7, 8].map((orientation) => {
    const { data, width, height } = turned(image, orientation);
    assert.equal(data.indexOf(7) % 3, 2, "blue stays blue");
    return [width, height, [...data].filter((_, k) => k % 3 === 0).join("")];
  });
  assert.deepEqual(rows, [
    [3, 2, "123456"],
    [3, 2, "321654"],
    [3, 2, "654321"],
    [3, 2, "456123"],
    [2, 3, "142536"],
    [2, 3, "415263"],
    [2, 3, "635241"],
    [2, 3, "362514"],
  ]);
});

test("a JPEG or a PNG that ends early is refused, whatever pictures lie in its head or after its end", async () => {
  globalThis.createImageBitmap = async () => ({});
  const of = (...parts) =>
    bitmapOf(new Blob(parts.map((part) => (Array.isArray(part) ? Uint8Array.from(part) : part))));
  const [start, pixels, end] = [
    [0xff, 0xd8],
    [0xff, 0xda, 5],
    [0xff, 0xd9],
  ];
  const thumbnail = [0xff, 0xfe, 0, 8, ...start, ...pixels.slice(0, 2), ...end];
  const whole = [
    [start, thumbnail, pixels, end],
    [start, pixels, end, start, pixels, end],
    [start, pixels, end, [0, 0]],
    [start, pixels, end, pixels], // a video may have these bytes, too
    [[0x89], "PNG", "IDAT", "IDAT", "IEND", [1, 2, 3, 4]],
    ["BM", pixels],
  ];
  for (const parts of whole) await of(...parts);
  const cut = [
    [start, pixels],
    [start, thumbnail, pixels],
    [start, pixels, [0xff]],
    [start, pixels, pixels],
    [[0x89], "PNG", "IDAT"],
    [[0x89], "PNG", "IDAT", "IDAT", "IEN"],
  ];
  for (const parts of cut)
    await assert.rejects(of(...parts), { message: /^it ends early; copy it again/ });
});

// -- the bench

const STEPS = {
  size: [1, 2],
  filter: "nearest",
  fit: "squash",
  crop_fraction: 1,
  thumbnail: null,
  channels: "rgb",
  invert: false,
  scaling: [{ divisor: 1, mean: 0, std: 1 }],
  cast: null,
  layout: "channels_last",
  pillow: 13,
  exif: true,
  matte: [255, 255, 255],
};
const ABOUT = {
  steps: STEPS,
  choices: {
    exif: { "": {}, exif_ignored: { changes: { exif: false } } },
    alpha: { "": {}, alpha_black: { changes: { matte: [0, 0, 0] } } },
  },
  seeds: {},
};
const STATE = { photo: "a", brightness: 1, noise: 0, exif: "", alpha: "", where: null };
const gave = (values) => ({ row: Float32Array.from(values), cells: null });

test("a photo is given to the network upright, or as it is stored where that is asked for", async () => {
  const bench = new Bench(ABOUT, gave);
  const pixels = [10, 20, 30, 255, 40, 50, 60, 255];
  const opened = bench.open({ name: "a", bitmap: bitmap(pixels), orientation: 2 });
  assert.deepEqual(opened, { signs: { exif: true, alpha: false } });
  const given = async (changes) => [
    ...(await bench.look({ settings: { ...STATE, ...changes } })).row,
  ];
  assert.deepEqual(await given({}), [40, 50, 60, 10, 20, 30]);
  assert.deepEqual(await given({ exif: "exif_ignored" }), [10, 20, 30, 40, 50, 60]);
  assert.deepEqual(await given({ brightness: 2 }), [80, 100, 120, 20, 40, 60]);
  const column = bitmap([...pixels, 70, 80, 90, 255], 1, 3);
  bench.open({ name: "a", bitmap: column, orientation: 6 });
  const { size } = await bench.look({ settings: STATE });
  assert.deepEqual(size, [3, 1]);
  const stored = { settings: { ...STATE, exif: "exif_ignored" } };
  assert.deepEqual([...bench.pixels(stored)], [10, 20, 30, 40, 50, 60, 70, 80, 90]);
  const clear = bitmap([...pixels.slice(0, -1), 0]);
  const { signs } = bench.open({ name: "a", bitmap: clear, orientation: 1 });
  assert.deepEqual(signs, { exif: false, alpha: true });
  bench.open({ name: "a", image: { data: Uint8Array.of(1, 2, 3, 4, 5, 6), width: 2, height: 1 } });
  assert.deepEqual(await given({}), [1, 2, 3, 4, 5, 6], "as a camera's next frame");
});

test("outputs of which one is no number are refused", async () => {
  const expected = { message: "Expected probabilities, received nan or infinite values" };
  for (const output of [NaN, Infinity]) {
    const bench = new Bench(ABOUT, () => gave([0.5, output]));
    bench.open({ name: "a", image: { data: new Uint8Array(6), width: 2, height: 1 } });
    await assert.rejects(bench.look({ settings: STATE }), expected);
  }
});

test("each photo has noise in all of its values, a smaller one and a larger one after it", async () => {
  const bench = new Bench({ ...ABOUT, seeds: { 3: { state: "1", inc: "3" } } }, gave);
  for (const width of [2, 4]) {
    const image = { data: new Uint8Array(3 * width).fill(128), width, height: 1 };
    bench.open({ name: "a", image });
    const steps = { size: { changes: { size: [1, width] } } };
    bench.about = { ...bench.about, choices: { ...ABOUT.choices, size: { "": steps.size } } };
    const { row } = await bench.look({ settings: { ...STATE, noise: 5, seed: 3, size: "" } });
    assert.equal(row.length, 3 * width);
    assert.ok(row.every((level) => Math.abs(level - 128) < 30));
  }
});

test("a photo of more than 4 megapixels is predicted whole, and shown in every second pixel", async () => {
  const bench = new Bench({ ...ABOUT, seeds: { 3: { state: "1", inc: "3" } } }, gave);
  const [width, height] = [4_194_305, 1];
  const data = new Uint8Array(3 * width).fill(100);
  data[3 * (width - 1)] = 7;
  bench.open({ name: "a", image: { data, width, height } });
  const steps = { size: [1, width], thumbnail: null };
  bench.about = { ...bench.about, choices: { ...ABOUT.choices, size: { "": { changes: steps } } } };
  const settings = { ...STATE, noise: 5, seed: 3, size: "" };
  const { row, size, stride } = await bench.look({ settings });
  assert.deepEqual([size, stride], [[width, height], 2]);
  const shown = bench.pixels({ settings });
  assert.equal(shown.length, 3 * 2_097_153);
  assert.deepEqual(
    [...shown.subarray(-6)],
    [100, 100, 100, 7, 100, 100],
    "without noise, which the page adds",
  );
  assert.equal(row.length, 3 * width);
  assert.ok(new Set(row.subarray(0, 300)).size > 9, "with noise");
});

test("of a long photo, however thin, there is a small image", () => {
  const bench = new Bench(ABOUT, gave);
  bench.open({ name: "a", image: { data: new Uint8Array(3 * 200), width: 1, height: 200 } });
  const { width, height } = bench.thumbnail({ name: "a" });
  assert.deepEqual([width, height], [1, 56]);
});

// -- the worker

test("a worker opens the network, then answers one question after the other, each on its own port", async () => {
  const posted = [];
  let heard = null;
  let underWay = 0;
  class Tensor {
    constructor(values) {
      this.values = values;
    }
    toTypedArray = () => this.values;
    delete() {}
  }
  const run = async ([tensor]) => {
    underWay += 1;
    assert.equal(underWay, 1);
    await settled();
    underWay -= 1;
    return [tensor];
  };
  const files = [];
  globalThis.addEventListener = (_type, listener) => (heard = listener);
  globalThis.litertOf = (wasm) => ({
    Tensor,
    open: async (file) => {
      files.push([...wasm], [...file]);
      if (file.length === 1) throw new Error("no such operation");
      return { run };
    },
  });
  await import("../../kit/explorer/page/worker.js");
  const packed = (...bytes) => gzipSync(Uint8Array.from(bytes)).toString("base64");
  const about = {
    ...ABOUT,
    head: "softmax",
    map: null,
    shape: [1, 2, 3],
    temperature: 1,
  };
  const image = (value) => ({ data: new Uint8Array(6).fill(value), width: 2, height: 1 });
  const look = (photo) => ({ kind: "look", content: { settings: { ...STATE, photo } } });
  const start = (...network) => ({
    kind: "start",
    content: { about, network: packed(...network), wasm: packed(5, 6) },
  });
  const questions = [
    start(9), // of which is told that it cannot be opened, and then others are answered
    start(1, 5, 2, 6, 3, 7, 4, 8),
    { kind: "open", content: { name: "a", image: image(7) } },
    { kind: "open", content: { name: "b", image: image(8) } },
    look("a"),
    look("none"),
    look("b"),
  ];
  questions.forEach((data, id) => {
    const port = { postMessage: (answer) => posted.push({ id, ...answer }) };
    heard({ data, ports: [port] });
  });
  while (posted.length < questions.length) await settled();
  assert.deepEqual(files, [[5, 6], [9], [5, 6], [1, 2, 3, 4, 5, 6, 7, 8]]);
  assert.deepEqual(
    posted.map(({ id }) => id),
    [0, 1, 2, 3, 4, 5, 6],
  );
  assert.deepEqual(posted.slice(0, 2), [
    { id: 0, trouble: "no such operation" },
    { id: 1, value: null },
  ]);
  assert.deepEqual([posted[4].value.row[0], posted[6].value.row[0]], [7, 8]);
  assert.equal(typeof posted[5].trouble, "string");
});
