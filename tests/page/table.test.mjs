// What a page without a kernel knows: predictions that were computed beforehand take the place of its answers.
import assert from "node:assert/strict";
import test from "node:test";
import { deflateSync } from "node:zlib";
import "./dom.mjs";
import { unfolded } from "../../kit/explorer/page/table.js";

globalThis.createImageBitmap = async () => ({});

const packed = (value) => deflateSync(JSON.stringify(value)).toString("base64");
const NEUTRAL = { photo: "", brightness: 1, noise: 0, where: null };
const PANEL = {
  neutral: NEUTRAL,
  start: { ...NEUTRAL, photo: "cat.jpg" },
  photos: [{ name: "cat.jpg", added: false, labelled: true, thumbnail: "" }],
  classes: ["cat", "dog", "cow", "hen"],
  marks: { right: "✓ correct", wrong: "✕ it is {}" },
};
const answer = (name) => ({ name, share: "75.0 %", mark: "", state: "", note: "", label: "" });
const BECAUSE = { headline: "", lines: [], settings: null, guilty: ["perturbation"] };
const WHERE = { width: 1, height: 1, waits: false, name: "cat", about: "", cells: [9, 9, 9, 9] };
const PHOTO = {
  label: "cat",
  size: [1, 1],
  box: [0, 0, 1, 1],
  gray: false,
  files: ["", ""],
  columns: {
    settings: [{}, { noise: 20 }],
    answer: [answer("cat"), answer("dog")],
    bars: [0, 1].map((top) => [
      [top, "75.0 %", "<0.1 %", "75.0 %"],
      [-1, "25.0 %", ">99.9 %", "25.0 %"],
    ]),
    because: [BECAUSE, BECAUSE],
    input: [
      { width: 1, height: 1 },
      { width: 1, height: 1 },
    ],
    where: [WHERE, WHERE],
    top: [0, 1],
    cell: [null, null],
    prepared: [false, false],
  },
};

async function opened() {
  const model = await unfolded([packed(PANEL), packed(PHOTO)], false);
  const heard = [];
  model.on("msg:custom", (content, buffers) => heard.push({ content, buffers }));
  model.on("change:_panel", () => {});
  return async (content) => {
    await model.send({ request: "a.1", ...content });
    return heard.splice(0).at(-1);
  };
}

const at = (settings) => ({ ...NEUTRAL, photo: "cat.jpg", ...settings });

test("a state that was computed is answered with its bars, the rest of the classes together, and its label", async () => {
  const ask = await opened();
  const { content, buffers } = await ask({ kind: "settings", settings: at({ noise: 20 }) });
  assert.deepEqual([content.kind, content.request], ["view", "a.1"]);
  assert.equal(content.verdict, "dog, 75.0 %, ✕ it is cat.");
  assert.deepEqual(
    content.bars.map(({ name, value, ghost, top }) => [name, value, ghost, top]),
    [
      ["dog", 0.75, 0, true],
      ["3 others", 0.25, 1, false],
    ],
  );
  assert.equal(content.code, 'explorer.settings = {"photo": "cat.jpg", "noise": 20}');
  assert.equal(buffers.length, 2, "with the photo");
  const again = await ask({ kind: "settings", settings: at({}), held: "cat.jpg" });
  assert.equal(again.buffers.length, 1, "which the page has now");
  assert.equal(again.content.answer.mark, "✓ correct");
});

test("a state that was not computed is refused, with the code that asks a kernel", async () => {
  const ask = await opened();
  const { content } = await ask({ kind: "settings", settings: at({ noise: 21 }) });
  assert.equal(content.kind, "error");
  assert.match(content.code, /"noise": 21/);
});

test("a map is shown of the predicted class alone, and its places follow what the model sees", async () => {
  const ask = await opened();
  for (const [where, kind] of [
    [0, "view"],
    [-1, "view"],
    [2, "error"],
  ])
    assert.equal((await ask({ kind: "settings", settings: at({ where }) })).content.kind, kind);
  const { buffers } = await ask({ kind: "settings", settings: at({ where: -1 }) });
  assert.deepEqual(Array.from(buffers[0].slice(-4)), WHERE.cells);
});

test("a label changes what is correct, and one that is no class is refused", async () => {
  const ask = await opened();
  const settings = at({ noise: 20 });
  await ask({ kind: "settings", settings });
  const { content } = await ask({ kind: "label", photo: "cat.jpg", label: "dog" });
  assert.equal(content.answer.state, "right");
  const judged = await ask({ kind: "judge", settings: at({}), photos: ["cat.jpg"] });
  assert.deepEqual(judged.content.marks, { "cat.jpg": "wrong" });
  const refused = await ask({ kind: "label", photo: "cat.jpg", label: "dodo" });
  assert.equal(refused.content.text, "Expected one of 4 class names, received 'dodo'");
});

test("of why, only what the changes did is known, and ahead one place at a time", async () => {
  const ask = await opened();
  const why = await ask({ kind: "why", settings: at({ noise: 20 }) });
  assert.deepEqual(why.content.changes.guilty, ["perturbation"]);
  assert.match(why.content.stopped, /needs the notebook/);
  const ahead = await ask({ kind: "ahead", settings: at({}), key: "noise", places: [20, 21] });
  assert.deepEqual(
    ahead.content.views.map((view) => view.answer.name),
    ["dog"],
  );
});
