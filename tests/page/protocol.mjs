// The page with replies that Python has recorded: which fields it reads, and which messages it sends.
//
// Started by tests/explorer/test_protocol.py with a file: the panel, a reply to each kind of message, and the declared
// fields of each type of message; and with the name of what hosts hand bytes over as: JupyterLab and VS Code a DataView,
// Colab's manager a Uint8Array. Printed are the fields that were read by type, and the fields that were sent by kind.
import { readFileSync } from "node:fs";
import { called, pass, settled } from "./dom.mjs";
import { render } from "../../kit/explorer/page/explorer.js";

const { panel, replies, types } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const read = Object.fromEntries(Object.keys(types).map((type) => [type, new Set()]));
const sent = {};

/** A message, or several, of a type as Python writes it, that note which fields are read; a copy of all tells nothing. */
function watched(value, hint) {
  const type = /protocol\.(\w+)/.exec(hint)?.[1];
  if (!type || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => watched(item, `protocol.${type}`));
  if (hint.startsWith("dict["))
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, watched(item, `protocol.${type}`)]),
    );
  let copied = [];
  return new Proxy(value, {
    ownKeys: (target) => {
      copied = Reflect.ownKeys(target);
      return [...copied];
    },
    get: (target, key) => {
      if (copied[0] === key) copied.shift();
      else if (typeof key === "string" && key !== "toJSON") read[type].add(key);
      return watched(target[key], types[type][key] ?? "");
    },
  });
}

const View = { DataView, Uint8Array }[process.argv[3]];
/** Not at the beginning of their buffer. */
const bytes = (text) => new View(Uint8Array.from([0, 0, ...Buffer.from(text, "base64")]).buffer, 2);
const waiting = [];
let { settings: current } = replies.hello[0].content;
const events = {};
const model = {
  get: (name) => (name === "_panel" ? watched(panel, "protocol.Panel") : []),
  on: (event, heard) => {
    events[event] = heard;
  },
  off: () => {},
  send: (content) => {
    sent[content.kind] = Object.keys(content).sort();
    waiting.push(content);
  },
};

/** Answer what the page has sent, as the kernel does, and let it paint. */
async function go(ms = 200) {
  await settled();
  for (let count = 0; waiting.length > 0; count += 1) {
    if (count > 100) throw new Error("the page asks without end");
    const { kind, request, settings, photos } = waiting.shift();
    for (const { type, content, buffers } of replies[kind] ?? replies.hello) {
      const reply = { ...content, request };
      if (settings) current = settings;
      if (reply.settings) reply.settings = current;
      if (reply.changes) reply.changes = { ...reply.changes, settings: current };
      if (photos) reply.marks = Object.fromEntries(photos.map((name) => [name, "right"]));
      if (reply.where) reply.where = { ...reply.where, waits: kind !== "where" }; // it has two rows
      events["msg:custom"](watched(reply, `protocol.${type}`), buffers.map(bytes));
      pass(50);
      await settled();
    }
  }
  pass(ms);
  await settled();
}

const parent = document.createElement("div");
render({ model, el: parent });
const [root] = parent.children;
const press = (name) => called(root, name).click();
const slider = [...root].find((node) => node.getAttribute("type") === "range");
const box = called(
  root,
  `${panel.sliders.find(({ group }) => group === "main").label}, exact value`,
);
const menu = [...root].find((node) => node.getAttribute("data-key") === "polarity");
await go();
slider.fire("pointerenter"); // answers ahead
await go();
for (const [node, value] of [
  [box, String(1.5)],
  [menu, "inverted"], // which the recorded answer fixes
]) {
  node.value = value;
  node.fire("change");
  await go();
}
press("Where?");
await go();
press("Where?");
await go();
press("Why?");
await go();
root.querySelector(".kit-apply").click();
await go();
press("Why?");
press("Stop");
await go();
press("Pin");
await go();
root.querySelector(".kit-mark").click();
press("I do not know");
await go();
press("Camera");
await settled();
pass(100); // one frame, and the next waits for its answer
press("Snap");
await go();
const file = [...root].find((node) => node.getAttribute("type") === "file");
file.files = [{ name: "my.jpg", size: 3, arrayBuffer: async () => new ArrayBuffer(3) }];
file.fire("change");
await go();
press(`Remove ${panel.photos.find(({ added }) => added).name}`);
await go(2000); // what a saved notebook shows is renewed
await go();
process.stdout.write(
  JSON.stringify({
    read: Object.fromEntries(Object.entries(read).map(([type, keys]) => [type, [...keys].sort()])),
    sent,
  }),
);
