// A kernel, pages and the way between them, with a clock that goes on only when it is told to.
import { around } from "../../kit/explorer/page/controls.js";
import { Exchange } from "../../kit/explorer/page/exchange.js";

export const NEUTRAL = { photo: "cat", brightness: 1, noise: 0, scaling: "" };
const TRIP = 1;

/** What the page is told about answers ahead, for sliders of eleven places: 0, 0.2, …, 2. */
export const AHEAD = {
  keys: ["brightness", "noise"],
  places: 320,
  bytes: 50_000_000,
};
const nearest = (key, value, most) => around({ low: 0, high: 2, step: 0.2 }, value, most);

export class World {
  now = 0;
  pages = [];
  received = []; // what has reached the kernel
  settings = NEUTRAL;
  held = null; // the photograph that the pages hold
  side = 1; // of what the network sees, which is twice as wide as high
  where = null; // the map over it
  free = 0; // when the kernel has done all that it has received
  cut = false;
  #events = [];
  #order = 0;

  /** How long the kernel takes for a message, null if it never answers; both of these are for tests to set. */
  delay = () => 5;

  /** What the kernel answers in place of a view or of answers ahead; undefined for those. */
  instead = () => undefined;

  page(prefix = "a", ahead = {}) {
    const page = new Page(this, prefix, { ...AHEAD, ...ahead });
    this.pages.push(page);
    return page;
  }

  at(time, event) {
    this.#events.push({ time, order: this.#order++, event });
  }

  /** Let time pass. */
  pass(ms) {
    const end = this.now + ms;
    for (;;) {
      this.#events.sort((a, b) => a.time - b.time || a.order - b.order);
      const page = this.pages.reduce((first, each) =>
        each.exchange.due < first.exchange.due ? each : first,
      );
      const next = Math.min(this.#events[0]?.time ?? Infinity, page.exchange.due);
      if (next > end) break;
      this.now = Math.max(this.now, next);
      if (this.#events[0]?.time === next) this.#events.shift().event();
      else page.do("tick");
    }
    this.now = end;
  }

  post(content) {
    if (this.cut) return;
    this.at(this.now + TRIP, () => {
      const delay = this.delay(content);
      this.received.push({ ...content, at: this.now });
      if (delay === null) return;
      this.free = Math.max(this.free, this.now) + delay;
      this.at(this.free, () => this.#answer(content));
    });
  }

  /** Assign settings, as a cell does. */
  assign(settings, request = "") {
    this.settings = { ...this.settings, ...settings };
    const photograph = this.held === this.settings.photo ? [] : ["photograph"];
    this.held = this.settings.photo;
    this.#send(this.#view(this.settings, request), ["input", ...photograph]);
  }

  #view(settings, request) {
    const { side, where } = this;
    const input = { width: 2 * side, height: side };
    return { kind: "view", request, settings, input, where };
  }

  #answer(content) {
    const other = this.instead(content);
    if (other) this.#send({ request: content.request, ...other }, [new Uint8Array(3)]);
    else if (content.kind === "ahead") {
      const views = content.places
        .slice(0, 4)
        .map((place) => this.#view({ ...content.settings, [content.key]: place }));
      this.#send({ kind: "ahead", request: content.request, views }, [this.#inputs(views.length)]);
    } else {
      if (content.kind === "hello" || (content.held && content.held !== this.held))
        this.held = null;
      this.assign(content.settings, content.request);
    }
  }

  /** What the network sees, and the map, the first with 1 in each byte, the second with 2, and so on; not at the start of a buffer. */
  #inputs(count) {
    const bytes = 6 * this.side ** 2 + (this.where ? 4 * this.where.width * this.where.height : 0);
    return Uint8Array.from({ length: bytes * (count + 1) }, (_, index) =>
      Math.floor(index / bytes),
    ).subarray(bytes);
  }

  #send(content, buffers) {
    if (this.cut) return;
    this.at(this.now + TRIP, () => this.pages.forEach((page) => page.hear(content, buffers)));
  }
}

/** Does what an exchange asks for, as the page does, and keeps it. */
export class Page {
  settings = NEUTRAL; // what the controls show
  shown = null; // settings of the answer that is shown
  photo = null; // what the photograph was last painted from
  posts = [];
  shows = [];
  log = []; // names of effects, in their order
  fails = [];
  lost = "";
  underWay = 0;
  most = 0; // requests under way at a time

  constructor(world, prefix, ahead) {
    this.world = world;
    this.prefix = prefix;
    this.exchange = new Exchange(prefix, ahead, nearest, () => false);
  }

  do(event, ...given) {
    for (const [effect, ...results] of this.exchange.after(this.world.now, event, ...given)) {
      this.log.push(effect);
      this[effect](...results);
    }
  }

  open() {
    this.do("greetUntilHeard");
    this.world.pass(100);
    return this;
  }

  /** A hand moves some settings. */
  move(settings) {
    if (this.lost) return;
    this.settings = { ...this.settings, ...settings };
    this.do("changed", this.settings);
  }

  /** The pointer comes to a slider while no hand moves, and enough time passes for all answers ahead. */
  hover(key, ms = 1000) {
    this.exchange.live = () => true;
    this.do("near", key);
    this.world.pass(ms);
  }

  hear(content, buffers) {
    if (content.request === `${this.prefix}.${this.request}`) this.underWay = 0;
    const event = { view: "answered", ahead: "foreseen" }[content.kind];
    if (event) this.do(event, content, buffers);
    else if (content.request === "" || content.request.startsWith(`${this.prefix}.`))
      this.do("failed", content);
  }

  sent(kind) {
    return this.posts.filter((post) => post.kind === kind);
  }

  adopted(settings) {
    this.settings = settings;
  }

  fail(text, stale) {
    this.fails.push([text, stale]);
  }

  lose(reason) {
    Object.assign(this, { lost: reason, underWay: 0 });
  }

  find() {
    this.lost = "";
  }

  draw() {}

  post(content) {
    this.posts.push({ ...content, at: this.world.now });
    if (["settings", "frame"].includes(content.kind)) {
      this.request = content.request.split(".").at(-1);
      this.underWay += 1;
      this.most = Math.max(this.most, this.underWay);
    }
    this.world.post(content.kind === "settings" ? { ...content, held: this.photo } : content);
  }

  news({ content, buffers }) {
    this.shown = content.settings;
    if (buffers.length > 1) this.photo = content.settings.photo;
    const [input] = buffers;
    this.shows.push({
      settings: content.settings,
      at: this.world.now,
      ahead: content.request === undefined,
      input,
    });
  }
}
