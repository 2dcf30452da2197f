// What answers a page without a kernel: with views as tests/page/record.py has written them down, and what Python says.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import test from "node:test";
import { pass, settled } from "./dom.mjs";
import { StandIn, living } from "../../kit/explorer/page/live.js";
import { recorded } from "../../kit/explorer/page/bench.js";
import { opened, probabilities, tempered } from "../../kit/explorer/page/network.js";
import { Reasons } from "../../kit/explorer/page/reasons.js";
import { Texts, isSame, percent } from "../../kit/explorer/page/texts.js";

const { panel, states } = JSON.parse(
  readFileSync(new URL("./data/texts.json", import.meta.url), "utf-8"),
);
const saying = new Set();
panel.words = new Proxy(panel.words, {
  get: (sentences, name) => saying.add(name) && sentences[name],
});
const PHOTO = panel.start.photo;
const SEEN = { data: new Uint8Array(3 * 224 * 224), width: 224, height: 224 };

/** The view of a recorded state, as a bench computes it. */
function viewOf({ row, changes, ...state }) {
  const all = new Float32Array(panel.classes.length);
  for (const [index, share] of Object.entries(row)) all[index] = share;
  const view = {
    row: all,
    calibrated: all,
    seen: SEEN,
    size: [451, 300],
    stride: 1,
    cells: null,
    ...state,
  };
  const settings = { ...panel.neutral, photo: PHOTO, ...changes };
  return {
    ...view,
    settings,
    top: all.indexOf(Math.max(...all)),
  };
}

const stateOf = (settings) =>
  states.find(
    ({ changes }) =>
      JSON.stringify({ ...panel.neutral, photo: PHOTO, ...changes }) === JSON.stringify(settings),
  );
const look = async (settings) => viewOf(stateOf(settings));
const untouched = viewOf(states[0]);
const INFO = { signs: { exif: false, alpha: false }, untouched };
const texts = new Texts(panel);

for (const state of states) {
  const name = `${Object.keys(state.changes).join(" and ") || "no change"}, ${state.label || "no label"}`;
  const withoutDepth = ({ path: { depth: _depth, ...path } }) => path; // which pages have not

  test(`what is said of ${name} is what Python says`, () => {
    const { bars, ...said } = texts.shown(viewOf(state), INFO, state.label);
    const { bars: wanted, ...others } = state.shown;
    for (const key of ["answer", "verdict"]) assert.deepEqual(said[key], others[key]);
    assert.deepEqual(said.path, withoutDepth(others));
    const rounded = (bar) =>
      Object.fromEntries(
        Object.entries(bar).map(([key, value]) => [
          key,
          typeof value === "number" ? Number(value.toFixed(5)) : value,
        ]),
      );
    assert.deepEqual(bars.map(rounded), wanted.map(rounded));
  });

  test(`what the changes did, ${name}, is what Python says`, async () => {
    const reasons = new Reasons(texts, viewOf(state), untouched, state.label);
    const [said, after] = await reasons.explained(look);
    const { settings: _settings, pictures, ...wanted } = state.because;
    assert.deepEqual(said, wanted);
    assert.equal(after ? texts.predictionText(after) : undefined, wanted.fixed?.after);
    assert.equal(Boolean(after), pictures.length > 0);
  });
}

test("where nothing is known of training, a step that was chosen is a change as any other", async () => {
  const unknown = new Texts({ ...panel, asInTraining: false });
  const state = states.find(({ changes }) => changes.scaling && Object.keys(changes).length === 1);
  const reasons = new Reasons(unknown, viewOf(state), untouched, "");
  const [{ headline, button, fixed, guilty }] = await reasons.explained(look);
  assert.match(headline, /^Without “Scaling: .*”: tabby, 60.0 %\.$/);
  assert.deepEqual(guilty, [], "it may be right");
  assert.match(button, /^Undo “Scaling: /);
  assert.match(fixed.title, /^Without “Scaling: /);
  const labelled = new Reasons(unknown, viewOf(state), untouched, panel.classes[281]);
  assert.deepEqual((await labelled.explained(look))[0].guilty, ["scaling"]);
});

test("another class is for the worse, however little its probability has fallen, and so is half of it", async () => {
  const view = viewOf({ row: { 281: 0.45, 282: 0.5 }, changes: { noise: 30 } });
  const [{ headline }] = await new Reasons(texts, view, untouched, "").explained(look);
  assert.equal(headline, "Without noise 30: tabby, 60.0 %.");
  const [faint, half, more] = [0.3, 0.15, 0.16].map((share) =>
    viewOf({ row: { 281: share, 282: 0.1 }, changes: { noise: 30 } }),
  );
  for (const [after, spoilt] of [
    [half, true],
    [more, false],
  ]) {
    const [{ button }] = await new Reasons(texts, after, faint, "").explained(async () => faint);
    assert.equal(button, spoilt ? "Undo noise 30" : "");
  }
});

test("what brings a prediction back is undone, though something else gains more of what is shown", async () => {
  const look = async ({ brightness, noise }) =>
    viewOf({
      row: brightness === 1 ? { 282: 0.5, 285: 0.3 } : noise ? {} : { 281: 0.6 },
      changes: {},
    });
  const view = viewOf({ row: { 282: 0.6 }, changes: { brightness: 0.5, noise: 30 } });
  const reasons = new Reasons(texts, view, untouched, panel.classes[285]);
  const [{ button, lines }] = await reasons.explained(look);
  assert.deepEqual([button, lines.length], ["Undo noise 30", 2]);
});

test("a step done otherwise is named where that is right, but no fix that would be wrong", async () => {
  const view = viewOf({ row: { 282: 0.7 }, changes: { scaling: "range_0_1" } });
  const reasons = new Reasons(texts, view, untouched, panel.classes[282]);
  const [{ guilty, apply, advice }] = await reasons.explained(look);
  assert.deepEqual([guilty, apply, advice], [["scaling"], null, panel.words.keep]);
});

test("of three changes that spoil a prediction together, the two that do are undone", async () => {
  const changes = { brightness: 0.5, noise: 30, channels: "channels_swapped" };
  const view = (settings) => {
    const spoilt = settings.brightness === 0.5 || settings.noise === 30;
    const row = spoilt ? { 282: 0.9, 281: 0.05 } : { 281: 0.6, 282: 0.25 };
    return { ...viewOf({ row, changes: {} }), settings };
  };
  const all = view({ ...panel.neutral, photo: PHOTO, ...changes });
  const reasons = new Reasons(texts, all, untouched, "");
  const [{ headline, button, apply, guilty, lines }] = await reasons.explained(async (settings) =>
    view(settings),
  );
  assert.equal(headline, "Without brightness 0.5 and noise 30: tabby, 60.0 %.");
  assert.equal(button, "Undo these changes");
  assert.deepEqual(apply, { brightness: 1, noise: 0 });
  assert.deepEqual(guilty, ["perturbation"]);
  assert.equal(lines.length, 4);
  // A table may have no state without two of them.
  const isNear = (settings) => reasons.texts.changed(settings).length > 1;
  const [few] = await reasons.explained(async (settings) =>
    isNear(settings) ? view(settings) : null,
  );
  assert.equal(few.headline, "Without brightness 0.5: tiger cat, 90.0 %.");
  assert.deepEqual([few.button, few.guilty], ["Undo brightness 0.5", []]);
  const isEdge = (settings) => reasons.texts.changed(settings).length !== 1;
  const [whole] = await reasons.explained(async (settings) =>
    isEdge(settings) ? view(settings) : null,
  );
  assert.deepEqual(whole.apply, { brightness: 1, noise: 0, channels: "" });
  // Where any two would do, they are those that gain most.
  const gains = { brightness: 0.03, noise: 0.01, channels: 0.02 };
  const [two] = await reasons.explained(async (settings) => {
    const left = texts.changed(settings);
    const own = left.reduce((share, key) => share - gains[key], 0.07);
    const row = left.length > 1 ? { 282: 0.9, 281: own } : { 281: 0.6 };
    return { ...viewOf({ row, changes: {} }), settings };
  });
  assert.deepEqual(two.apply, { brightness: 1, channels: "" });
  assert.deepEqual(two.guilty, ["channels", "perturbation"]);
});

test("up to ten classes have a row each, of more than that seven and one for all others", () => {
  for (const [count, rows] of [
    [10, 10],
    [11, 8],
  ]) {
    const few = new Texts({ ...panel, classes: panel.classes.slice(0, count) });
    const even = new Float32Array(count).fill(1 / count);
    const view = { ...untouched, row: even, calibrated: even, top: 3 };
    const { bars } = few.shown(view, { ...INFO, untouched: view }, "");
    assert.equal(bars.length, rows);
    assert.deepEqual(
      bars.map(({ index }) => index).slice(0, 7),
      [0, 1, 2, 3, 4, 5, 6],
      "as even as they are",
    );
  }
  const sevenths = viewOf({
    row: Object.fromEntries(
      Array(7)
        .fill(1 / 7)
        .entries(),
    ),
    changes: {},
  });
  const { bars } = texts.shown(sevenths, { ...INFO, untouched: sevenths }, "");
  assert.equal(bars.at(-1).text, "0.0 %", "rounded, they come to a little more than 1");
});

test("what a photo is said to show has a row, unless a table does not know its probability", () => {
  for (const classes of [undefined, [281, 282]]) {
    const { bars } = texts.shown({ ...untouched, classes }, INFO, panel.classes[100]);
    assert.equal(
      bars.some(({ expected }) => expected),
      classes === undefined,
    );
  }
});

test("numbers are written as Python writes them", () => {
  assert.deepEqual([0, 0.0004, 0.0005, 0.0625, 0.3456, 0.9994, 0.9995, 0.9996, 1].map(percent), [
    "0.0 %",
    "<0.1 %",
    "0.1 %",
    "6.3 %",
    "34.6 %",
    "99.9 %",
    ">99.9 %",
    ">99.9 %",
    "100.0 %",
  ]);
  assert.equal(texts.named("noise", { noise: 0.1 + 0.2 }), "noise 0.3");
  assert.equal(texts.named("noise", { noise: 12.34567 }), "noise 12.3457");
});

test("none of the classes is the same prediction whichever is the likeliest, and never that class", () => {
  const [cat, dog, none] = [
    { top: 0, novel: false },
    { top: 1, novel: false },
    { top: 0, novel: true },
  ];
  const pairs = [
    [cat, cat],
    [none, { ...none, top: 1 }],
    [cat, dog],
    [cat, none],
    [none, cat],
  ];
  assert.deepEqual(
    pairs.map((pair) => isSame(...pair)),
    [true, true, false, false, false],
  );
});

// -- messages

/** A stand-in whose bench is this one; `ask` sends a message and gives the last reply, with what else was heard. */
function standing(answers, contents = panel, { alone = false, said = [] } = {}) {
  const started = { ...contents, photos: [{ name: PHOTO, added: false, labelled: false }] };
  const files = new Map(started.start.photo ? [[PHOTO, { image: { data: [] } }]] : []);
  const model = new StandIn(started, files, async (kind, content) => answers[kind](content), alone);
  const heard = [];
  model.on("msg:custom", (content, buffers) => {
    heard.push({ content, buffers });
    said.push(content.text ?? content.verdict);
  });
  model.on("change:_panel", () => {});
  return async (content, buffers = []) => {
    await model.send({ request: "a.1", ...content }, undefined, buffers);
    return heard.splice(0).at(-1);
  };
}

globalThis.createImageBitmap = async (file) => {
  if (file.size === 3) throw new Error("it is damaged");
  return { bytes: new Uint8Array(await file.arrayBuffer()) };
};
const BENCH = {
  open: async () => ({ signs: {} }),
  look: async ({ settings }) => look({ ...settings, photo: PHOTO }),
  pixels: async () => new Uint8Array(3),
  thumbnail: async () => ({ data: new Uint8Array(3), width: 1, height: 1 }),
  remove: async () => null,
};
const at = (changes) => ({ ...panel.neutral, photo: PHOTO, ...changes });

test("a state is answered with its bars, its code, and the photo's pixels once", async () => {
  const ask = standing(BENCH);
  const { content, buffers } = await ask({ kind: "settings", settings: at({ noise: 30 }) });
  assert.deepEqual([content.kind, content.request], ["view", "a.1"]);
  assert.equal(content.verdict, "tiger cat, 70.0 %. Original photo: tabby, 60.0 %");
  assert.equal(content.code, `explorer.settings = {"photo": "${PHOTO}", "noise": 30}`);
  assert.equal(buffers.length, 2);
  const again = await ask({ kind: "settings", settings: at({}), held: PHOTO });
  assert.equal(again.buffers.length, 1);
});

test("behind the model input come the colours of a map, place by place", async () => {
  const cells = { height: 1, width: 2, values: [0, 1] };
  const ask = standing({ ...BENCH, look: async () => ({ ...untouched, cells }) });
  const { buffers } = await ask({ kind: "settings", settings: at({ where: -1 }) });
  const { cold, hot, cover } = panel.heat;
  const places = buffers[0].slice(SEEN.data.length);
  const alpha = Math.round(255 * cover);
  assert.deepEqual([...places], [...cold, alpha, ...hot, alpha]);
});

test("a map is called after its class, of those of all the first one, too", () => {
  const cells = { height: 1, width: 2, values: [0, 1] };
  const nameAt = (where) =>
    texts.shown({ ...untouched, settings: at({ where }), cells }, INFO, "").where.name;
  assert.equal(nameAt(-1), panel.classes[untouched.top]);
  assert.equal(nameAt(0), panel.classes[0]);
});

test("what is not known is refused", async () => {
  const ask = standing({
    ...BENCH,
    look: async ({ settings }) => (settings.noise ? null : untouched),
  });
  const { content } = await ask({ kind: "settings", settings: at({ noise: 21 }) });
  assert.equal(content.kind, "error");
  const judged = await ask({ kind: "judge", settings: at({ noise: 21 }), photos: [PHOTO] });
  assert.deepEqual(judged.content.marks, { [PHOTO]: "" });
});

test("of an address that is not in the page it is said, and the photo is shown as it is", async () => {
  globalThis.location = { hash: `#photo=${PHOTO}&noise=21` };
  const said = [];
  const look = async ({ settings }) => (settings.noise ? null : untouched);
  await standing({ ...BENCH, look }, panel, { alone: true, said })({ kind: "hello" });
  assert.deepEqual(said, [
    "This combination is not in the page; open the notebook for it.",
    "tabby, 60.0 %.",
  ]);
});

test("of a photo that was added before the page was opened anew it is said that it is gone", async () => {
  globalThis.location = { hash: "#photo=mine.jpg&noise=30" };
  const said = [];
  await standing(BENCH, panel, { alone: true, said })({ kind: "hello" });
  assert.deepEqual(said, ["mine.jpg is not in this page; add it again.", "tabby, 60.0 %."]);
});

test("the photo that is shown stays so when another one is taken away", async () => {
  const ask = standing(BENCH);
  for (const name of ["one.jpg", "two.jpg"])
    await ask({ kind: "upload", number: "1", name, last: true }, [new Uint8Array(2)]);
  const shown = async (name) => (await ask({ kind: "remove", name })).content.settings.photo;
  assert.deepEqual([await shown("one.jpg"), await shown("two.jpg")], ["two.jpg", PHOTO]);
});

test("each state comes back from its address, and is said as Python writes it", async () => {
  globalThis.location = {};
  globalThis.history = { replaceState: (_state, _title, hash) => (location.hash = hash) };
  for (const { changes } of states) {
    location.hash = `#photo=${PHOTO}`;
    const [ask, again] = [0, 1].map(() => standing(BENCH, panel, { alone: true }));
    const { content } = await ask({ kind: "settings", settings: at(changes) });
    assert.doesNotMatch(content.code, /: (true|false|null)/, "write it in #answered of live.js");
    await ask({ kind: "keep" });
    const { content: opened } = await again({ kind: "hello" });
    assert.deepEqual(opened.settings, at(changes), "read it in #parsed of live.js");
  }
});

test("an address gives the seeds that the page has, and numbers that its sliders have", async () => {
  globalThis.location = {
    hash: `#photo=${PHOTO}&seed=7&brightness=7&brightness=-1&noise=30&where=2&gone=1`,
  };
  const contents = { ...panel, seeds: { ...panel.seeds, 7: {} } };
  const look = async ({ settings }) => ({ ...untouched, settings });
  const { content } = await standing({ ...BENCH, look }, contents, { alone: true })({
    kind: "hello",
  });
  assert.deepEqual(content.settings, at({ seed: 7, noise: 30 }));
});

test("the pixels of a photo are sent to a page that does not have them", async () => {
  const ask = standing(BENCH);
  const counts = [];
  for (const held of [null, PHOTO, null, "other"]) {
    const { buffers } = await ask({ kind: "settings", settings: at({}), held });
    counts.push(buffers.length);
  }
  assert.deepEqual(counts, [2, 1, 2, 2]);
});

test("a label changes what is correct, and one that is no class is refused", async () => {
  const ask = standing(BENCH);
  await ask({ kind: "settings", settings: at({ noise: 30 }) });
  const { content } = await ask({ kind: "label", photo: PHOTO, label: "tiger cat" });
  assert.equal(content.answer.state, "right");
  const judged = await ask({ kind: "judge", settings: at({}), photos: [PHOTO] });
  assert.deepEqual(judged.content.marks, { [PHOTO]: "wrong" });
  const refused = await ask({ kind: "label", photo: PHOTO, label: "dodo" });
  assert.equal(refused.content.text, "Expected one of 1000 classes, received 'dodo'; pick one");
});

test("ahead, one place at a time is answered", async () => {
  const ask = standing(BENCH);
  const { content } = await ask({
    kind: "ahead",
    settings: at({}),
    key: "noise",
    places: [30, 21],
  });
  assert.deepEqual(
    content.views.map(({ answer }) => answer.name),
    ["tiger cat"],
  );
});

test("where nothing was changed, or what was is not in a table, Why? says so", async () => {
  const asked = async (changes, known) => {
    const ask = standing({ ...BENCH, look: async ({ settings }) => known(settings) });
    const { content } = await ask({ kind: "why", settings: at(changes) });
    return [content.changes.headline, content.stopped];
  };
  const ended = "Only your changes are tried here; the notebook also looks for other causes.";
  assert.deepEqual(await asked({}, look), [
    "You changed nothing, so there is nothing to undo.",
    ended,
  ]);
  const both = states.find(({ changes }) => changes.noise && changes.channels);
  const isKnown = ({ noise, channels }) => Boolean(noise) === Boolean(channels);
  const known = async (settings) => (isKnown(settings) ? look(settings) : null);
  assert.deepEqual(await asked(both.changes, known), [
    "This combination is not in the page; open the notebook for it.",
    ended,
  ]);
});

test("Why? is answered for the label that was said", async () => {
  const ask = standing(BENCH);
  for (const label of ["", "tiger cat"]) {
    if (label) await ask({ kind: "label", photo: PHOTO, label });
    const { content } = await ask({ kind: "why", settings: at({ noise: 30 }) });
    const isState = (state) => state.label === label && state.changes.noise === 30;
    const { because } = states.find((state) => isState(state) && !state.changes.channels);
    assert.equal(content.changes.headline, because.headline);
    assert.equal(content.changes.advice, because.advice);
  }
});

test("a page without a photo waits for one, names files alike, and shows what comes in pieces", async () => {
  const opened = [];
  const open = async ({ name, bitmap }) => {
    opened.push([name, ...bitmap.bytes]);
    return { signs: { exif: true } };
  };
  const remove = async ({ name }) => opened.push([name, "removed"]);
  const start = { ...panel.start, photo: "" };
  const ask = standing({ ...BENCH, open, remove }, { ...panel, start });
  assert.match((await ask({ kind: "hello" })).content.text, /^Drop a photo here/);
  const piece = { kind: "upload", number: "1", name: "mine.jpg" };
  assert.equal(await ask({ ...piece, last: false }, [new Uint8Array([1, 2, 3])]), undefined);
  const { content } = await ask({ ...piece, last: true }, [new Uint8Array([4, 5])]);
  assert.equal(content.settings.photo, "mine.jpg");
  assert.equal(content.path.file.value, "EXIF orientation applied");
  for (const byte of [6, 7]) await ask({ ...piece, last: true }, [new Uint8Array([byte])]);
  await ask({ kind: "label", photo: "mine.jpg", label: panel.classes[1] });
  await ask({ kind: "remove", name: "mine.jpg" });
  const { content: next } = await ask({ ...piece, last: true }, [new Uint8Array([8])]);
  assert.equal(next.answer.mark, content.answer.mark, "a label goes with its photo");
  assert.deepEqual(opened, [
    ["mine.jpg", 1, 2, 3, 4, 5],
    ["mine.jpg (2)", 6],
    ["mine.jpg (3)", 7],
    ["mine.jpg", "removed"],
    ["mine.jpg", 8],
  ]);
});

test("files are shown one after the other as they came, though the first takes longer to open", async () => {
  const open = async ({ name }) => {
    for (let turn = 0; name === "slow.jpg" && turn < 20; turn++) await settled();
    return { signs: {} };
  };
  const ask = standing({ ...BENCH, open });
  const names = ["slow.jpg", "quick.jpg"];
  const shown = [];
  const adding = names.map(async (name, number) => {
    await ask({ kind: "upload", number, name, last: true }, [new Uint8Array(2)]);
    shown.push(name);
  });
  await Promise.all(adding);
  assert.deepEqual(shown, names);
});

test("a file that is no image is refused by its name, and leaves what is shown", async () => {
  const ask = standing(BENCH);
  const piece = { kind: "upload", number: "1", name: "bad.png", last: true };
  const { content } = await ask(piece, [new Uint8Array(3)]);
  assert.equal(
    content.text,
    "Expected an image, received bad.png: its 3 bytes are no image that this browser opens; copy it again, or save it as PNG or JPEG",
  );
  const { content: view } = await ask({ kind: "settings", settings: at({}) });
  assert.equal(view.kind, "view");
});

test("a greeting that is repeated is answered with the photo that was added meanwhile", async () => {
  globalThis.location = { hash: "" };
  const ask = standing(BENCH);
  assert.equal((await ask({ kind: "hello" })).content.settings.photo, PHOTO);
  const piece = { kind: "upload", number: "1", name: "mine.jpg", last: true };
  await ask(piece, [new Uint8Array(2)]);
  assert.equal((await ask({ kind: "hello" })).content.settings.photo, "mine.jpg");
});

test("the last photo is not taken away", async () => {
  const { content } = await standing(BENCH)({ kind: "remove", name: PHOTO });
  assert.equal(content.text, "Expected another photo to show; add one first");
});

test("each frame of a camera takes the place of the one before, and a snap keeps it", async () => {
  const images = [];
  const open = async ({ name, image }) => {
    images.push([name, image.data.length]);
    return { signs: {} };
  };
  const ask = standing({ ...BENCH, open });
  for (const width of [1, 2]) {
    const frame = { kind: "frame", settings: at({}), height: 1, width };
    const { buffers } = await ask(frame, [new Uint8Array(3 * width)]);
    assert.equal(buffers.length, 1, "the page has its pixels");
  }
  const { content } = await ask({ kind: "snap" });
  assert.equal(content.settings.photo, "Snap");
  assert.deepEqual(images, [
    [panel.camera.name, 3],
    [panel.camera.name, 6],
    ["Snap", 6],
  ]);
});

test("of a perturbed camera, one frame in a second is seen untouched, too", async () => {
  const seen = [];
  const ask = standing({
    ...BENCH,
    look: async ({ settings }) => {
      seen.push(settings.noise);
      return BENCH.look({ settings });
    },
  });
  const film = (noise) =>
    ask({ kind: "frame", settings: at({ noise }), height: 1, width: 1 }, [new Uint8Array(3)]);
  pass(1);
  for (let frame = 0; frame < 3; frame++) await film(30);
  assert.deepEqual(seen, [0, 30, 30, 30]);
  pass(900);
  await film(30);
  assert.deepEqual(seen.splice(4), [30]);
  pass(101);
  const { content } = await film(30);
  assert.deepEqual(seen.slice(4), [0, 30]);
  assert.equal(content.verdict, "tiger cat, 70.0 %. Original photo: tabby, 60.0 %");
  await film(0);
  await film(0);
  assert.deepEqual(seen.slice(6), [0, 0], "an untouched frame is its own");
});

// -- the network, and a table in its place

test("what the last layer puts out becomes probabilities", () => {
  const of = (outputs, head) =>
    [...probabilities(Float32Array.from(outputs), head)].map((share) => Number(share.toFixed(4)));
  assert.deepEqual(of([0.25, 0.5], "softmax"), [0.25, 0.5], "as it is");
  assert.deepEqual(of([Math.log(1000), Math.log(3000)], "logits"), [0.25, 0.75]);
  for (const least of [1000, -1000])
    assert.deepEqual(of([least, least + Math.log(3)], "logits"), [0.25, 0.75], "nothing overflows");
  assert.deepEqual(of([0.1, 0.3], "sigmoid"), [0.25, 0.75]);
  assert.deepEqual(of([0, 0], "sigmoid"), [0.5, 0.5]);
  assert.deepEqual(of([0, 2 ** -126], "sigmoid"), [0.3333, 0.6667]);
  assert.deepEqual(of([0.3], "sigmoid"), [0.7, 0.3]);
  assert.deepEqual(of([-1000], "binary_logit"), [1, 0]);
  assert.deepEqual(of([Math.log(3)], "binary_logit"), [0.25, 0.75]);
  const temperate = (temperature) =>
    [...tempered(Float32Array.of(0.2, 0.8), temperature)].map((share) => Number(share.toFixed(4)));
  assert.deepEqual(temperate(2), [0.3333, 0.6667]);
  assert.deepEqual(temperate(0.5), [0.0588, 0.9412]); // 0.04 beside 0.64
});

/** What a network gives whose outputs are these, and which tensors it was given. */
async function outputsOf(outputs, about, where) {
  const given = [];
  let open = 0;
  class Tensor {
    constructor(values, shape) {
      this.values = values;
      given.push([[...values], shape]);
      open += 1;
    }
    toTypedArray = () => this.values;
    delete = () => (open -= 1);
  }
  globalThis.litertOf = (wasm) => ({
    Tensor,
    open: async (file) => ({
      run: async () => {
        given.push([[...wasm], [...new Float32Array(file.buffer)]]);
        open += outputs.length;
        return outputs.map((values) => Object.assign(new Tensor(values, null), { values }));
      },
    }),
  });
  const file = new Uint8Array(Float32Array.of(9, 1, 2, 3, 5).buffer);
  const run = await opened(file, Uint8Array.of(7), { temperature: 1, ...about });
  const view = await run(Float32Array.of(0.5), { where });
  assert.equal(open, outputs.length, "each is given back");
  assert.deepEqual(given.slice(0, 2), [
    [[0.5], [1, 1, 1, 1]],
    [[7], [9, 1, 2, 3, 5]],
  ]);
  return view;
}

test("a network gives probabilities, and where it sees the class that is asked for", async () => {
  const features = Float32Array.of(1, 1, 4, 0); // of two places, one above the other, with two channels
  const map = { start: 4, count: 4, rows: 2, shape: [2, 1, 2] }; // weights 1, 2 and 3, 5, of which the mean goes
  const about = { head: "softmax", shape: [1, 1, 1], map };
  const rounded = ({ cells }) => cells && { ...cells, values: Array.from(cells.values) };
  const two = [Float32Array.of(0.25, 0.75), features];
  const other = await outputsOf(two, about, -1);
  assert.deepEqual([[...other.row], other.novel], [[0.25, 0.75], false]);
  assert.deepEqual([...other.calibrated], [0.25, 0.75]);
  assert.deepEqual(rounded(other), { height: 2, width: 1, values: [0.625, 1] });
  assert.deepEqual(rounded(await outputsOf(two, about, 0)).values, [0, 0]);
  const faint = [two[0], features.map((value) => value / 1024)];
  assert.deepEqual(
    rounded(await outputsOf(faint, about, -1)).values,
    [0.625, 1],
    "the hottest is 1",
  );
  assert.equal((await outputsOf(two, about, null)).cells, null);
  assert.equal((await outputsOf(two, { ...about, map: null }, -1)).cells, null);
  // Sigmoids are taken as they are, and a single one speaks for the second class.
  const sigmoids = await outputsOf(two, { ...about, head: "sigmoid" }, 0);
  assert.deepEqual(rounded(sigmoids).values, [0.75, 1]);
  const single = { ...about, head: "sigmoid", map: { ...map, count: 2, rows: 1 } };
  const one = [Float32Array.of(0.25), features];
  const first = await outputsOf(one, single, -1);
  assert.deepEqual(
    [[...first.row], rounded(first).values],
    [
      [0.75, 0.25],
      [0, 0],
    ],
  );
  assert.deepEqual(rounded(await outputsOf(one, single, 1)).values, [0.75, 1]);
});

test("a table gives the states that it has", () => {
  const classes = [2, 0];
  const shares = { classes, row: [0.9, 0.1], calibrated: [0.8, 0.2] };
  const state = { settings: { noise: 20 }, ...shares };
  const neutral = { photo: "", noise: 0, seed: 0, where: null };
  const tables = [["a", [state]]];
  const run = recorded(tables, { classes: ["x", "y", "z"], neutral });
  const asked = (changes) => run(null, { ...neutral, photo: "a", noise: 20, ...changes });
  assert.deepEqual([...asked({}).row], [...Float32Array.of(0.1, 0, 0.9)]);
  assert.deepEqual([...asked({}).calibrated], [...Float32Array.of(0.2, 0, 0.8)]);
  assert.deepEqual(
    [asked({ noise: 21 }), asked({ photo: "b" }), asked({ seed: 1 })],
    [null, null, null],
  );
});

test("a page with tables has the predictions and the file of each photo", async () => {
  const names = ["a.png", "b.png", "c.png", "d.png"];
  const photos = names.map((name) => ({ name, added: false, labelled: false, thumbnail: "" }));
  const tables = names.map((_, k) => [{ settings: {}, classes: [k], row: [1], calibrated: [1] }]);
  const packed = [{ ...panel, table: true, photos }, ...tables].map((content) =>
    gzipSync(JSON.stringify(content)).toString("base64"),
  );
  const model = await living([...packed, ...names.map(btoa)], false);
  const said = [];
  model.on("msg:custom", ({ text }) => said.push(text));
  const file = { number: "1", name: "mine.png", last: true };
  await model.send({ kind: "upload", ...file }, undefined, [new Uint8Array(1)]);
  assert.deepEqual(said, ["This page holds predictions for its own photos only."]);
  for (const [k, name] of names.entries()) {
    assert.equal(await model.files.get(name).file.text(), name);
    const image = { data: new Uint8Array(3), width: 1, height: 1 };
    await model.ask("open", { name, image });
    const { row } = await model.ask("look", { settings: at({ photo: name }) });
    assert.equal(row.indexOf(1), k);
    const unknown = { settings: at({ photo: name, noise: 21 }) };
    assert.equal(await model.ask("look", unknown), null);
  }
});

test("each sentence of Python is said in some test above", () => {
  const unsaid = Object.keys(panel.words).filter((name) => !saying.has(name));
  const wanted = "reasons.js or texts.js says it, of a state in tests/page/record.py";
  assert.deepEqual(unsaid, [], wanted);
});
