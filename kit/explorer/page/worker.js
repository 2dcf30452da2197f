// The worker of a page that runs the network itself: takes what is asked one after the other.
import { Bench } from "./bench.js";
import { joined, opened, unpacked } from "./network.js";

let bench = null;
let turn = Promise.resolve();

async function started({ about, network, wasm }) {
  const [bytes, binary] = await Promise.all([network, wasm].map(unpacked));
  return new Bench(about, await opened(joined(bytes), binary, about));
}

async function answered({ kind, content }, port) {
  try {
    if (kind === "start") bench = await started(content);
    port.postMessage({ value: kind === "start" ? null : await bench[kind](content) });
  } catch (trouble) {
    port.postMessage({ trouble: trouble.message });
  }
}

addEventListener("message", ({ data, ports: [port] }) => {
  turn = turn.then(() => answered(data, port));
});
