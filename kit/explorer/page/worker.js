// The worker of a page without Python: takes what is asked one after the other.
import { Bench } from "./bench.js";
import { opened, restored, unpacked } from "./network.js";

let bench = null;
let turn = Promise.resolve();

/** Weights of the last layer, from which a map is made: those of each class less what all classes share. */
function mapWeights(file, { map, head }) {
  if (!map) return null;
  const { start, count, rows } = map;
  const weights = new Float32Array(file.buffer, start, count).slice();
  const size = count / rows;
  if (rows === 1) return Float32Array.of(...weights.map((weight) => -weight), ...weights);
  if (head === "sigmoid") return weights;
  for (let k = 0; k < size; k++) {
    let sum = 0;
    for (let row = 0; row < rows; row++) sum += weights[row * size + k];
    for (let row = 0; row < rows; row++) weights[row * size + k] -= sum / rows;
  }
  return weights;
}

async function started({ about, network, wasm }) {
  const [bytes, binary] = await Promise.all([network, wasm].map(unpacked));
  const file = restored(bytes, about.network);
  const map = { ...about.map, weights: mapWeights(file, about) };
  return new Bench({ ...about, map }, await opened(file, binary, about));
}

async function answered({ id, kind, content }) {
  try {
    if (kind === "start") bench = await started(content);
    postMessage({ id, value: kind === "start" ? true : await bench[kind](content) });
  } catch (trouble) {
    postMessage({ id, trouble: trouble.message });
  }
}

addEventListener("message", ({ data }) => {
  turn = turn.then(() => answered(data));
});
