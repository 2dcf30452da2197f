// Brightness and noise of the page, byte for byte as the kernel's, which tests/page/record.py has written down.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";
import "./dom.mjs";
import { Bench } from "../../kit/explorer/page/bench.js";
import { NOISE_STEPS, brightnessTable, perturb, rgbOf } from "../../kit/explorer/page/pixels.js";
import { Preview } from "../../kit/explorer/page/preview.js";

const RECORDED = JSON.parse(readFileSync(new URL("./data/pixels.json", import.meta.url), "utf-8"));
const { width, height } = RECORDED;
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const PHOTO = bytes(RECORDED.pixels);
const FIELD = new Int16Array(bytes(RECORDED.field).buffer);

/** RGB of a painted picture. */
const painted = (rgb, across, down, how) => {
  const { stride = 1 } = how;
  const out = new Uint8ClampedArray(4 * Math.ceil(across / stride) * Math.ceil(down / stride)).fill(
    77,
  );
  perturb(out, rgb, across, down, how);
  assert.ok(
    out.every((value, index) => index % 4 < 3 || value === 77),
    "what is opaque stays so",
  );
  return Uint8Array.from(out.filter((_, index) => index % 4 < 3));
};

const digest = (values) => createHash("sha256").update(values).digest("hex").slice(0, 8);

/** What a page shows of a photograph. */
function shown(settings) {
  const preview = new Preview(() => {});
  preview.noise = { seed: settings.seed, field: FIELD, drawn: FIELD.length };
  preview.take({ settings, source: { live: true, width, height } }, [PHOTO, PHOTO], null);
  preview.paint(settings, false);
  return rgbOf(preview.picture.canvas.image.data);
}

/** What a page without Python predicts. */
async function predicted(settings) {
  const steps = { layout: "channels_last", channels: "rgb", scaling: [] };
  const about = { steps, choices: {}, seeds: { [settings.seed]: {} } };
  const bench = new Bench(about, (row) => ({ row }));
  bench.open({ name: settings.photo, image: { data: PHOTO, width, height } });
  bench.fields.set(settings.seed, FIELD);
  const { row } = await bench.look({ settings });
  return Uint8Array.from(row);
}

for (const [changes, pixels] of RECORDED.perturbed) {
  test(`a photograph with ${JSON.stringify(changes)} has the kernel's bytes`, async () => {
    const settings = { ...RECORDED.neutral, ...changes };
    assert.deepEqual(shown(settings), bytes(pixels), "do it in preview.js");
    assert.deepEqual(await predicted(settings), bytes(pixels), "do it in bench.js");
  });
}

test("the recorded pictures differ, and the untouched one is the photograph", () => {
  const { size } = new Set(RECORDED.perturbed.map(([, pixels]) => pixels));
  assert.equal(size, RECORDED.perturbed.length);
  assert.deepEqual(painted(PHOTO, width, height, {}), PHOTO);
});

test("every level at every brightness is the kernel's", () => {
  assert.ok(RECORDED.brightness.length > 500);
  const wrong = RECORDED.brightness.filter(
    ([factor, wanted]) => digest(brightnessTable(factor)) !== wanted,
  );
  assert.deepEqual(wrong, []);
});

test("every level with every step of noise is the kernel's", () => {
  const { steps } = RECORDED;
  const rgb = Uint8Array.from({ length: 256 * steps.length * 3 }, (_, index) =>
    Math.floor(index / 3 / steps.length),
  );
  const field = Int16Array.from(rgb, (_, index) => steps[Math.floor(index / 3) % steps.length]);
  const out = new Uint8ClampedArray(256 * steps.length * 4);
  const red = new Uint8Array(256 * steps.length);
  const wrong = RECORDED.noise.filter(([noise, wanted]) => {
    perturb(out, rgb, steps.length, 256, { noise, field });
    for (let index = 0; index < red.length; index++) red[index] = out[4 * index];
    return digest(red) !== wanted;
  });
  assert.deepEqual(wrong, []);
});

test("half a level is rounded to the even one", () => {
  const field = new Int16Array(12).fill(NOISE_STEPS / 4);
  const rgb = Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.deepEqual(
    [...painted(rgb, 4, 1, { noise: 2, field })],
    [0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12],
  );
});

test("no noise is added where its field has not come", () => {
  assert.deepEqual(painted(PHOTO, width, height, { noise: 20 }), PHOTO);
});

for (const how of [{}, { brightness: 1.37 }, { brightness: 1.37, noise: 23, field: FIELD }]) {
  for (const stride of [2, 3, 7, 100]) {
    test(`a stride of ${stride} takes pixels of the whole picture, ${Object.keys(how).join(" and ") || "untouched"}`, () => {
      const whole = painted(PHOTO, width, height, how);
      const wanted = whole.filter((_, index) => {
        const [row, column] = [Math.floor(index / 3 / width), Math.floor(index / 3) % width];
        return row % stride === 0 && column % stride === 0;
      });
      assert.deepEqual(painted(PHOTO, width, height, { ...how, stride }), wanted);
    });
  }
}
