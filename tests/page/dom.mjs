// As much of a browser as the page's modules use, with a clock that goes on only when it is told to.

let now = 0;
let order = 0;
let waiting = []; // timers and frames: { id, time, run }

function later(run, ms) {
  if (!(ms < 2 ** 31)) throw new Error("a browser would not wait at all");
  order += 1;
  waiting.push({ id: order, time: now + ms, run });
  return order;
}

const forget = (id) => {
  waiting = waiting.filter((timer) => timer.id !== id);
};

/** Let time pass: run timers, and frames of 16 ms. */
export function pass(ms) {
  const end = now + ms;
  for (;;) {
    const [next] = waiting.sort((a, b) => a.time - b.time || a.id - b.id);
    if (!next || next.time > end) break;
    waiting.shift();
    now = Math.max(now, next.time);
    next.run(now);
  }
  now = end;
}

/** Let everything that waits for a promise go on. */
export const settled = () => new Promise((done) => setImmediate(done));

const INSIDE_ALONE = new Set(["focus", "blur", "pointerenter", "pointerleave"]); // events that do not rise

/** A part of a selector: the pointer and the keyboard are everywhere. */
const SIMPLE =
  /::\w+|(?<tag>(?<![\w.:-])[\w*]+)|\.(?<name>[\w-]+)|\[(?<attribute>[\w-]+)(?:="?(?<value>[^\]"]*)"?)?\]|:not\((?<without>[^)]*)\)|:has\((?<inside>[^)]*)\)|:nth-child\((?<place>\d)\)|:(?<state>[\w-]+)/g;

/** An attribute, also one that lies in a property here; null for none. */
function lookedUp(node, name) {
  const data = node.dataset[name.slice(5).replace(/-./g, (part) => part[1].toUpperCase())];
  return (
    node.getAttribute(name) ?? (name.startsWith("data-") ? (data ?? null) : node[name] ? "" : null)
  );
}

export class FakeElement {
  constructor(tag) {
    this.tag = tag;
    this.attributes = new Map();
    this.children = [];
    this.texts = []; // children that are texts stand here alone, since no test asks for their place
    this.listeners = {};
    this.parentElement = null;
    this.dataset = {};
    this.style = {};
    this.className = "";
    this.clientWidth = this.clientHeight = this.offsetWidth = this.offsetLeft = this.scrollLeft = 0;
    this.classList = {
      contains: (name) => this.className.split(" ").includes(name),
      toggle: (name, on = !this.classList.contains(name)) => {
        const names = this.className.split(" ").filter((other) => other && other !== name);
        this.className = [...names, ...(on ? [name] : [])].join(" ");
        return on;
      },
      add: (name) => this.classList.toggle(name, true),
      remove: (name) => this.classList.toggle(name, false),
    };
  }

  setAttribute(name, value) {
    if (name === "class") this.className = String(value);
    else this.attributes.set(name, String(value));
  }

  getAttribute(name) {
    return this.attributes.get(name) ?? null;
  }

  get textContent() {
    return this.texts.join("") + this.children.map((child) => child.textContent).join("");
  }

  set textContent(text) {
    this.replaceChildren(String(text));
  }

  append(...nodes) {
    for (const node of nodes) {
      if (typeof node === "string") this.texts.push(node);
      else {
        node.remove();
        node.parentElement = this;
        this.children.push(node);
      }
    }
  }

  replaceChildren(...nodes) {
    for (const child of this.children) child.remove();
    this.texts = [];
    this.append(...nodes);
  }

  replaceWith(node) {
    const { parentElement } = this;
    const place = parentElement.children.indexOf(this);
    parentElement.append(node);
    parentElement.children.pop();
    parentElement.children[place] = node;
  }

  remove() {
    if (this.parentElement)
      this.parentElement.children = this.parentElement.children.filter((node) => node !== this);
    this.parentElement = null;
  }

  get firstChild() {
    return this.children[0];
  }

  *[Symbol.iterator]() {
    for (const child of this.children) {
      yield child;
      yield* child;
    }
  }

  /** Whether a selector fits that has no brackets in brackets; what is behind `::` and what only a pointer does is left out. */
  matches(selector) {
    return selector.split(/, (?![^(]*\))/).some((one) => {
      const [, outer, own] = /^(?:(.+) )?((?:[^ ()]|\([^)]*\))+)$/.exec(one);
      if (![...own.matchAll(SIMPLE)].every(({ groups }) => this.#is(groups))) return false;
      const { parentElement: above } = this;
      if (!outer) return true;
      return Boolean(
        outer.endsWith(" >") ? above?.matches(outer.slice(0, -2)) : above?.closest(outer),
      );
    });
  }

  #is({ tag = "*", name, attribute, value, without, inside, place, state }) {
    const brothers = this.parentElement?.children ?? [];
    const own = attribute && lookedUp(this, attribute);
    const states = {
      checked: Boolean(this.checked),
      focus: document.activeElement === this,
      "first-child": brothers[0] === this,
    };
    return (
      (tag === "*" || tag === this.tag) &&
      (!name || this.classList.contains(name)) &&
      (!attribute || (own !== null && value === (value && own))) &&
      !(without && this.matches(without)) &&
      (!inside?.startsWith("+ ") ||
        brothers[brothers.indexOf(this) + 1]?.matches(inside.slice(2))) &&
      (!inside || inside.startsWith("+ ") || this.querySelector(inside) !== null) &&
      (!place || brothers[place - 1] === this) &&
      (!state || states[state])
    );
  }

  closest(selector) {
    return this.matches(selector) ? this : (this.parentElement?.closest(selector) ?? null);
  }

  querySelectorAll(selector) {
    return [...this].filter((node) => node.matches(selector));
  }

  querySelector(selector) {
    return this.querySelectorAll(selector)[0] ?? null;
  }

  contains(node) {
    return node === this || [...this].includes(node);
  }

  addEventListener(type, heard, options = false) {
    (this.listeners[type] ??= []).push({
      heard,
      early: options === true || Boolean(options.capture),
    });
    options.signal?.addEventListener("abort", () => this.removeEventListener(type, heard));
  }

  removeEventListener(type, heard) {
    this.listeners[type] = this.listeners[type].filter((listener) => listener.heard !== heard);
  }

  dispatchEvent({ type, detail }) {
    this.fire(type, { detail });
  }

  /** What a person does: this element and those around it hear of it; tells whether the browser is kept from its own. */
  fire(type, properties = {}) {
    let [isPrevented, isStopped] = [false, false];
    const event = {
      type,
      target: this,
      preventDefault: () => (isPrevented = true),
      stopPropagation: () => (isStopped = true),
      ...properties,
    };
    const path = [this];
    while (path.at(-1).parentElement) path.push(path.at(-1).parentElement);
    const hear = (node, isEarly) => {
      for (const { heard, early } of node.listeners[type] ?? [])
        if (early === isEarly && !isStopped) heard({ ...event, currentTarget: node });
    };
    for (const node of path.toReversed()) hear(node, true);
    for (const node of INSIDE_ALONE.has(type) ? [this] : path) hear(node, false);
    return isPrevented;
  }

  click() {
    this.fire("click");
    if (this.getAttribute("type") === "radio") this.fire("change");
  }

  focus() {
    document.activeElement = this;
  }

  getBoundingClientRect() {
    return { top: 0, bottom: 0, width: 0, height: 0 };
  }

  scrollIntoView() {}

  toBlob(done) {
    done(new Blob());
  }

  getContext() {
    const canvas = this;
    return {
      canvas,
      createImageData: (width, height) => new ImageData(width, height),
      getImageData: (left, top, width, height) =>
        new ImageData(
          Uint8ClampedArray.from({ length: 4 * width * height }, (_, k) => k + 100 * (left + top)),
        ),
      putImageData: (image, ...place) => {
        if (place.some(Boolean)) throw new Error("not in the corner");
        canvas.image = image;
      },
      drawImage: (image, ...box) => (canvas.drawn ??= []).push({ image, box }),
      fillRect: () => {},
    };
  }

  play() {
    Object.assign(this, { videoWidth: 4, videoHeight: 2 });
    return Promise.resolve();
  }
}

// Properties that show an attribute.
for (const name of ["title", "value"])
  Object.defineProperty(FakeElement.prototype, name, {
    get() {
      return this.getAttribute(name) ?? "";
    },
    set(value) {
      this.setAttribute(name, value ?? "");
    },
  });
for (const name of ["hidden", "disabled", "open"])
  Object.defineProperty(FakeElement.prototype, name, {
    get() {
      return this.attributes.has(name);
    },
    set(on) {
      if (on) this.setAttribute(name, "");
      else this.attributes.delete(name);
    },
  });

class FakeImageData {
  constructor(...parts) {
    const [data, width, height] = typeof parts[0] === "object" ? parts : [null, ...parts];
    Object.assign(this, { width, height, data: data ?? new Uint8ClampedArray(4 * width * height) });
  }
}

export const camera = {
  getUserMedia: async (wanted) => {
    if (JSON.stringify(wanted) !== '{"video":true}') throw new Error("more than a picture");
    return { getTracks: () => camera.tracks };
  },
  tracks: [],
};

const globals = {
  document: {
    createElement: (tag) => new FakeElement(tag),
    activeElement: null,
    hidden: false,
  },
  window: new FakeElement("window"),
  navigator: { mediaDevices: camera },
  performance: { now: () => now },
  requestAnimationFrame: (run) => later(run, 16),
  cancelAnimationFrame: forget,
  setTimeout: later,
  clearTimeout: forget,
  devicePixelRatio: 1,
  innerHeight: 1000,
  innerWidth: 1000,
  ImageData: FakeImageData,
  CustomEvent: class {
    constructor(type, { detail }) {
      Object.assign(this, { type, detail });
    }
  },
};
for (const [name, value] of Object.entries(globals))
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });

/** The element below `root` that is called so, by its accessible name or its text. */
export function called(root, name) {
  const node = [...root].find(
    (other) => (other.getAttribute("aria-label") ?? other.textContent) === name,
  );
  if (!node) throw new Error(`nothing is called ${name}`);
  return node;
}
