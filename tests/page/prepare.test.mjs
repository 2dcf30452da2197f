// Tensors and noise of a page without Python, byte for byte as the kit's, which tests/page/record.py has written down.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";
import { noiseSteps } from "../../kit/explorer/page/noise.js";
import { imageOf, tensorOf } from "../../kit/explorer/page/prepare.js";

const { steps, seeds, fields, cases } = JSON.parse(
  readFileSync(new URL("./data/prepare.json", import.meta.url), "utf-8"),
);
const bytes = ({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength);
const digest = (...parts) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(bytes(part));
  return hash.digest("hex").slice(0, 12);
};

const fieldFrom = (state, count) => new Int16Array(count).map(noiseSteps(state));
const field = (seed, count) => fieldFrom(seeds[seed], count);

/** The photo of pseudo-random numbers that Python has made as well. */
function grain(height, width) {
  let number = BigInt(height);
  const data = Uint8Array.from({ length: 3 * height * width }, () => {
    number = (number * 1_103_515_245n + 12_345n) & 0x7fffffffn;
    return Number((number >> 16n) & 255n);
  });
  return { data, width, height };
}

const sizes = new Map(cases.map(([size]) => [size.join(" × "), size]));
for (const [name, size] of sizes) {
  test(`each preprocessing of a photo of ${name} gives the kit's tensor, and what is seen in it`, () => {
    const photo = grain(...size);
    const own = cases.filter(([other]) => other.join() === size.join());
    const wrong = own.filter(([, changes, wanted]) => {
      const all = { ...steps, ...changes };
      const tensor = tensorOf(photo, all);
      return digest(tensor.data, imageOf(tensor, all).data) !== wanted;
    });
    assert.ok(own.length > 90);
    assert.deepEqual(wrong, []);
  });
}

for (const [seed, wanted] of Object.entries(fields)) {
  test(`the noise field of seed ${seed} is numpy's`, () => {
    assert.equal(digest(field(seed, 100_000)), wanted);
  });
}

test("a shorter noise field is the beginning of a longer one, whatever its length", () => {
  const long = field(7, 1001);
  for (const count of [1, 2, 3, 500]) assert.deepEqual(field(7, count), long.slice(0, count));
});

test("a size just below the edge of a layer is inside, as in numpy, so that no other sample moves", () => {
  // Of 2^23 sizes, numpy has 6309365 inside the layer 2; the state gives that layer and the size before, then 5 and 100.
  const seed = { state: "319271224152165950879726386630679688333", inc: "1" };
  assert.deepEqual([...fieldFrom(seed, 3)], [882, 0, 842]);
});
