// What the page's parts do for a person, each by itself.
import assert from "node:assert/strict";
import test from "node:test";
import { called, camera as browser, pass, settled } from "./dom.mjs";
import { AnswerView } from "../../kit/explorer/page/answer.js";
import { BecauseView } from "../../kit/explorer/page/because.js";
import { Camera } from "../../kit/explorer/page/camera.js";
import { CONTROLS } from "../../kit/explorer/page/controls.js";
import { Files } from "../../kit/explorer/page/files.js";
import { Flip } from "../../kit/explorer/page/flip.js";
import { LabelPicker } from "../../kit/explorer/page/labels.js";
import { noiseSteps } from "../../kit/explorer/page/noise.js";
import { PathView } from "../../kit/explorer/page/path.js";
import { PhotoStrip } from "../../kit/explorer/page/photos.js";
import { Preview } from "../../kit/explorer/page/preview.js";
import { Where } from "../../kit/explorer/page/where.js";
import { Picture } from "../../kit/explorer/page/picture.js";

/** Functions that note how they were called. */
const noted = (...names) => {
  const log = [];
  const entries = names.map((name) => [name, (...values) => log.push([name, ...values])]);
  return { log, events: Object.fromEntries(entries) };
};

const NOISE = { key: "noise", label: "Noise", unit: "levels", hint: "", group: "main" };
const SLIDER = { ...NOISE, low: 0, high: 100, step: 1, neutral: 0, kind: "range" };

// -- flip.js

/** Walk along a slider of a model that says "dog" from `limit` on; returns the places and the last line. */
const walked = (spec, limit, value = spec.neutral) => {
  const places = [];
  const predicted = (place) => (place >= limit ? "dog" : "cat");
  const done = document.createElement("p");
  const put = ({ noise }) => places.push(noise);
  const flip = new Flip(spec, { settings: { noise: value }, put, done });
  flip.button.click();
  for (let count = 0; flip.running && count < 200; count += 1) {
    for (let twice = 0; twice < 2; twice += 1)
      flip.painted(places.at(-1), predicted(places.at(-1)));
    pass(16);
  }
  return { places, line: done.textContent };
};

test("a walk ends at the first place of the slider with another prediction, one that it passed over too", () => {
  const { places, line } = walked(SLIDER, 37.25);
  assert.equal(line, "Noise 38 levels: cat becomes dog.");
  assert.ok(places.length < 30, "it takes two steps at a time, and comes back for the one between");
  assert.deepEqual(places.slice(-3), [38, 37, 38]);
  assert.equal(walked(SLIDER, 36.5).places.at(-1), 37);
  assert.equal(walked({ ...SLIDER, unit: "" }, 2).line, "Noise 2: cat becomes dog.");
  assert.equal(walked({ ...SLIDER, step: 5 }, 37.25).places.at(-1), 40);
  assert.equal(walked({ ...SLIDER, high: 300 }, 98.25).places.at(-1), 99);
});

test("a walk away from neutral that finds nothing goes the other way, and then comes back to where it began", () => {
  const { places, line } = walked({ ...SLIDER, low: -100 }, 1000, 20);
  assert.equal(line, "Noise does not change the prediction: it stays cat.");
  assert.ok(places.indexOf(100) < places.indexOf(-100));
  assert.equal(places.at(-1), 20);
  const odd = walked({ ...SLIDER, low: -100 }, 1000, 21).places;
  assert.ok(odd.includes(100) && odd.includes(-100), "both ends, however long the steps");
  const below = walked({ ...SLIDER, low: -100 }, 1000, -20).places;
  assert.ok(below.indexOf(-100) < below.indexOf(100));
  const other = walked({ ...SLIDER, low: -100 }, -49.25, 20);
  assert.equal(other.line, "Noise -50 levels: dog becomes cat.");
});

test("a walk begins and ends where the slider is, and passes no place twice but that", () => {
  const few = { ...SLIDER, low: -1, high: 2 };
  assert.deepEqual(walked(few, 9, 1).places, [1, 2, 1, 0, -1, 1]);
  assert.deepEqual(walked(few, 9, 0).places, [0, 1, 2, 0, -1, 0]);
  const off = { ...few, low: 0, neutral: null };
  assert.deepEqual(walked(off, 9, null).places, [null, 2, 1, 0, null, null]);
  assert.deepEqual(walked({ ...off, high: 100 }, 50, null).places, [null, 99, 100]);
});

test("a second press stops a walk", () => {
  const { log, events } = noted("put");
  const done = document.createElement("p");
  const flip = new Flip(SLIDER, { ...events, settings: { noise: 0 }, done });
  flip.button.click();
  flip.button.fire("click", { detail: 2 }); // of a double click
  assert.equal(flip.button.textContent, "Stop");
  flip.painted(50, "dog"); // of a move before
  pass(100);
  assert.equal(log.length, 1);
  flip.button.click();
  flip.painted(0, "cat");
  pass(100);
  assert.deepEqual(log, [["put", { noise: 0 }]]);
});

// -- controls.js

const sliderOf = (root) => [...root].find((node) => node.getAttribute("type") === "range");

test("a number that is typed is taken with a comma, within the bounds, and as the nearest whole number", () => {
  const { log, events } = noted("changed");
  const { node } = CONTROLS.range({ ...SLIDER, snaps: true }, "id", events);
  const box = called(node, "Noise, exact value");
  for (const text of ["12,6", "500", "", "none"]) {
    box.value = text;
    box.fire("change");
  }
  assert.deepEqual(
    log.map(([, , value]) => value),
    [13, 100, 0, 0],
  );
  assert.equal(sliderOf(node).getAttribute("aria-valuetext"), "0 levels", "neutral, not off");
});

test("what is being typed stays while another view moves the slider", () => {
  const control = CONTROLS.range(SLIDER, "id", {});
  const box = called(control.node, "Noise, exact value");
  control.show(10);
  box.focus();
  box.value = "1";
  control.show(20);
  assert.deepEqual([box.value, sliderOf(control.node).value], ["1", "20"]);
  document.activeElement = null;
  control.show(30);
  assert.equal(box.value, "30");
});

test("a number below nothing is taken as it stands, and a double click takes it back", () => {
  const { log, events } = noted("changed");
  const { node } = CONTROLS.range({ ...SLIDER, low: -100, neutral: 5 }, "id", events);
  const box = called(node, "Noise, exact value");
  for (const text of ["12,", "-100", " ", "101"]) {
    box.value = text;
    box.fire("change");
  }
  assert.equal(box.value, "100");
  sliderOf(node).fire("dblclick");
  assert.deepEqual(
    log.map(([, , value]) => value),
    [12, -100, 5, 100, 5],
  );
});

test("a parameter without a neutral number is off beyond the end of its slider", () => {
  const { log, events } = noted("changed");
  const spec = { ...SLIDER, key: "jpeg_quality", low: 1, neutral: null, snaps: true };
  const control = CONTROLS.range(spec, "id", events);
  const slider = sliderOf(control.node);
  control.show(null);
  assert.equal(slider.value, "101");
  assert.equal(slider.getAttribute("aria-valuetext"), "off");
  for (const value of ["100", "101"]) {
    slider.value = value;
    slider.fire("input");
  }
  assert.deepEqual(log, [
    ["changed", "jpeg_quality", 100],
    ["changed", "jpeg_quality", null],
  ]);
});

// -- labels.js

test("a label is chosen from the prediction, from the list or taken back", () => {
  const { log, events } = noted("ask");
  const panel = { classes: ["cat", "dog"] };
  const picker = new LabelPicker({ ...events, prefix: "a", panel, settings: { photo: "a.jpg" } });
  const opener = document.createElement("button");
  picker.known = { top: "dog", label: "" };
  picker.open(opener);
  assert.equal(document.activeElement, picker.box);
  assert.deepEqual([picker.yes.hidden, picker.none.hidden], [false, true]);
  called(picker.node, "Yes, dog").click();
  assert.deepEqual(log.splice(0), [["ask", "label", { photo: "a.jpg", label: "dog" }]]);
  picker.known.label = "dog"; // as the answer says
  assert.equal(document.activeElement, opener);
  picker.open(opener);
  assert.deepEqual([picker.yes.hidden, picker.none.hidden], [true, false], "it is said already");
  picker.box.value = "cat";
  picker.box.fire("input"); // picked whole, by Enter, which comes after it
  picker.node.querySelector("form").fire("submit");
  picker.open(opener);
  picker.box.value = "ca";
  picker.box.fire("input");
  picker.box.value = "cat";
  picker.box.fire("input", { inputType: "insertText" });
  picker.box.value = "  ";
  picker.node.querySelector("form").fire("submit");
  assert.equal(picker.node.hidden, false, "nothing is typed but blanks");
  picker.moved({ photo: "a.jpg", noise: 3 });
  assert.equal(picker.node.hidden, false, "it is the same photo");
  picker.moved({ photo: "b.jpg" });
  assert.equal(picker.node.hidden, true, "it would offer the prediction for another photo");
  picker.open(opener);
  picker.box.value = "ca";
  called(picker.node, "I do not know").click();
  picker.open(opener);
  picker.box.value = " dog ";
  const isKept = picker.node.querySelector("form").fire("submit");
  assert.ok(isKept, "the browser opens no other page");
  assert.deepEqual(
    log.map(([, , { label }]) => label),
    ["cat", "", "dog"],
  );
});

test("a label that is refused is there to be put right, and what waits for one goes on once it is taken", () => {
  const { log, events } = noted("ask", "pin");
  const panel = { classes: ["cat", "dog"] };
  const view = { ...events, prefix: "a", panel, settings: { photo: "a.jpg" } };
  const picker = new LabelPicker(view);
  picker.open(document.createElement("button"), view.pin);
  for (const label of ["dgo", "dog"]) {
    picker.box.value = label;
    picker.node.querySelector("form").fire("submit");
    picker.answered(label === "dog");
    assert.equal(picker.node.hidden, label === "dog");
    assert.equal(picker.box.value, label);
    if (label === "dgo") assert.equal(document.activeElement, picker.box);
  }
  assert.deepEqual(
    log.map(([name]) => name),
    ["ask", "ask", "pin"],
  );
  view.settings = { photo: "b.jpg" };
  for (const isTaken of [true, false]) picker.answered(isTaken);
  assert.deepEqual([log.length, picker.node.hidden], [3, true], "of another photo, it is late");
});

// -- path.js

test("a chip offers its alternatives, shows what is chosen, and is marked where it is to blame", () => {
  const { log, events } = noted("changed");
  const options = [
    ["", "as in training"],
    ["channels_swapped", "red and blue swapped"],
  ];
  const steps = [
    { key: "channels", label: "Channels", options },
    { key: "perturbation", label: "Perturbation" },
    { key: "file", label: "File" },
  ];
  const path = new PathView({ ...events, prefix: "a", panel: { path: steps } });
  const select = path.node.querySelector("select");
  select.value = "channels_swapped";
  select.fire("change");
  assert.deepEqual(log, [["changed", "channels", "channels_swapped"]]);
  const plain = { value: "as it is", changed: false, hidden: true };
  path.paint({
    channels: { value: "bgr", changed: true, hidden: false },
    perturbation: plain,
    file: plain,
  });
  const chip = path.chips.get("channels");
  assert.equal(chip.value.textContent, "bgr");
  assert.ok(chip.node.classList.contains("kit-changed"));
  assert.ok(path.chips.get("file").node.classList.contains("kit-idle"));
  for (const open of [true, false]) {
    path.others.click();
    assert.equal(path.node.classList.contains("kit-all"), open);
    assert.equal(path.others.getAttribute("aria-expanded"), String(open));
  }
  for (const [guilty, fixed, said] of [
    [["channels"], [], "the cause"],
    [[], ["channels"], "fixed"],
    [[], [], ""],
  ]) {
    path.blame(guilty, fixed);
    assert.equal(select.getAttribute("aria-description"), said);
  }
});

// -- photos.js

test("labelled photos are counted once all of them are judged, and only added ones can be removed", () => {
  const { log, events } = noted("ask", "changed");
  const strip = new PhotoStrip({ ...events, prefix: "a" });
  strip.build(
    [
      { name: "cat.jpg", added: false, labelled: true },
      { name: "dog.jpg", added: false, labelled: true },
      { name: "mine.png", added: true, labelled: false },
    ],
    "dog.jpg",
  );
  assert.deepEqual(
    strip.strip.querySelectorAll("input").map((radio) => radio.checked),
    [false, true, false],
  );
  const learned = (marks) => {
    const settings = { photo: "" };
    strip.ask(settings);
    strip.heard({ settings, marks });
  };
  learned({ "cat.jpg": "right" });
  assert.equal(strip.count.textContent, "… of 2 correct");
  learned({ "dog.jpg": "wrong" });
  assert.equal(strip.count.textContent, "1 of 2 correct");
  learned({ "cat.jpg": "wrong" });
  assert.equal(strip.count.textContent, "0 of 2 correct");
  assert.equal(called(strip.node, "dog.jpg").getAttribute("aria-description"), "wrong");
  assert.deepEqual(
    strip.strip.querySelectorAll("button").map((node) => node.title),
    ["Remove mine.png"],
  );
  log.splice(0);
  called(strip.node, "Remove mine.png").click();
  called(strip.node, "cat.jpg").fire("change");
  assert.deepEqual(log, [
    ["ask", "remove", { name: "mine.png" }],
    ["changed", "photo", "cat.jpg"],
  ]);
  assert.equal(strip.count.hidden, false);
  strip.strip.clientWidth = 100;
  strip.strip.children.forEach((item, k) =>
    Object.assign(item, { offsetLeft: 70 * k, offsetWidth: 60 }),
  );
  const scrolled = ["cat.jpg", "dog.jpg", "mine.png", "cat.jpg"].map((name) => {
    strip.show(name);
    return strip.strip.scrollLeft;
  });
  assert.deepEqual(scrolled, [0, 20, 90, -50], "only what is not all in view comes to its middle");
  called(strip.node, "mine.png").focus(); // with arrow keys, where the browser scrolls
  strip.show("mine.png");
  assert.equal(strip.strip.scrollLeft, -50);
  called(strip.node, "Remove mine.png").focus();
  const names = ["cat.jpg", "dog.jpg"];
  for (const [chosen, focused] of [
    ["mine.png", "cat.jpg"], // which is gone
    ["dog.jpg", "dog.jpg"],
  ]) {
    const photos = names.map((name) => ({ name, added: false, labelled: false }));
    strip.build(photos, chosen);
    assert.equal(document.activeElement, called(strip.node, focused));
  }
  const elsewhere = document.createElement("button");
  elsewhere.focus();
  strip.build([{ name: "mine.png", added: true, labelled: false }], "mine.png");
  assert.equal(document.activeElement, elsewhere);
  assert.equal(strip.count.hidden, true);
});

test("photos are asked about in parts, one part at a time, and marks are of the present settings alone", () => {
  const { log, events } = noted("ask");
  const strip = new PhotoStrip({ ...events, prefix: "a" });
  const names = Array.from({ length: 10 }, (_, index) => `${index}.jpg`);
  strip.build(
    names.map((name) => ({ name, added: false, labelled: true })),
    "0.jpg",
  );
  const dark = { photo: "0.jpg", brightness: 0.5, where: null };
  strip.ask(dark);
  strip.ask(dark);
  assert.deepEqual(log.splice(0), [
    ["ask", "judge", { settings: dark, photos: names.slice(0, 8) }],
  ]);
  strip.heard({ settings: dark, marks: { "0.jpg": "right", "1.jpg": "wrong" } });
  const other = { ...dark, photo: "5.jpg" };
  strip.ask({ ...other, where: 3 }); // another photo, and a map, change no prediction
  assert.deepEqual(log.splice(0), [["ask", "judge", { settings: other, photos: names.slice(2) }]]);
  strip.heard({ settings: { ...dark, seed: 1 }, marks: { "2.jpg": "right" } });
  assert.deepEqual([...strip.marks.keys()], ["0.jpg", "1.jpg"], "those were of another noise");
  strip.ask({ ...dark, brightness: 1 });
  assert.equal(strip.marks.size, 0);
  strip.heard({ settings: { ...dark, brightness: 1 }, marks: { "0.jpg": "right" } });
  strip.build([{ name: "0.jpg", added: false, labelled: true }], "0.jpg");
  log.splice(0);
  strip.ask({ ...dark, brightness: 1 });
  assert.equal(log.length, 1, "asked again: another label may have been said");
  strip.forget();
  strip.ask({ ...dark, brightness: 1 });
  assert.equal(log.length, 2, "and where the kernel was lost meanwhile");
});

// -- answer.js

const bar = (index, name, value) => ({
  index,
  name,
  value,
  text: `${100 * value} %`,
  ghost: 0.5,
  ghostText: "50 %",
  calibrated: value,
  calibratedText: "",
  top: index === 1,
  expected: index === 0,
});

test("bars follow the order of the classes, and an unknown label can be said", () => {
  const said = noted("say");
  const view = new AnswerView(said.events.say);
  const answer = { name: "dog", share: "75 %", mark: "", state: "", note: "", label: "" };
  const content = { answer, bars: [bar(1, "dog", 0.75), bar(0, "cat", 0.25)], settings: {} };
  view.paint({ ...content, verdict: "dog, 75 %." });
  const [first] = view.rows.children;
  pass(300);
  view.paint({
    ...content,
    bars: [bar(0, "cat", 0.75), bar(1, "dog", 0.25)],
    verdict: "cat, 75 %.",
  });
  const [cat, dog] = view.rows.children;
  assert.equal(cat, first);
  assert.deepEqual(
    [cat, dog].map(({ firstChild }) => firstChild.textContent),
    ["cat", "dog"],
  );
  assert.equal(dog.children[1].children[1].style.transform, "scaleX(0.25)");
  assert.ok(dog.classList.contains("kit-top"));
  called(view.node, "Label it").click();
  assert.equal(said.log.length, 1);
  pass(300);
  assert.equal(view.status.textContent, "", "screen readers hear of it once it rests");
  pass(200);
  assert.equal(view.status.textContent, "cat, 75 %.");
  view.paint({ ...content, bars: [bar(1, "dog", 1)] });
  assert.equal(view.rows.children.length, 1);
});

// -- because.js

const SETTINGS = { photo: "dog.jpg", noise: 60, scaling: "missing_scaling", where: null };
const REASON = {
  headline: "Without noise 60: dog, 70 %.",
  advice: "",
  button: "Undo noise 60",
  apply: { noise: 0 },
  fixed: { before: "cat, 60 %", after: "dog, 90 %", mark: "✓ fixed", title: "Without noise 60" },
  guilty: ["perturbation"],
  pictures: [],
};
const CHANGES = {
  ...REASON,
  lines: ["Without noise 60: dog", "Without fog: cat"],
  settings: SETTINGS,
};
const EXPLAINED = {
  ...REASON,
  changes: CHANGES,
  headline: "Your code scales pixels to 0..1.",
  button: "Fix it",
  apply: { scaling: "" },
  guilty: ["scaling"],
  details: "Ruled out: dark, bright.",
  code: "",
};

/** The view of a page in which *Why?* is asked, and what it is told. */
const asking = () => {
  const { log, events } = noted("ask", "take", "blame", "open");
  const { blame, ...others } = events;
  const page = { ...others, path: { blame }, settings: SETTINGS, more: { hidden: true } };
  return { log, page, view: new BecauseView(page) };
};

test("an answer blames chips, fixes them and goes back, and says so when it is about another state", () => {
  const { log, view } = asking();
  view.moved(SETTINGS);
  view.ask.click();
  view.ask.click(); // still busy
  assert.deepEqual(log.splice(0).slice(1), [
    ["open", "because", true],
    ["ask", "why", { settings: SETTINGS }],
  ]);
  view.progress("checks, part 1 of 4");
  assert.equal(view.status.textContent, "Looking for the cause: checks, part 1 of 4 …");
  view.progress("");
  assert.equal(view.status.textContent, "Looking for the cause: checks, part 1 of 4 …");
  view.explain({ changes: CHANGES }, []);
  view.moved({ ...SETTINGS, photo: "another.jpg" });
  view.moved(SETTINGS);
  assert.ok(!log.splice(0).some(([name]) => name === "open"), "it is still under way");
  assert.match(view.status.textContent, /^Looking for the cause/);
  assert.equal(view.act.textContent, "Undo noise 60", "offered while the search goes on");
  view.explain(EXPLAINED, []);
  view.moved(SETTINGS);
  assert.deepEqual(log.splice(0).at(-1), ["blame", ["scaling"], []]);
  assert.match(
    view.folds.textContent,
    /Without noise 60: dog\nWithout fog: catHow sureRuled out: dark, bright\./,
  );
  called(view.node, "Fix it").click();
  assert.deepEqual(log.splice(0).at(-1), ["take", { scaling: "" }]);
  view.moved({ ...SETTINGS, scaling: "" });
  assert.deepEqual(log.splice(0).at(-1), ["blame", [], ["scaling"]]);
  assert.equal(view.status.textContent, "✓ fixed");
  called(view.node, "Go back").click();
  assert.deepEqual(log.splice(0).at(-1), ["take", SETTINGS]);
  view.moved({ ...SETTINGS, noise: 10 });
  const outdated = "This is about the state before your last change. Ask again.";
  assert.equal(view.status.textContent, outdated);
  view.act.click();
  assert.equal(view.act.getAttribute("aria-disabled"), "true");
  assert.deepEqual(log.splice(0), [["blame", [], []]]);
  view.ask.click();
  assert.equal(view.headline.textContent + view.folds.textContent, "");
  assert.equal(view.act.hidden, true, "asked again");
  view.view.settings = { ...SETTINGS, noise: 10 }; // meanwhile a hand has moved on
  view.explain(EXPLAINED, []);
  assert.match(view.status.textContent, /Ask again/);
  view.moved({ ...SETTINGS, scaling: "" });
  assert.equal(view.status.textContent, "✓ fixed");
});

test("a question that was stopped keeps what the changes do", () => {
  const { view } = asking();
  view.moved(SETTINGS);
  view.ask.click();
  view.explain({ changes: CHANGES, stopped: "Stopped." }, []);
  view.moved(SETTINGS);
  assert.equal(view.status.textContent, "Stopped.");
  assert.equal(view.headline.textContent, CHANGES.headline);
  assert.equal(view.act.hidden, false);
});

test("what the model gets stands beside what it gets once that is fixed", () => {
  const { view } = asking();
  const pixels = [new Uint8Array(6), new Uint8Array(9)];
  view.explain(
    {
      ...EXPLAINED,
      pictures: [
        [1, 2],
        [3, 1],
      ],
    },
    pixels,
  ); // heights and widths
  const figures = view.pictures.querySelectorAll("figure");
  assert.deepEqual(
    figures.map(({ title }) => title),
    ["What the model gets: cat, 60 %", "Without noise 60: dog, 90 %"],
  );
  const canvases = view.pictures.querySelectorAll("canvas");
  assert.deepEqual(
    canvases.map(({ width, height }) => [height, width]),
    [
      [1, 2],
      [3, 1],
    ],
  );
});

// -- camera.js, files.js, preview.js, where.js

test("a frame is sent when the last is answered and the pause is over, none after the camera is off", async () => {
  const { log, events } = noted("framed", "ask", "fail");
  const exchange = { inFlight: null };
  const panel = { camera: { name: "Camera", side: 2, pause: 50 } };
  const camera = new Camera({ ...events, exchange, panel });
  camera.button.click();
  await settled();
  pass(100);
  const framed = () => log.filter(([name]) => name === "framed").length;
  assert.ok(framed() >= 2 && framed() <= 3);
  assert.deepEqual([camera.frame.width, camera.frame.height], [2, 1], "the video has 4 × 2 pixels");
  assert.deepEqual(
    [camera.video.muted, camera.video.playsInline],
    [true, true],
    "as phones want it",
  );
  for (const [videoWidth, videoHeight, size] of [
    [2, 4, [1, 2]],
    [400, 1, [2, 1]],
    [1, 1, [1, 1]],
  ]) {
    Object.assign(camera.video, { videoWidth, videoHeight });
    pass(70);
    assert.deepEqual([camera.frame.width, camera.frame.height], size);
    const { canvas } = camera.context;
    assert.deepEqual(
      [canvas.drawn.at(-1).box, canvas.width, canvas.height],
      [[0, 0, ...size], ...size],
    );
  }
  const shown = framed();
  camera.video.videoWidth = 0; // as before its first frame
  pass(200);
  assert.equal(framed(), shown);
  camera.video.videoWidth = 1;
  const frames = framed();
  exchange.inFlight = {};
  pass(200);
  let stopped = 0;
  browser.tracks = [{ stop: () => (stopped += 1) }];
  camera.snap.click();
  browser.tracks = [];
  assert.equal(stopped, 1, "its light goes out");
  exchange.inFlight = null;
  pass(200);
  assert.equal(framed(), frames);
  assert.deepEqual(log.at(-1), ["ask", "snap"]);
});

test("a camera that is switched off before it is allowed stays off, and its refusal is not said", async () => {
  const { getUserMedia } = browser;
  let stopped = 0;
  browser.tracks = [{ stop: () => (stopped += 1) }];
  for (const refused of [false, true]) {
    const { log, events } = noted("framed", "ask", "fail");
    const camera = new Camera({ ...events, exchange: {}, panel: { camera: {} } });
    if (refused) browser.getUserMedia = () => Promise.reject(new Error("not allowed"));
    camera.button.click();
    camera.button.click();
    await settled();
    pass(100);
    assert.equal(camera.on, false);
    assert.deepEqual(log, []);
  }
  Object.assign(browser, { getUserMedia, tracks: [] });
  assert.equal(stopped, 1);
});

test("a page that no camera is given to says why", async () => {
  const { log, events } = noted("fail");
  navigator.mediaDevices = undefined;
  new Camera(events).button.click();
  navigator.mediaDevices = browser;
  await settled();
  const text = "this page came over plain http";
  assert.deepEqual(log, [
    ["fail", `No camera (${text}). Allow it in the browser, or choose a photo.`],
  ]);
});

test("an answer that comes while the other drawer is open takes its place", () => {
  const { log, page, view } = asking();
  view.ask.click();
  page.more.hidden = false;
  view.explain({ changes: CHANGES, stopped: "Stopped." }, []);
  assert.ok(!log.slice(2).some(([name]) => name === "open"), "of one that was closed");
  view.explain(EXPLAINED, []);
  assert.deepEqual(
    log.find(([name], k) => k > 2 && name === "open"),
    ["open", "because", true],
  );
});

test("until a file is read, it says so, before the first photo in the middle of the page", () => {
  for (const dataset of [{ told: "1" }, {}]) {
    const [done, error] = ["p", "p"].map((tag) => document.createElement(tag));
    const page = { prefix: "a", panel: { uploadBytes: 9 }, root: { dataset }, done, error };
    const files = new Files(page);
    files.send([]);
    assert.equal(done.textContent, "", "there is none");
    files.send([{ size: 1, arrayBuffer: () => new Promise(() => {}) }]);
    assert.deepEqual([done.textContent, error.hidden], ["Reading …", "told" in dataset]);
    assert.equal(error.textContent, "Reading …");
  }
});

test("a file goes in pieces of 1 MB, the last one marked, and one over the limit is refused by its name", async () => {
  const { log, events } = noted("ask", "fail");
  const [done, error] = ["p", "p"].map((tag) => document.createElement(tag));
  const page = { ...events, prefix: "a", panel: { uploadBytes: 3e6 }, root: error, done, error };
  const files = new Files(page);
  const file = (size) => ({
    name: "big.jpg",
    size,
    arrayBuffer: async () => (size && (await settled()), new ArrayBuffer(size)),
  });
  await files.send([file(2_500_000), file(12.6e6)]);
  const posts = log.filter(([name]) => name === "ask");
  assert.deepEqual(
    posts.map(([, , content, [piece]]) => [content.last, piece.byteLength]),
    [
      [false, 1e6],
      [false, 1e6],
      [true, 5e5],
    ],
  );
  const [number, ...others] = new Set(posts.map(([, , content]) => content.number));
  assert.ok(number.startsWith("a.") && number.endsWith(".big.jpg") && others.length === 0);
  await files.send([file(3e6), file(0)]); // as large as may be, and with nothing in it, which the kernel refuses
  const later = log.filter(([name]) => name === "ask").slice(3);
  assert.deepEqual(
    later.map(([, , content, [piece]]) => [content.last, piece.byteLength]),
    [
      [false, 1e6],
      [false, 1e6],
      [true, 1e6],
      [true, 0],
    ],
  );
  assert.deepEqual(
    log.find(([name]) => name === "fail"),
    ["fail", "Expected an image of at most 3 MB, received 13 MB: big.jpg"],
  );
  Object.assign(files.node, { files: [], value: "big.jpg" });
  files.node.fire("change");
  assert.equal(files.node.value, "", "the same file can be chosen again");
});

test("a frame of a camera is perturbed by the page only where the kernel says so", () => {
  const preview = new Preview(() => {});
  const frame = { photo: "Camera", pixels: new Uint8Array(3), width: 1, height: 1 };
  const view = new DataView(new ArrayBuffer(3));
  for (const live of [true, false]) {
    const content = { settings: { photo: "Camera" }, source: { live, width: 1, height: 1 } };
    preview.take(content, [view], frame);
    assert.equal(preview.base, live ? frame : null);
  }
  preview.base = frame;
  preview.take({ settings: { photo: "cat.jpg" }, source: null }, [view], null);
  assert.equal(preview.base, null, "it is that of another view");
  const { width, height } = preview.picture.canvas.image;
  assert.deepEqual([width, height], [1, 1], "and nothing is shown in its place");
});

test("a photo that the page does not perturb by itself is shown as it comes, the newest last", async () => {
  const { log, events } = noted("ask");
  const preview = new Preview(events.ask);
  const pixel = new DataView(new ArrayBuffer(3));
  const decoded = [];
  globalThis.createImageBitmap = (blob) =>
    new Promise((resolve) => {
      decoded.push(async () => {
        const [width, height] = new Uint8Array(await blob.arrayBuffer());
        resolve({ width, height, close: () => {} });
      });
    });
  const take = (live, bytes) => {
    const source = { live, width: 1, height: 1 };
    preview.take({ settings: { photo: "a" }, source }, [pixel, bytes], null);
  };
  const { canvas } = preview.picture;
  for (const [files, order, shown] of [
    [[[30, 20]], [0], [[30, 20]]],
    [
      [
        [40, 20],
        [50, 20],
      ],
      [1, 0],
      [[50, 20]],
    ],
    [[[60, 20], null], [0], []],
  ]) {
    for (const file of files) take(file === null, file ? Uint8Array.from(file) : pixel);
    for (const place of order) {
      await decoded[place]();
      await settled();
    }
    const drawn = (canvas.drawn ?? []).map(({ image }) => [image.width, image.height]);
    assert.deepEqual(drawn, shown);
    decoded.length = 0;
    canvas.drawn = [];
  }
  take(false, Uint8Array.of(1, 1));
  const settings = { brightness: 2, noise: 1, seed: 0 };
  assert.equal(preview.drawNoise(settings), false);
  preview.paint(settings, false);
  assert.deepEqual(log, []);
});

test("while a hand moves, a photo is painted in as many pixels as the page shows", () => {
  const preview = new Preview(() => {});
  const pixels = new DataView(new ArrayBuffer(3 * 5 * 3));
  const source = { live: true, width: 5, height: 3 };
  preview.take({ settings: { photo: "a" }, source }, [pixels, pixels], null);
  preview.picture.canvas.getBoundingClientRect = () => ({ width: 1, height: 0.5 });
  globalThis.devicePixelRatio = 2;
  for (const [moving, size] of [
    [true, [3, 2]],
    [false, [5, 3]],
  ]) {
    preview.paint({ brightness: 1, noise: 0, seed: 0 }, moving);
    const { width, height } = preview.picture.canvas.image;
    assert.deepEqual([width, height], size);
  }
});

test("a picture has the size of what it is painted from, also where one side stays", () => {
  const picture = new Picture("");
  const sizes = [
    [2, 1],
    [2, 3],
    [1, 3],
    [2, 1],
    [99, 100],
    [100, 99],
  ];
  for (const [width, height] of sizes) {
    picture.paint(
      Uint8Array.from({ length: 3 * width * height }, (_, k) => k),
      width,
      height,
    );
    const { image } = picture.canvas;
    assert.deepEqual(
      [image.width, image.height, image.data.at(-2)],
      [width, height, (3 * width * height - 1) % 256],
    );
    assert.equal(picture.canvas.style.aspectRatio, `${width} / ${height}`);
    assert.equal(picture.canvas.style.imageRendering, width < 100 ? "pixelated" : "");
  }
});

test("noise is asked for once, drawn in parts, and the photo is painted with all of it", () => {
  const { log, events } = noted("ask");
  const preview = new Preview(events.ask);
  // As a kernel's message has it: a part of a larger buffer.
  const grey = new DataView(Uint8Array.of(0, 100, 100, 100, 0).buffer, 1, 3);
  const take = (bytes, width) => {
    const source = { live: true, width, height: 1 };
    preview.take({ settings: { photo: "a" }, source }, [grey, bytes], null);
  };
  take(grey, 1);
  const settings = { brightness: 1, noise: 10, seed: 5 };
  for (let frame = 0; frame < 2; frame++) assert.equal(preview.drawNoise(settings), false);
  assert.deepEqual(log.splice(0), [["ask", 5]]);
  const { canvas } = preview.picture;
  const isPainted = (now = settings) => {
    canvas.image = undefined;
    preview.paint(now, false);
    return canvas.image !== undefined;
  };
  assert.equal(isPainted(), false, "not before its noise has come");
  const state = { state: "1", inc: "3" };
  preview.takeNoise({ seed: 6, state });
  assert.equal(preview.drawNoise(settings), false, "that was another one");
  preview.takeNoise({ seed: 5, state });
  assert.equal(preview.drawNoise(settings), true);
  const draw = noiseSteps(state);
  const field = Array.from({ length: 70_000 * 3 }, draw);
  const levels = (first) => first.map((steps) => 100 + (10 * steps) / 4096);
  assert.equal(isPainted(), true);
  const near = levels(field.slice(0, 3));
  near.forEach((level, k) => assert.ok(Math.abs(canvas.image.data[k] - level) <= 0.51));
  assert.equal(isPainted(), false, "the same is painted once");
  assert.equal(isPainted({ ...settings, seed: 6 }), false, "and not with the noise of another");
  // A larger photo has a field of its own, which takes several frames.
  take(new DataView(new ArrayBuffer(3 * 70_000)), 70_000);
  assert.equal(preview.drawNoise(settings), false);
  preview.takeNoise({ seed: 5, state });
  for (const painted of [false, false, false, true]) {
    assert.equal(preview.drawNoise(settings), true);
    preview.takeNoise({ seed: 5, state }); // asked for by another view, which changes nothing here
    assert.equal(isPainted(), painted);
  }
  assert.equal(preview.drawNoise(settings), false, "all of it is there");
  assert.deepEqual(Array.from(preview.noise.field), field);
  take(grey, 1);
  assert.equal(preview.drawNoise(settings), false);
  assert.deepEqual(log, [["ask", 5]]);
});

test("rows of a map are asked for until it is whole, and those of another state are left out", () => {
  const { log, events } = noted("ask");
  const where = new Where({ ...events, panel: {} });
  const map = { width: 1, height: 1, waits: true, name: "cat", about: "Orange" };
  const settings = { noise: 0, where: 3 };
  const content = {
    settings,
    where: map,
    input: { width: 1, height: 1 },
    bars: [bar(3, "cat", 1)],
  };
  where.paint(content, new Uint8Array(7));
  assert.equal(where.text.textContent, "Orange");
  const option = where.choice.firstChild;
  where.ask();
  where.ask();
  assert.equal(log.length, 1);
  const row = [new DataView(Uint8Array.of(1, 2, 3, 4).buffer)];
  where.heard({ settings: { ...settings, noise: 1 }, where: { ...map, about: "Old" } }, row);
  assert.equal(where.text.textContent, "Orange");
  where.heard({ settings, where: { ...map, waits: false, about: "Whole" } }, row);
  assert.equal(where.text.textContent, "Whole");
  const { image } = where.picture.canvas.drawn.at(-1).image;
  assert.deepEqual([...image.data], [1, 2, 3, 4]);
  where.ask();
  assert.equal(log.length, 1);
  assert.equal(where.choice.firstChild, option, "a menu that is open stays open");
});
