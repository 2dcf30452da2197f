// The places of a slider that are asked for ahead.
import assert from "node:assert/strict";
import test from "node:test";
import { around } from "../../kit/explorer/page/controls.js";

const BRIGHTNESS = { low: 0, high: 3, step: 0.05 };
const NOISE = { low: 0, high: 100, step: 1 };

test("the nearest places come first, the lower one of two that are as near", () => {
  assert.deepEqual(around(NOISE, 20, 5), [20, 19, 21, 18, 22]);
  assert.deepEqual(around(BRIGHTNESS, 1, 4), [1, 0.95, 1.05, 0.9]);
});

test("places are the numbers that the slider itself gives, without errors of multiplication", () => {
  const places = around(BRIGHTNESS, 0, 61);
  assert.equal(places.length, 61);
  assert.deepEqual(
    places,
    places.map((place) => Number(place.toFixed(2))),
  );
  assert.equal(places[3], 0.15, "and not 3 * 0.05");
  assert.deepEqual(places.slice(-1), [3]);
  const tenths = { low: 0, high: 0.3, step: 0.1 };
  assert.deepEqual(around(tenths, 0, 9), [0, 0.1, 0.2, 0.3], "0.3 / 0.1 is less than 3");
  assert.deepEqual(around({ low: 0, high: 0.003, step: 0.001 }, 0, 9), [0, 0.001, 0.002, 0.003]);
});

test("at the ends of a slider the places lie on one side, and none lies beyond", () => {
  assert.deepEqual(around(NOISE, 0, 3), [0, 1, 2]);
  assert.deepEqual(around(NOISE, 100, 3), [100, 99, 98]);
  assert.deepEqual(
    [...around(NOISE, 37, 1000)].sort((a, b) => a - b),
    Array.from({ length: 101 }, (_, index) => index),
  );
});

test("a number that was typed lies between two places", () => {
  assert.deepEqual(around(NOISE, 20.4, 3), [20, 21, 19]);
  assert.deepEqual(around({ low: -180, high: 180, step: 1 }, -170.2, 3), [-170, -171, -169]);
});

test("none are asked for where none are wanted", () => {
  assert.deepEqual(around(NOISE, 20, 0), []);
});
