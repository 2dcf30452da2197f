// The worker of a page that runs the network itself: takes what is asked one after the other.
import { Bench } from "./bench.js";
import { opened, restored, unpacked } from "./network.js";

let bench = null;
let turn = Promise.resolve();

async function started({ about, network, wasm }) {
  const [bytes, binary] = await Promise.all([network, wasm].map(unpacked));
  return new Bench(about, await opened(restored(bytes, about.network), binary, about));
}

async function answered({ id, kind, content }) {
  try {
    if (kind === "start") bench = await started(content);
    postMessage({ id, value: kind === "start" ? null : await bench[kind](content) });
  } catch (trouble) {
    postMessage({ id, trouble: trouble.message });
  }
}

addEventListener("message", ({ data }) => {
  turn = turn.then(() => answered(data));
});
