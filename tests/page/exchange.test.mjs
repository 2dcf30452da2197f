// What the page and the kernel say to each other: one request at a time, answers ahead, and a kernel that is lost.
import assert from "node:assert/strict";
import test from "node:test";
import { around } from "../../kit/explorer/page/controls.js";
import { CUT, GONE, SILENT } from "../../kit/explorer/page/exchange.js";
import { NEUTRAL, World } from "./world.mjs";

const FIRST_MS = 1_000;
const LOST_MS = 10_000;
const RESTING_MS = 150;
const SYNC_MS = 250;

const opened = (ahead) => {
  const world = new World();
  return { world, page: world.page("a", ahead).open() };
};
const values = (list, key = "brightness") => list.map(({ settings }) => settings[key]);

/** A kernel that is silent to requests from now on, and a page that has given it up. */
const silenced = () => {
  const { world, page } = opened();
  world.delay = () => null;
  page.move({ brightness: 1.2 });
  world.pass(LOST_MS);
  return { world, page };
};

test("a page that opens shows and takes on what the kernel has", () => {
  const world = new World();
  world.settings = { ...NEUTRAL, noise: 7 };
  const page = world.page().open();
  assert.deepEqual(page.shown, world.settings);
  assert.deepEqual(page.settings, world.settings);
  assert.equal(page.exchange.idle, true);
  assert.equal(page.exchange.due, Infinity, "nothing is left to do");
});

test("a greeting without a reply is repeated after growing pauses", () => {
  const world = new World();
  world.delay = () => null;
  const page = world.page();
  page.do("greetUntilHeard");
  world.pass(1000 * FIRST_MS);
  assert.equal(page.sent("hello")[0].request, "a.hello");
  const times = page.sent("hello").map(({ at }) => at);
  assert.deepEqual(times.slice(0, 5), [0, FIRST_MS, 3 * FIRST_MS, 7 * FIRST_MS, 15 * FIRST_MS]);
  assert.equal(times.length, 10, "after 511 times as long the last one");
  assert.equal(page.lost, "");
});

// -- one request at a time

test("one request is under way at a time, and of many states that wait the newest is sent", () => {
  const { world, page } = opened();
  world.delay = () => 50;
  for (const brightness of [0.1, 0.2, 0.3, 0.4]) page.move({ brightness });
  assert.deepEqual(values(page.sent("settings")), [0.1]);
  world.pass(1000);
  assert.deepEqual(values(page.sent("settings")), [0.1, 0.4]);
  assert.equal(new Set(page.sent("settings").map(({ request }) => request)).size, 2);
  assert.equal(page.most, 1);
  assert.deepEqual(values(page.shows).slice(1), [0.1, 0.4]);
  assert.equal(page.exchange.idle, true);
});

test("the page is not idle until the newest state is answered", () => {
  const { world, page } = opened();
  world.delay = () => 50;
  page.move({ brightness: 0.1 });
  page.move({ brightness: 0.2 });
  world.pass(60);
  assert.equal(page.exchange.idle, false);
  world.pass(60);
  assert.equal(page.exchange.idle, true);
});

test("a drag of 200 moves with answers of all delays ends with its last state shown, asked and in order", () => {
  for (const delays of [[1], [5, 40, 3], [16], [200, 1, 90, 700]]) {
    const { world, page } = opened();
    let count = 0;
    world.delay = () => delays[count++ % delays.length];
    for (let move = 1; move <= 200; move++) {
      page.move({ brightness: move / 100 });
      world.pass(8);
    }
    world.pass(5000);
    assert.equal(page.shown.brightness, 2);
    assert.equal(world.settings.brightness, 2);
    assert.equal(page.most, 1);
    const shown = values(page.shows).slice(1);
    assert.deepEqual(
      shown,
      [...shown].sort((a, b) => a - b),
    );
    assert.deepEqual(
      shown,
      values(page.sent("settings")),
      "each answer is shown, and nothing is asked for twice",
    );
  }
});

test("a hand counts as moving until it has rested for a while, which is told once", () => {
  const { world, page } = opened();
  page.move({ brightness: 0.1 });
  world.pass(RESTING_MS - 1);
  page.move({ brightness: 0.2 });
  world.pass(RESTING_MS - 1);
  assert.equal(page.exchange.moving, true);
  world.pass(1);
  assert.equal(page.exchange.moving, false);
  world.pass(5000);
  assert.equal(page.log.filter((name) => name === "draw").length, 1);
});

test("a frame of a camera takes its settings along, and is left out while a request is under way", () => {
  const { world, page } = opened();
  const frame = (noise) =>
    page.do("framed", { ...NEUTRAL, photo: "camera", noise }, { kind: "frame" }, ["pixels"]);
  frame(1);
  frame(2);
  world.pass(100);
  frame(3);
  world.pass(100);
  assert.deepEqual(values(page.sent("frame"), "noise"), [1, 3]);
  assert.equal(page.shown.noise, 3);
  assert.equal(page.most, 1);
});

// -- errors

test("an error of the request under way makes what is shown stale, and the newer state is sent", () => {
  const { world, page } = opened();
  world.instead = ({ settings }) =>
    settings?.brightness === 0.1 ? { kind: "error", text: "no" } : undefined;
  page.move({ brightness: 0.1 });
  page.move({ brightness: 0.2 });
  world.pass(100);
  assert.deepEqual(page.fails, [["no", true]]);
  assert.deepEqual(values(page.sent("settings")), [0.1, 0.2]);
  assert.equal(page.shown.brightness, 0.2);
  assert.equal(page.exchange.idle, true);
});

test("an error of something else leaves what is shown valid and the request under way", () => {
  const { world, page } = opened();
  world.delay = () => 50;
  page.move({ brightness: 0.1 });
  page.hear({ kind: "error", request: "a.upload", text: "no picture" }, []);
  assert.deepEqual(page.fails, [["no picture", false]]);
  assert.equal(page.exchange.idle, false);
  world.pass(100);
  assert.equal(page.shown.brightness, 0.1);
  assert.deepEqual(values(page.sent("settings")), [0.1]);
});

test("an error of settings that a cell assigned makes what is shown stale", () => {
  const { page } = opened();
  page.hear({ kind: "error", request: "", text: "no" }, []);
  assert.deepEqual(page.fails, [["no", true]]);
});

// -- a kernel that is lost

test("a request without a reply is taken for a lost kernel, no sooner and no later", () => {
  const { world, page } = opened();
  world.delay = () => null;
  page.move({ brightness: 1.2 });
  world.pass(LOST_MS - 1);
  assert.equal(page.lost, "");
  world.pass(1);
  assert.equal(page.lost, SILENT);
  assert.equal(page.exchange.idle, true, "nothing is under way any more");
});

test("a kernel that has begun with a request is not lost, however long the answer takes on its way", () => {
  const { world, page } = opened();
  world.delay = () => null;
  page.move({ brightness: 1.2 });
  const [{ request }] = page.sent("settings");
  world.pass(LOST_MS - 1);
  page.do("served", "a.upload", true);
  world.pass(LOST_MS - 1);
  assert.equal(page.lost, "", "it was at work for another message");
  page.do("served", request, true);
  world.pass(10 * LOST_MS);
  assert.equal(page.lost, "");
  page.do("served", request, false);
  world.pass(LOST_MS);
  assert.equal(page.lost, SILENT, "it was done, and there was no answer");
});

test("a greeting that the kernel has begun with is not repeated, unless it is done without an answer", () => {
  const world = new World();
  world.delay = () => null;
  const page = world.page();
  page.do("greetUntilHeard");
  page.do("served", "a.hello", true);
  world.pass(9 * LOST_MS);
  assert.equal(page.sent("hello").length, 1);
  page.do("served", "a.hello", false);
  world.pass(FIRST_MS);
  assert.equal(page.sent("hello").length, 2);
});

test("where answers ahead take long on their way, no more are asked for", () => {
  for (const [ms, more] of [
    [500, true],
    [501, false],
  ]) {
    const { world, page } = opened();
    world.delay = ({ kind }) => (kind === "ahead" ? ms - 2 : 5);
    page.exchange.live = () => true;
    page.do("near", "brightness");
    page.do("served", page.sent("ahead")[0].request, true);
    world.pass(5 * ms);
    assert.equal(page.sent("ahead").length > 1, more);
  }
});

test("each request has its own time to be answered in", () => {
  const { world, page } = opened();
  world.delay = () => 0.7 * LOST_MS;
  page.move({ brightness: 0.1 });
  page.move({ brightness: 0.2 });
  world.pass(1.5 * LOST_MS);
  assert.equal(page.lost, "");
  assert.equal(page.shown.brightness, 0.2);
});

test("while the kernel is lost a hand asks for nothing and sees nothing, not even what was known", () => {
  const { world, page } = opened();
  page.hover("brightness");
  world.delay = () => null;
  page.move({ brightness: 0.123 });
  world.pass(LOST_MS);
  assert.equal(page.lost, SILENT);
  const posts = page.sent("settings").length;
  for (const brightness of [0.2, 0.123, 1.8]) page.do("changed", { ...page.settings, brightness });
  page.do("framed", page.settings, { kind: "frame" }, ["pixels"]);
  page.hover("brightness", 100);
  assert.equal(page.sent("settings").length, posts);
  assert.equal(page.sent("frame").length, 0);
  assert.ok(page.shows.every(({ ahead }) => !ahead));
  assert.equal(page.shown.brightness, 1);
  world.delay = () => 5;
  world.pass(LOST_MS);
  assert.deepEqual(
    [page.shown, world.settings.brightness],
    [world.settings, 1.8],
    "told in the end",
  );
});

test("what was known is asked for anew once the kernel is back", () => {
  const { world, page } = opened();
  page.hover("brightness");
  const before = page.sent("ahead").length;
  world.delay = ({ kind }) => (kind === "settings" ? null : 5);
  page.move({ brightness: 0.123 });
  world.pass(LOST_MS + 5000);
  assert.equal(page.lost, "");
  const places = page
    .sent("ahead")
    .slice(before)
    .flatMap((post) => post.places);
  assert.equal(new Set(places).size, 11);
});

test("what was asked for ahead of a kernel that was lost is asked for anew", () => {
  const { world, page } = opened();
  world.delay = ({ kind }) => (kind === "ahead" ? null : 5);
  page.hover("brightness", 10);
  page.do("connected", false);
  page.do("connected", true);
  world.delay = () => 5;
  const before = page.sent("ahead").length;
  world.pass(2000);
  assert.equal(
    new Set(
      page
        .sent("ahead")
        .slice(before)
        .flatMap((post) => post.places),
    ).size,
    11,
  );
});

test("a lost kernel is greeted after growing pauses", () => {
  const { world, page } = silenced();
  const since = world.now;
  world.pass(100_000);
  const times = page
    .sent("hello")
    .slice(1)
    .map(({ at }) => at - since);
  assert.deepEqual(times.slice(0, 4), [FIRST_MS, 3 * FIRST_MS, 7 * FIRST_MS, 15 * FIRST_MS]);
});

test("a kernel that was busy is found again by the late reply, and its settings are taken on", () => {
  const { world, page } = opened();
  world.delay = ({ kind }) => (kind === "settings" ? 1.5 * LOST_MS : 5);
  page.move({ brightness: 0.1 });
  world.pass(1.2 * LOST_MS);
  assert.equal(page.lost, SILENT);
  world.pass(LOST_MS);
  assert.equal(page.lost, "");
  assert.equal(page.shown.brightness, 0.1);
  assert.deepEqual(page.settings, page.shown);
  const found = page.log.indexOf("find");
  assert.deepEqual(page.log.slice(found, found + 3), ["find", "news", "adopted"]);
  world.delay = () => 5;
  page.move({ brightness: 0.3 });
  world.pass(100);
  assert.equal(page.shown.brightness, 0.3);
});

test("what a hand has set while a request takes long is told once the kernel is heard again", () => {
  const { world, page } = opened();
  page.hover("brightness");
  for (const [start, next] of [
    [0.1, 0.33], // waits for the answer
    [0.13, 0.4], // is known ahead, and about to be told
  ]) {
    const before = page.sent("settings").length;
    world.delay = ({ settings }) => (settings?.brightness === start ? 1.2 * LOST_MS : 5);
    page.move({ brightness: start });
    world.pass(LOST_MS - SYNC_MS / 2);
    page.move({ brightness: next });
    world.pass(SYNC_MS);
    assert.equal(page.lost, SILENT);
    assert.equal(page.settings.brightness, next, "the slider stays where it is");
    world.pass(LOST_MS);
    assert.equal(page.lost, "");
    assert.deepEqual(values(page.sent("settings").slice(before)), [start, next]);
    assert.deepEqual([page.shown, page.settings], [world.settings, world.settings]);
    assert.equal(page.exchange.due, Infinity);
  }
});

for (const [name, kind] of [
  ["an error", "error"],
  ["answers ahead", "ahead"],
]) {
  test(`a kernel that is found again by ${name} is asked for its settings`, () => {
    const { world, page } = silenced();
    world.delay = () => 5;
    world.settings = { ...NEUTRAL, brightness: 0.4 };
    page.hear({ kind, request: "a.1", text: "no", views: [] }, [new Uint8Array(3)]);
    assert.equal(page.lost, "");
    world.pass(100);
    assert.equal(page.shown.brightness, 0.4);
    assert.deepEqual(page.settings, page.shown);
    assert.equal(page.exchange.due, Infinity);
  });
}

test("pauses between greetings are short again once the kernel has been heard", () => {
  const { world, page } = silenced();
  world.delay = () => null;
  world.pass(100_000);
  const since = world.now;
  const before = page.sent("hello").length;
  page.hear({ kind: "error", request: "a.upload", text: "no" }, []);
  world.pass(4 * FIRST_MS);
  assert.deepEqual(
    page
      .sent("hello")
      .slice(before)
      .map(({ at }) => at - since),
    [0, FIRST_MS, 3 * FIRST_MS],
  );
});

test("a connection that comes back is greeted after short pauses, however long the kernel was silent", () => {
  const { world, page } = silenced();
  world.delay = () => null;
  world.pass(100_000);
  const since = world.now;
  const before = page.sent("hello").length;
  page.do("connected", true);
  world.pass(4 * FIRST_MS);
  const times = page.sent("hello").slice(before);
  assert.deepEqual(
    times.map(({ at }) => at - since),
    [0, FIRST_MS, 3 * FIRST_MS],
  );
});

test("a late reply to a request that was given up is no answer to a newer one", () => {
  const { world, page } = silenced();
  world.assign({}, "a.hello");
  world.pass(10);
  world.delay = () => 50;
  page.move({ brightness: 0.6 });
  const before = page.shows.length;
  page.hear(
    {
      kind: "view",
      request: "a.1",
      settings: { ...NEUTRAL, brightness: 1.2 },
      input: { width: 1, height: 1 },
    },
    ["input"],
  );
  assert.equal(page.shows.length, before);
  assert.equal(page.exchange.idle, false);
  world.pass(100);
  assert.equal(page.shown.brightness, 0.6);
});

test("a kernel that was restarted or cannot be sent to is gone: no greeting, and the text says what to do", () => {
  const { world, page } = opened();
  page.move({ brightness: 1.2 });
  page.do("lose", GONE);
  assert.equal(page.lost, GONE);
  assert.equal(page.exchange.due, Infinity);
  page.do("connected", false);
  page.do("connected", true);
  assert.equal(page.lost, GONE, "the connection to another kernel is not this one's");
  world.cut = true;
  world.pass(60_000);
  assert.equal(page.sent("hello").length, 1);
});

test("a connection that comes back is greeted at once, and all goes on", () => {
  const { world, page } = opened();
  page.move({ brightness: 1.2 });
  page.do("connected", false);
  world.cut = true;
  assert.equal(page.lost, CUT);
  world.pass(60_000);
  assert.equal(page.sent("hello").length, 1, "a broken connection is not greeted");
  world.cut = false;
  page.do("connected", true);
  assert.equal(page.sent("hello").at(-1).at, world.now);
  world.pass(100);
  assert.equal(page.lost, "");
  assert.deepEqual(page.shown, world.settings);
  assert.deepEqual(page.settings, page.shown);
  assert.equal(page.exchange.due, Infinity);
});

test("what was about to be told is not told to a kernel that is lost", () => {
  const { world, page } = opened();
  page.hover("brightness");
  const asked = page.sent("settings").length;
  page.move({ brightness: 0.4 });
  page.do("connected", false);
  assert.equal(page.exchange.due, Infinity);
  world.pass(1000);
  assert.equal(page.sent("settings").length, asked);
});

test("a connection that is there already is nothing new", () => {
  const { page } = opened();
  const before = page.log.length;
  page.do("connected", true);
  assert.equal(page.log.length, before);
});

// -- answers ahead

test("answers ahead are asked for while no hand moves, the nearest places first, until all are known", () => {
  const { world, page } = opened();
  page.move({ brightness: 0.6 });
  world.pass(10);
  page.exchange.live = () => true;
  page.do("near", "brightness");
  assert.equal(page.sent("ahead").length, 0, "a hand has just moved");
  world.pass(1000);
  const [first] = page.sent("ahead");
  assert.deepEqual(first.places, [0.6, 0.4, 0.8, 0.2, 1, 0, 1.2, 1.4, 1.6, 1.8, 2]);
  assert.deepEqual([first.key, first.settings], ["brightness", page.settings]);
  assert.deepEqual(
    page.sent("ahead").at(-1).places,
    [1.6, 1.8, 2],
    "those that are known are left out",
  );
  assert.equal(page.exchange.due, Infinity);
});

test("nothing is asked for ahead by a page that may not, or at other sliders", () => {
  const { world, page } = opened();
  page.do("near", "brightness");
  world.pass(1000);
  page.hover("blur");
  assert.equal(page.sent("ahead").length, 0);
});

test("nothing is asked for ahead while a request is under way", () => {
  const { world, page } = opened();
  world.delay = () => 5000;
  page.move({ brightness: 0.6 });
  page.hover("brightness", 4000);
  assert.equal(page.sent("ahead").length, 0);
});

test("at most so many places are asked for, and none where the number is 0", () => {
  for (const places of [0, 3]) {
    const { page } = opened({ places });
    page.hover("brightness");
    assert.equal(page.sent("ahead").flatMap((post) => post.places.slice(0, 4)).length, places);
  }
});

test("of many places 24 are asked for at a time", () => {
  const { page } = opened();
  page.exchange.around = (_key, value, most) =>
    around({ low: 0, high: 2, step: 0.02 }, value, most);
  page.hover("brightness", 1);
  const [{ places }] = page.sent("ahead");
  assert.deepEqual([places.length, places[0], places.at(-1)], [24, 1, 0.76]);
});

test("places are as few as their pixels allow", () => {
  const world = new World();
  world.side = 10;
  const page = world.page("a", { bytes: 5 * 600 + 599 }).open();
  page.hover("brightness");
  assert.equal(page.sent("ahead").flatMap((post) => post.places.slice(0, 4)).length, 5);
});

test("what is kept is as much as may be, wherever the hand goes", () => {
  const { world, page } = opened({ places: 3 });
  page.hover("brightness");
  for (const brightness of [0, 2]) {
    page.move({ brightness });
    world.pass(1000);
  }
  const before = page.shows.length;
  for (let index = 0; index <= 10; index++) page.move({ brightness: index / 5 });
  assert.deepEqual(values(page.shows.slice(before)), [1.6, 1.8, 2]);
});

test("a hand sees what is known ahead at once, and the kernel hears of it soon", () => {
  const { world, page } = opened();
  page.hover("brightness");
  const [start, asked] = [world.now, page.sent("settings").length];
  for (const brightness of [1.2, 1.4, 1.6]) {
    page.move({ brightness });
    assert.deepEqual([page.shown.brightness, page.shows.at(-1).ahead], [brightness, true]);
    assert.equal(page.exchange.idle, false, "the kernel has not heard of it");
    world.pass(20);
  }
  assert.equal(page.sent("settings").length, asked);
  world.pass(1000);
  assert.deepEqual(
    page
      .sent("settings")
      .slice(asked)
      .map((post) => [post.settings.brightness, post.at]),
    [[1.6, start + SYNC_MS]],
  );
  assert.equal(world.settings.brightness, 1.6);
  assert.equal(page.shows.at(-1).ahead, true, "the kernel's own answer to it is the same");
  assert.equal(page.exchange.idle, true);
});

test("each answer known ahead has its own pixels of what the network sees, and of a map", () => {
  for (const [where, length] of [
    [null, 6],
    [{ width: 2, height: 1 }, 14],
  ]) {
    const { world, page } = opened();
    world.where = where;
    page.hover("brightness");
    for (const [brightness, byte] of [
      [1, 1],
      [0.8, 2],
      [1.2, 3],
      [0.6, 4],
      [1.4, 1],
    ]) {
      page.move({ brightness });
      const { input } = page.shows.at(-1);
      const bytes = new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
      assert.deepEqual([...bytes], Array(length).fill(byte));
    }
  }
});

test("a long drag over what is known is told to the kernel again and again", () => {
  const { world, page } = opened();
  page.hover("brightness");
  for (let move = 0; move < 100; move++) {
    page.move({ brightness: (move % 11) / 5 });
    world.pass(20);
  }
  const sent = page.sent("settings").length;
  assert.ok(sent >= 2000 / SYNC_MS - 2 && sent <= 2000 / SYNC_MS, `sent ${sent} times in 2 s`);
  world.pass(1000);
  assert.deepEqual(world.settings, page.settings);
});

test("an answer to an older change does not take the place of one that was known ahead", () => {
  const { world, page } = opened();
  page.hover("brightness");
  world.delay = () => 100;
  page.move({ brightness: 0.33 });
  world.pass(20);
  page.move({ brightness: 0.4 });
  const before = page.shows.length;
  world.pass(2000);
  assert.deepEqual(values(page.shows.slice(before - 1)), [0.4]);
  assert.equal(world.settings.brightness, 0.4);
  assert.equal(page.most, 1);
});

test("an older answer is not shown for its photograph, which comes again with the newer one", () => {
  const { world, page } = opened();
  page.hover("brightness");
  world.delay = () => 100;
  page.exchange.live = () => false; // as while a button is held for a look at another state
  page.move({ photo: "dog" });
  world.pass(20);
  page.exchange.live = () => true;
  page.move({ photo: "cat", brightness: 0.4 });
  const before = page.shows.length;
  world.pass(2000);
  assert.deepEqual(values(page.shows.slice(before - 1), "photo"), ["cat", "cat"]);
  assert.equal(world.held, "cat");
  assert.deepEqual(page.shown, world.settings);
});

test("a state that waits gives way to one that is known, of which the kernel hears when it is time", () => {
  const { world, page } = opened();
  page.hover("brightness");
  world.delay = () => 50;
  const [start, asked] = [world.now, page.sent("settings").length];
  for (const brightness of [0.33, 0.34, 0.4]) page.move({ brightness });
  world.pass(2000);
  const sent = page
    .sent("settings")
    .slice(asked)
    .map((post) => [post.settings.brightness, post.at]);
  assert.deepEqual(sent, [
    [0.33, start],
    [0.4, start + SYNC_MS],
  ]);
});

test("a state that is asked for need not be told once more", () => {
  const { world, page } = opened();
  page.hover("brightness");
  const asked = page.sent("settings").length;
  for (const brightness of [0.4, 0.43]) page.move({ brightness });
  world.pass(2000);
  assert.deepEqual(values(page.sent("settings").slice(asked)), [0.43]);
});

test("a photograph that comes with the answer to what was known is taken", () => {
  const { world, page } = opened();
  page.hover("brightness");
  world.held = null;
  page.photo = null;
  page.move({ brightness: 0.4 });
  world.pass(1000);
  assert.equal(page.photo, "cat");
});

test("what is known is forgotten when another setting changes", () => {
  const { world, page } = opened();
  page.hover("brightness");
  page.move({ scaling: "missing" });
  world.pass(1000);
  assert.equal(
    new Set(
      page
        .sent("ahead")
        .filter(({ settings }) => settings.scaling)
        .flatMap((post) => post.places),
    ).size,
    11,
  );
  page.move({ scaling: "" });
  page.move({ brightness: 0.4 });
  assert.equal(page.shows.at(-1).ahead, false);
  world.pass(1000);
  assert.equal(page.shown.brightness, 0.4);
});

test("answers ahead that come after another setting has changed are not shown for it", () => {
  const { world, page } = opened();
  world.delay = ({ kind }) => (kind === "ahead" ? 300 : 5);
  page.hover("brightness", 10);
  page.move({ scaling: "missing" });
  world.pass(2000);
  page.move({ brightness: 0.8 });
  assert.deepEqual([page.shown.scaling, page.shown.brightness], ["missing", 0.8]);
});

test("what is known of one frame of a camera is not shown for another", () => {
  const { world, page } = opened();
  const frame = () => {
    page.do("framed", { ...page.settings, photo: "camera" }, { kind: "frame" }, ["pixels"]);
    page.settings = { ...page.settings, photo: "camera" };
    world.pass(20);
  };
  frame();
  page.hover("brightness");
  page.exchange.live = () => false; // as while the camera is on
  frame();
  page.exchange.live = () => true;
  page.move({ brightness: 0.4 });
  assert.equal(page.shows.at(-1).ahead, false);
});

test("answers ahead for one frame of a camera are not shown for another when they come late", () => {
  const { world, page } = opened();
  page.move({ photo: "camera" });
  world.pass(1000);
  world.delay = ({ kind }) => (kind === "ahead" ? 300 : 5);
  page.hover("brightness", 10);
  page.exchange.live = () => false;
  page.do("framed", page.settings, { kind: "frame" }, ["pixels"]);
  world.pass(1000);
  page.move({ brightness: 0.8 });
  assert.equal(page.shows.at(-1).ahead, false);
});

test("what is known of a picture that is gone is not shown for another of its name", () => {
  const { world, page } = opened();
  page.hover("brightness");
  page.do("near", "blur");
  world.assign({ photo: "dog" });
  world.pass(100);
  world.assign({ photo: "cat" });
  world.pass(100);
  page.move({ brightness: 0.4 });
  assert.equal(page.shows.at(-1).ahead, false);
});

test("what is known is forgotten when another setting changes for however short a time", () => {
  const { world, page } = opened();
  page.hover("brightness");
  page.do("near", "blur");
  page.move({ scaling: "missing" });
  page.move({ scaling: "" });
  page.move({ brightness: 0.4 });
  assert.equal(page.shows.at(-1).ahead, false);
  world.pass(1000);
  assert.equal(page.shown.brightness, 0.4);
});

test("a look at another state in between keeps what is known", () => {
  const { world, page } = opened();
  page.move({ noise: 0.6, scaling: "missing" });
  page.hover("brightness");
  const asked = page.sent("ahead").length;
  page.exchange.live = () => false;
  page.move({ noise: 0, scaling: "" });
  world.pass(1000);
  page.exchange.live = () => true;
  page.move({ noise: 0.6, scaling: "missing" });
  assert.equal(page.shows.at(-1).ahead, true);
  world.pass(1000);
  assert.equal(page.sent("ahead").length, asked);
});

test("answers ahead that never come are asked for again after a while, and the kernel is not lost", () => {
  const { world, page } = opened();
  world.delay = ({ kind }) => (kind === "ahead" ? null : 5);
  page.hover("brightness", 50);
  page.do("tick"); // as each painting does
  world.pass(2.5 * LOST_MS - 50);
  const [first, second, third, ...more] = page.sent("ahead").map(({ at }) => at);
  assert.deepEqual([second - first, third - second, more.length], [LOST_MS, LOST_MS, 0]);
  assert.equal(page.lost, "");
});

test("an error to what was asked for ahead is silent, and nothing more is asked for there", () => {
  const { world, page } = opened();
  world.instead = ({ kind }) => (kind === "ahead" ? { kind: "error", text: "no" } : undefined);
  page.hover("brightness");
  assert.deepEqual(page.fails, []);
  assert.equal(page.sent("ahead").length, 1);
  world.instead = () => undefined;
  page.move({ brightness: 0.4 });
  world.pass(1000);
  assert.equal(page.shown.brightness, 0.4);
  page.hover("noise");
  assert.equal(page.sent("ahead").at(-1).key, "noise", "at another slider it is");
});

// -- two views of one widget

const two = () => {
  const world = new World();
  return { world, one: world.page("a").open(), other: world.page("b").open() };
};

test("a view at rest follows what is done in another", () => {
  const { world, one, other } = two();
  one.move({ brightness: 0.4 });
  world.pass(100);
  assert.equal(other.settings.brightness, 0.4);
  assert.deepEqual(other.shown, world.settings);
  assert.equal(other.sent("settings").length, 0);
});

test("a view that is moving does not follow, and what it has asked for is shown in both", () => {
  const { world, one, other } = two();
  world.delay = () => 50;
  one.move({ brightness: 0.4 });
  other.move({ noise: 0.6 });
  world.pass(70);
  assert.equal(one.shown.brightness, 0.4);
  assert.deepEqual([other.settings.brightness, other.settings.noise], [1, 0.6]);
  assert.equal(
    other.shown.brightness,
    1,
    "the other view's state is not shown beside these sliders",
  );
  world.pass(1000);
  for (const page of [one, other]) {
    assert.deepEqual(page.shown, { ...NEUTRAL, noise: 0.6 });
    assert.deepEqual(page.settings, page.shown);
  }
});

test("a photograph that another view has asked for is taken while moving, and the own answer still follows", () => {
  const { world, one, other } = two();
  world.delay = () => 50;
  one.move({ photo: "dog" });
  other.move({ photo: "dog", noise: 0.6 });
  world.pass(70);
  assert.equal(other.photo, "dog", "the kernel sends it once");
  world.pass(1000);
  assert.deepEqual(other.shown, { ...NEUTRAL, photo: "dog", noise: 0.6 });
  assert.deepEqual(one.shown, other.shown);
});

test("what was known ahead is shown again after a photograph of another view", () => {
  const { world, one, other } = two();
  one.hover("brightness");
  one.move({ brightness: 0.4 });
  other.move({ photo: "dog" });
  world.pass(1000);
  for (const page of [one, other]) {
    assert.deepEqual(page.shown, { ...NEUTRAL, brightness: 0.4 });
    assert.equal(page.photo, "cat");
  }
});

test("what was known ahead is shown again after another view has opened", () => {
  const world = new World();
  const one = world.page("a").open();
  one.hover("brightness");
  one.move({ brightness: 0.4 });
  const other = world.page("b").open();
  assert.equal(one.shown.brightness, 1, "the photograph came with this state");
  world.pass(1000);
  for (const page of [one, other]) assert.deepEqual(page.shown, { ...NEUTRAL, brightness: 0.4 });
});

test("a view keeps what it knows while another one moves the same slider", () => {
  const { world, one, other } = two();
  one.hover("brightness");
  other.move({ brightness: 0.8 });
  world.pass(7); // the way there and back
  assert.equal(one.shown.brightness, 0.8);
  one.move({ brightness: 0.4 });
  assert.equal(one.shows.at(-1).ahead, true);
});

test("a view that shows what it knows, but has not said so, does not follow another", () => {
  const { world, one, other } = two();
  one.hover("brightness");
  one.move({ brightness: 0.4 });
  other.move({ noise: 0.6 });
  world.pass(100);
  assert.deepEqual(one.shown, { ...NEUTRAL, brightness: 0.4 });
  world.pass(1000);
  for (const page of [one, other])
    assert.deepEqual([page.shown, page.settings], [world.settings, world.settings]);
});

test("answers ahead belong to the view that has asked", () => {
  const { world, one, other } = two();
  one.hover("brightness");
  assert.equal(other.sent("ahead").length, 0);
  other.move({ brightness: 0.4 });
  assert.equal(other.shows.at(-1).ahead, false);
  world.pass(100);
  assert.equal(other.shown.brightness, 0.4);
});

// -- anything in any order

/** Numbers within 0..1 that a seed decides (mulberry32). */
const random = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};

const connect = (world, yes) => {
  world.cut = !yes;
  for (const page of world.pages) page.do("connected", yes);
};

test("whatever happens in whatever order, in the end all show the newest state", () => {
  const counts = { ahead: 0, lose: 0, adopted: 0, fail: 0 };
  for (let seed = 1; seed <= 300; seed++) {
    const draw = random(seed);
    const one_of = (list) => list[Math.floor(draw() * list.length)];
    const world = new World();
    const pages = ["a", "b"].slice(0, one_of([1, 2])).map((prefix) => world.page(prefix).open());
    const slow = one_of([5, 60, 400]);
    world.delay = () => (draw() < 0.01 ? 1.5 * LOST_MS : slow * draw());
    world.instead = ({ kind }) =>
      draw() < 0.05 && kind !== "hello" ? { kind: "error", text: "no" } : undefined;
    const events = [
      ...Array(12).fill((page) => page.move({ brightness: one_of([0, 0.2, 0.33, 0.4, 0.6, 1.4]) })),
      ...Array(3).fill((page) => page.move({ noise: one_of([0, 0.6, 1]) })),
      (page) => page.move({ photo: one_of(["cat", "dog"]) }),
      (page) => page.hover(one_of(["brightness", "noise", "blur"]), 0),
      (page) => {
        const live = draw() < 0.8;
        page.exchange.live = () => live;
      },
      () => world.assign({ brightness: draw() }),
      () => connect(world, draw() < 0.7),
    ];
    for (let count = 0; count < 60; count++) {
      one_of(events)(one_of(pages));
      world.pass(one_of([0, 3, 16, 16, 16, 200, 1000]));
    }
    world.instead = () => undefined;
    world.delay = () => slow * draw();
    connect(world, true);
    const last = pages[0];
    last.move({ brightness: 0.77 });
    world.pass(20 * 60_000);
    for (const page of pages) {
      assert.equal(page.lost, "", `seed ${seed}`);
      assert.equal(page.exchange.idle, true, `seed ${seed}`);
      assert.equal(page.most, page.sent("settings").length ? 1 : 0, `seed ${seed}`);
      assert.deepEqual(page.shown, world.settings, `seed ${seed}`);
      assert.deepEqual(page.settings, world.settings, `seed ${seed}`);
      assert.equal(page.photo, world.settings.photo, `seed ${seed}`);
      counts.ahead += page.shows.filter(({ ahead }) => ahead).length;
      for (const name of ["lose", "adopted", "fail"])
        counts[name] += page.log.filter((each) => each === name).length;
    }
  }
  for (const [name, count] of Object.entries(counts))
    assert.ok(count > 100, `${name} happened ${count} times`);
});
