// Paints what the kernel decides. One request is under way at a time and the newest state waits, so a drag never
// builds a backlog. While no hand moves, the answers along the slider under the pointer are fetched ahead, and a hand
// that comes there sees them in the next frame. Brightness and noise of the photograph are painted here, in float32
// arithmetic that gives the kernel's bytes.

const NOISE_STEPS = 4096; // whole numbers in a noise field for one standard deviation: kit.perturbation.NOISE_STEPS
const PIECE_BYTES = 4_000_000; // well under the 10 MiB at which a Jupyter server closes the connection
const SETTLED_MS = 500; // silence after which the sentence for screen readers is renewed
const RESTING_MS = 150; // silence after which the photograph is painted in full
const LOST_MS = 10_000; // a reply that takes longer is given up, so that a restarted connection does not freeze the page
const SYNC_MS = 250; // while the page shows answers that it has already, the kernel hears of the settings this often
const AHEAD_PLACES = 24; // asked for at a time; the kernel answers as many as it can without keeping a hand waiting
const FIRST_MS = 500; // the first greeting is repeated after this time without a reply, then after twice as long, …

let views = 0;

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

// Writing the same text again would have the page laid out anew.
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// ---- pixels ---------------------------------------------------------------------------------------------------

class Picture {
  constructor(label) {
    this.canvas = element("canvas", { role: "img", "aria-label": label, width: 1, height: 1 });
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.image = null;
  }

  resize(width, height) {
    if (this.image && this.image.width === width && this.image.height === height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    this.image = this.context.createImageData(width, height);
    this.image.data.fill(255);
  }

  // Paints every `stride`-th pixel of every `stride`-th row.
  paint(rgb, width, height, { stride = 1, table = IDENTITY, noise = null, scale = 0 } = {}) {
    this.canvas.classList.toggle("kit-small", width < 100);
    this.canvas.style.aspectRatio = `${width} / ${height}`; // the same place on the page at every stride
    this.resize(Math.ceil(width / stride), Math.ceil(height / stride));
    const out = this.image.data;
    let o = 0;
    for (let row = 0; row < height; row += stride) {
      const end = 3 * width * (row + 1);
      if (noise) {
        // Fractions are meant: a Uint8ClampedArray rounds half to even, as numpy's rint does.
        for (let i = 3 * width * row; i < end; i += 3 * stride, o += 4) {
          out[o] = Math.fround(table[rgb[i]] + Math.fround(scale * noise[i]));
          out[o + 1] = Math.fround(table[rgb[i + 1]] + Math.fround(scale * noise[i + 1]));
          out[o + 2] = Math.fround(table[rgb[i + 2]] + Math.fround(scale * noise[i + 2]));
        }
      } else {
        for (let i = 3 * width * row; i < end; i += 3 * stride, o += 4) {
          out[o] = table[rgb[i]];
          out[o + 1] = table[rgb[i + 1]];
          out[o + 2] = table[rgb[i + 2]];
        }
      }
    }
    this.context.putImageData(this.image, 0, 0);
  }
}

// Pillow's ImageEnhance.Brightness: a blend with black in float32, cut to whole numbers.
function brightnessTable(factor) {
  const alpha = Math.fround(factor);
  const table = new Uint8Array(256);
  for (let v = 0; v < 256; v++) table[v] = Math.min(255, Math.max(0, Math.trunc(Math.fround(alpha * v))));
  return table;
}

const IDENTITY = brightnessTable(1);

// ---- controls: each has an element, shows a value, and calls `changed(key, value)` ---------------------------

function rangeControl(spec, id, changed, near) {
  // A parameter without a neutral number is off; the place after its last number stands for that.
  const off = spec.neutral === null;
  const last = off ? spec.high + spec.step : spec.high;
  const common = { min: spec.low, step: spec.step, title: spec.hint };
  const slider = element("input", { ...common, type: "range", id, max: last, "data-key": spec.key });
  const box = element("input", {
    ...common, type: "number", max: spec.high, "aria-label": `${spec.label}, exact value`, placeholder: off ? "off" : "",
  });
  const show = (value) => {
    slider.value = value ?? last;
    if (document.activeElement !== box) box.value = value ?? "";
    slider.setAttribute("aria-valuetext", value === null ? "off" : `${value} ${spec.unit}`.trim());
  };
  const change = (text) => {
    const number = Number(text);
    const empty = text === "" || (off && number > spec.high);
    const value = empty ? spec.neutral : Math.min(spec.high, Math.max(spec.low, number));
    show(value);
    changed(spec.key, value);
  };
  slider.addEventListener("input", () => change(slider.value));
  slider.addEventListener("dblclick", () => change(""));
  for (const event of ["pointerenter", "focus"]) slider.addEventListener(event, () => near(spec.key));
  box.addEventListener("input", () => box.value !== "" && box.validity.valid && change(box.value));
  box.addEventListener("change", () => { change(box.value); box.value = off && slider.value > spec.high ? "" : slider.value; });
  const label = element("label", { for: id, text: spec.label });
  const unit = element("span", { class: "kit-unit", text: spec.unit, "aria-hidden": "true" });
  // The nearest `most` places of the slider, the nearest first.
  const around = (value, most) => {
    const decimals = (slider.step.split(".")[1] ?? "").length;
    const place = (index) => Number((Number(slider.min) + index * slider.step).toFixed(decimals));
    const last = Math.round((slider.max - slider.min) / slider.step);
    const here = Math.round((value - slider.min) / slider.step);
    const indices = Array.from({ length: last + 1 }, (_, index) => index);
    return indices.sort((a, b) => Math.abs(a - here) - Math.abs(b - here)).slice(0, most).map(place);
  };
  return { key: spec.key, show, around, node: element("div", { class: "kit-range" }, label, slider, box, unit) };
}

function switchControl(spec, id, changed) {
  const box = element("input", { type: "checkbox", id, title: spec.hint, "data-key": spec.key });
  box.addEventListener("change", () => changed(spec.key, box.checked));
  const show = (value) => { box.checked = value; };
  const label = element("label", { for: id, text: spec.label });
  return { key: spec.key, show, node: element("div", { class: "kit-range" }, label, box) };
}

function choiceControl(spec, id, changed) {
  const select = element("select", { id, title: spec.hint, "data-key": spec.key });
  for (const [value, text] of spec.options) select.append(element("option", { value, text }));
  select.addEventListener("change", () => { changed(spec.key, select.value); show(select.value); });
  const node = element("div", { class: "kit-choice" }, element("label", { for: id, text: spec.label }), select);
  const show = (value) => {
    select.value = value;
    node.classList.toggle("kit-changed", select.selectedIndex > 0);
  };
  return { key: spec.key, show, node };
}

const CONTROLS = { range: rangeControl, switch: switchControl, choice: choiceControl };

// ---- the widget ------------------------------------------------------------------------------------------------

function render({ model, el }) {
  const prefix = `kit-${Date.now().toString(36)}-${views++}`;
  const pictures = { photo: new Picture("The photograph"), input: new Picture("What the network sees") };
  let settings = {};
  let controls = [];
  let base = null; // unperturbed pixels of the photograph, where the page paints the perturbation itself
  let noise = { seed: null, field: new Int16Array(0), wanted: "" };
  let inFlight = null;
  let waiting = false;
  let requests = 0;
  let changedAt = 0;
  let painted = []; // what the photograph was last painted from: painting it anew for each reply would double the work
  let moving = false; // whether a hand is at the controls
  let resting = 0;
  let tensorLines = []; // painted only while people can see them
  let message = null; // the newest reply, painted in the next frame
  let frame = 0;
  let settled = 0;
  let lost = 0;
  let greeting = 0;
  const ahead = { key: null, asked: null, context: "", known: new Map() }; // answers by settings, for the slider under the pointer
  let inputBytes = 1; // size of what the network sees
  let changes = 0; // counts what the hand did, so that an answer never takes the place of a newer one
  let shownChange = 0;
  let sync = 0;
  let failing = 0; // the change whose answer takes the error away: what the page refuses stays until a hand moves
  let camera = null; // { video, stream, on, … } while it is wanted
  const shrunk = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

  // -- structure
  const status = element("p", { class: "kit-status", role: "status" });
  const error = element("p", { class: "kit-error", role: "alert", hidden: true });
  const verdict = element("p", { class: "kit-verdict", "aria-hidden": "true" });
  const about = element("figcaption");
  const caption = element("caption");
  const latency = element("span", { class: "kit-latency" });
  const rows = element("tbody");
  const tensor = element("tbody");
  const groups = { main: element("div"), more: element("div", { class: "kit-more" }), steps: element("div", { class: "kit-steps" }) };
  const title = element("h3");
  const notes = element("div", { class: "kit-notes" });
  const picker = element("select", { id: `${prefix}-photo`, "data-key": "photo" });
  const file = element("input", { type: "file", accept: "image/*", class: "kit-file", "aria-label": "Add a picture of your own" });
  const upload = element("button", { type: "button", text: "Add a picture…", title: "Or drop a picture anywhere here" });
  const why = element("button", { type: "button", class: "kit-why", text: "Why?", title: "Look for the cause of this answer" });
  const because = element("div", { class: "kit-because", hidden: true });
  const reset = element("button", { type: "button", text: "Reset", title: "Unperturbed, prepared as in training" });
  const headings = (...names) => element("thead", {}, element("tr", {}, ...names.map((text) => element("th", { scope: "col", text }))));
  // The attribute keeps JupyterLab from taking the arrow keys for moving between cells.
  const tensorBox = element("details", { class: "kit-tensor" }, element("summary", { text: "The tensor that is fed" }),
    element("table", {}, headings("", "Fed", "Expected", ""), tensor));
  const root = element("section", { class: "kit-explorer", "aria-label": "Explorer", "data-lm-suppress-shortcuts": "true" },
    element("header", {}, title, element("label", { for: picker.id, text: "Photo" }), picker, upload, file, reset, why, latency),
    error, notes, because,
    element("div", { class: "kit-columns" },
      element("div", { class: "kit-pictures" },
        element("figure", {}, pictures.photo.canvas, about),
        element("figure", {}, pictures.input.canvas, element("figcaption", { text: "What the network sees" }))),
      element("div", { class: "kit-answer" }, verdict, status,
        element("table", { class: "kit-bars" },
          caption, headings("Class", "Probability", "Untouched", "Calibrated"), rows))),
    element("div", { class: "kit-controls" },
      element("fieldset", {}, element("legend", { text: "Perturbation" }), groups.main,
        element("details", {}, element("summary", { text: "More perturbations" }), groups.more)),
      element("fieldset", {}, element("legend", { text: "Preprocessing steps" }), groups.steps)),
    tensorBox);
  el.append(root);

  // -- talking to the kernel
  const send = (content = { kind: "settings" }, buffers = []) => {
    waiting = false;
    clearTimeout(sync);
    sync = 0;
    inFlight = { id: `${prefix}.${++requests}`, change: changes, since: changedAt };
    root.dataset.inFlight = "1";
    clearTimeout(lost);
    lost = setTimeout(() => { inFlight = null; stopCamera(); if (waiting) send(); }, LOST_MS);
    model.send({ ...content, request: inFlight.id, settings, held: base?.photo ?? null }, undefined, buffers);
  };
  const request = () => {
    root.dataset.inFlight = "1";
    if (inFlight === null) send();
    else waiting = true;
  };
  const answered = (id) => {
    if (id !== inFlight?.id) return;
    clearTimeout(lost);
    inFlight = null;
    if (waiting) send();
    else if (!sync) delete root.dataset.inFlight;
    lookAhead();
  };
  const changed = (key, value) => {
    settings = { ...settings, [key]: value };
    changes += 1;
    changedAt = performance.now();
    moving = true;
    clearTimeout(resting);
    resting = setTimeout(() => { moving = false; draw(); lookAhead(); }, RESTING_MS);
    if (camera?.on) return; // the next frame takes the settings along
    near(key);
    const answer = ahead.known.get(JSON.stringify(settings));
    if (answer) {
      waiting = false;
      root.dataset.inFlight = "1";
      if (!sync) sync = setTimeout(() => { sync = 0; request(); }, SYNC_MS);
      news(answer.content, [answer.pixels], { change: changes, since: changedAt });
      paint(); // in the frame of the event, not in the one after
    } else {
      request();
      draw();
    }
  };

  // -- answers ahead
  const at = (place) => JSON.stringify({ ...settings, [ahead.key]: place });
  const lookAhead = () => {
    if (!ahead.key || ahead.asked || camera || inFlight || moving || sync || message || !base || document.hidden) return;
    const { places, bytes } = model.get("_panel").ahead;
    const context = at(null); // all the other settings
    if (ahead.context !== context) Object.assign(ahead, { context, known: new Map() });
    const wanted = slider(ahead.key).around(settings[ahead.key], Math.min(places, Math.floor(bytes / inputBytes)))
      .filter((place) => !ahead.known.has(at(place))).slice(0, AHEAD_PLACES);
    if (wanted.length === 0) return;
    ahead.asked = { id: `${prefix}.${++requests}`, settings: wanted.map(at) };
    setTimeout((asked) => { if (ahead.asked === asked) ahead.asked = null; }, LOST_MS, ahead.asked);
    model.send({ kind: "ahead", request: ahead.asked.id, settings, key: ahead.key, places: wanted });
  };
  const keep = ({ views }, [pixels]) => {
    let offset = pixels.byteOffset;
    views.forEach((view, index) => {
      const length = 3 * view.input.width * view.input.height;
      const part = new DataView(pixels.buffer, offset, length);
      ahead.known.set(ahead.asked.settings[index], { content: { ...view, kernelMs: null }, pixels: part });
      offset += length;
    });
    ahead.asked = null;
    lookAhead();
  };
  const near = (key) => {
    ahead.key = model.get("_panel").ahead.keys.includes(key) ? key : null;
    lookAhead();
  };
  const wantNoise = () => {
    if (!base || settings.noise === undefined) return;
    const count = base.width * base.height * 3;
    const key = `${settings.seed}/${count}`;
    if ((noise.seed === settings.seed && noise.field.length >= count) || noise.wanted === key) return;
    noise.wanted = key;
    model.send({ kind: "noise", seed: settings.seed, count });
  };

  // -- a camera: each frame is a photograph, and the next one is sent when the kernel has answered
  const fail = (text, until = changes + 1) => {
    error.textContent = text;
    error.hidden = false;
    failing = until;
  };
  const stopCamera = () => {
    cancelAnimationFrame(camera?.frame);
    camera?.stream?.getTracks().forEach((track) => track.stop());
    camera = null;
  };
  const startCamera = async () => {
    stopCamera();
    const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
    const own = camera = { video, on: false, sentAt: 0 };
    try {
      if (!navigator.mediaDevices) throw new Error("a page over plain http, where browsers allow none");
      own.stream = await navigator.mediaDevices.getUserMedia({ video: true });
      video.srcObject = own.stream;
      await video.play();
      own.on = true;
    } catch (trouble) {
      if (camera === own) fail(`Expected a camera, received ${trouble.message}; allow it, or choose a photo`);
    }
    if (camera === own && own.on) return look();
    own.stream?.getTracks().forEach((track) => track.stop());
    if (camera !== own) return; // the view went, or a photo was chosen meanwhile
    camera = null;
    picker.value = settings.photo;
  };
  const look = () => {
    camera.frame = requestAnimationFrame(look);
    const { name, side, pause } = model.get("_panel").camera;
    const { videoWidth, videoHeight } = camera.video;
    if (inFlight || videoWidth === 0 || performance.now() < camera.sentAt + pause) return;
    const scale = Math.min(1, side / Math.max(videoWidth, videoHeight));
    const [width, height] = [videoWidth, videoHeight].map((length) => Math.max(1, Math.round(length * scale)));
    shrunk.canvas.width = width;
    shrunk.canvas.height = height;
    shrunk.drawImage(camera.video, 0, 0, width, height);
    const { data } = shrunk.getImageData(0, 0, width, height);
    const pixels = new Uint8Array(3 * width * height);
    for (let i = 0, o = 0; o < pixels.length; i += 4, o += 3) {
      pixels[o] = data[i];
      pixels[o + 1] = data[i + 1];
      pixels[o + 2] = data[i + 2];
    }
    settings = { ...settings, photo: name };
    changes += 1;
    camera.sentAt = changedAt = performance.now();
    camera.base = { photo: name, pixels, width, height };
    if (base) base = camera.base;
    send({ kind: "frame", width, height }, [pixels.buffer]);
    draw();
  };
  const news = (content, buffers, { change, since }) => {
    // The kernel sends a photograph once: one that no frame has taken yet goes with the next answer.
    const untaken = buffers.length === 1 && message ? message.buffers.slice(1) : [];
    if (change < shownChange) return;
    shownChange = change;
    message = { content, change, since, buffers: [...buffers, ...untaken] };
    draw();
  };
  const onMessage = (content, buffers) => {
    if (content.kind === "noise") {
      const view = buffers[0];
      noise = { seed: content.seed, field: new Int16Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)), wanted: "" };
      draw();
    } else if (content.kind === "asking") {
      busy(true);
      tell(`Looking for the cause: ${content.text} …`);
    } else if (content.kind === "because") {
      explain(content);
    } else if (content.kind === "error") {
      if (content.request === ahead.asked?.id) {
        Object.assign(ahead, { key: null, asked: null }); // if it matters, it shows when a hand comes there
        return;
      }
      if (because.dataset.busy) {
        busy(false);
        tell("");
      }
      fail(content.text, 0); // until the next answer
      if (!content.request.endsWith(".why")) root.classList.add("kit-stale");
      answered(content.request);
    } else if (content.kind === "view") {
      clearTimeout(greeting);
      const own = content.request === inFlight?.id;
      // What was known ahead is shown already.
      if (!own || inFlight.change > shownChange || buffers.length > 1) news(content, buffers, own ? inFlight : { change: changes, since: 0 });
      answered(content.request);
      const elsewhere = camera?.on && content.settings.photo !== model.get("_panel").camera.name;
      if (!own && elsewhere) stopCamera();
      // What this page has sent meanwhile, or is about to, is newer and comes back too.
      if (!own && (elsewhere || !root.dataset.inFlight)) adopt(content.settings);
    } else if (content.kind === "ahead" && content.request === ahead.asked?.id) {
      keep(content, buffers);
    }
  };

  // -- painting, once a frame
  const draw = () => { if (!frame) frame = requestAnimationFrame(paint); };
  const bytes = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const paint = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    const taken = message;
    message = null;
    if (taken) {
      const { source } = taken.content;
      if (taken.buffers.length > 1) {
        const pixels = bytes(taken.buffers[1]);
        base = source.live ? { photo: taken.content.settings.photo, pixels, width: source.width, height: source.height } : null;
        painted = [];
        if (!source.live) {
          pictures.photo.paint(pixels, source.width, source.height);
          root.dataset.sharp = true;
        }
        root.dataset.live = source.live;
      } else if (camera?.on) {
        base = source.live ? camera.base : null;
        root.dataset.live = source.live;
      } else if (base && base.photo !== taken.content.settings.photo) {
        base = null; // a frame of a camera that another view has
        pictures.photo.paint(new Uint8Array(3), 1, 1);
      }
      wantNoise();
    }
    paintPhoto();
    if (taken) paintAnswer(taken, bytes(taken.buffers[0]));
    lookAhead();
  };
  const paintPhoto = () => {
    if (!base || settings.brightness === undefined) return;
    const ready = settings.noise === 0 || (noise.seed === settings.seed && noise.field.length >= base.width * base.height * 3);
    // While a hand moves, as many of the picture's own pixels as the page shows; all of them once it rests.
    const shown = pictures.photo.canvas.clientWidth * devicePixelRatio;
    const stride = moving && shown ? Math.max(1, Math.floor(base.width / shown)) : 1;
    const wanted = [base, settings.brightness, settings.noise, settings.noise && noise, stride];
    if (!ready || wanted.every((part, index) => part === painted[index])) return;
    painted = wanted;
    pictures.photo.paint(base.pixels, base.width, base.height, {
      stride,
      table: brightnessTable(settings.brightness),
      noise: settings.noise === 0 ? null : noise.field,
      scale: Math.fround(settings.noise / NOISE_STEPS),
    });
    root.dataset.sharp = stride === 1;
  };
  const paintAnswer = ({ content, change, since }, input) => {
    inputBytes = 3 * content.input.width * content.input.height;
    pictures.input.paint(input, content.input.width, content.input.height);
    paintBars(content.bars);
    write(verdict, content.verdict);
    write(about, content.about);
    paintTensor(content.tensor);
    if (change >= failing) error.hidden = true;
    root.classList.remove("kit-stale");
    const kernel = content.kernelMs === null ? "known ahead" : `kernel ${content.kernelMs} ms`;
    if (since) latency.textContent = `${Math.round(performance.now() - since)} ms, ${kernel}`;
    clearTimeout(settled);
    settled = setTimeout(() => {
      status.textContent = content.verdict;
      pictures.photo.canvas.setAttribute("aria-label", `The photograph ${content.settings.photo}, ${content.about}`);
      pictures.input.canvas.setAttribute("aria-label", `What the network sees; it answers ${content.verdict}`);
    }, SETTLED_MS);
    root.dispatchEvent(new CustomEvent("kit:painted", { bubbles: true, detail: { settings: content.settings, kernelMs: content.kernelMs } }));
  };
  const paintTensor = (lines) => {
    tensorLines = lines;
    if (!tensorBox.open) return;
    tensor.replaceChildren(...lines.map(([name, fed, wanted, same]) => element("tr", { class: same === "same" ? null : "kit-changed" },
      element("th", { scope: "row", text: name }), element("td", { text: fed }), element("td", { text: wanted }), element("td", { text: same }))));
  };
  const paintBars = (bars) => {
    while (rows.children.length > bars.length) rows.lastChild.remove();
    while (rows.children.length < bars.length) {
      const parts = ["kit-ghost", "kit-bar", "kit-thin"].map((name) => element("i", { class: name }));
      rows.append(element("tr", {}, element("th", { scope: "row" }), element("td", { class: "kit-value" }),
        element("td", { class: "kit-value" }), element("td", { class: "kit-value" }),
        element("td", { class: "kit-track", "aria-hidden": "true" }, ...parts)));
    }
    bars.forEach((row, index) => {
      const line = rows.children[index];
      const [name, text, ghostText, calibratedText, track] = line.children;
      write(name, row.name);
      if (name.title !== row.name) name.title = row.name; // a long one is cut off
      write(text, row.text);
      write(ghostText, row.ghostText);
      const className = `${row.top ? "kit-top" : ""} ${row.expected ? "kit-expected" : ""}`;
      if (line.className !== className) line.className = className;
      line.dataset.value = row.value;
      track.children[0].style.transform = `scaleX(${row.ghost})`;
      track.children[1].style.transform = `scaleX(${row.value})`;
      if (row.calibrated === null) return;
      write(calibratedText, row.calibratedText);
      track.children[2].style.transform = `scaleX(${row.calibrated})`;
    });
  };

  // -- the cause
  const busy = (on) => {
    // Not `disabled`, which would take the focus away from those who work with the keyboard.
    why.setAttribute("aria-disabled", on);
    if (on) because.dataset.busy = "1";
    else delete because.dataset.busy;
  };
  const tell = (text) => {
    because.hidden = text === "";
    because.replaceChildren(element("p", { role: "status", text }));
  };
  const explain = (content) => {
    busy(false);
    because.hidden = false;
    const line = (text) => (text ? element("p", { text }) : null);
    const close = element("button", { type: "button", text: "Close" });
    close.addEventListener("click", () => { because.hidden = true; why.focus(); });
    const apply = content.apply && element("button", { type: "button", class: "kit-apply", text: "Apply the fix" });
    apply?.addEventListener("click", () => {
      because.hidden = true;
      adopt(content.apply);
      changed("photo", settings.photo);
    });
    because.replaceChildren(
      element("h4", { role: "status", text: content.headline }),
      ...content.notes.map(line),
      ...content.findings.map((finding) => element("details", { open: finding === content.findings[0] },
        element("summary", { text: finding.title }), line(finding.summary),
        element("table", {}, headings("", "Measured", "Value", "Threshold"), element("tbody", {}, ...finding.evidence.map(
          (cells) => element("tr", {}, ...cells.map((text) => element("td", { text })))))))),
      ...[content.ruledOut.length ? line(`Ruled out: ${content.ruledOut.join(", ")}.`) : null, line(content.fix)].filter(Boolean),
      ...(content.code ? [element("pre", { text: content.code })] : []),
      element("p", {}, apply || null, close));
  };

  // -- state that comes from the kernel
  const slider = (key) => controls.find((control) => control.key === key);
  const adopt = (state) => {
    settings = { ...state };
    picker.value = state.photo;
    for (const control of controls) control.show(state[control.key]);
  };
  const place = ({ group, section }) => {
    if (!section) return groups[group];
    const key = `${group}/${section}`;
    if (!groups[key]) groups[group].append(groups[key] = element("fieldset", {}, element("legend", { text: section })));
    return groups[key];
  };
  const build = () => {
    const panel = model.get("_panel");
    title.textContent = panel.title;
    caption.textContent = panel.caption;
    root.classList.toggle("kit-tempered", panel.tempered);
    notes.replaceChildren(...panel.notes.map((text) => element("p", { text })));
    picker.replaceChildren(...[...panel.photos, panel.camera.name].map((name) => element("option", { value: name, text: name })));
    if (controls.length === 0) {
      controls = panel.controls.map((spec, index) => {
        const control = CONTROLS[spec.kind](spec, `${prefix}-${index}`, changed, near);
        place(spec).append(control.node);
        return control;
      });
    }
    picker.value = settings.photo ?? panel.photos[0];
  };

  // -- uploads and buttons
  const sendFile = async (picture) => {
    if (!picture) return;
    const limit = model.get("_panel").uploadBytes;
    if (picture.size > limit) {
      fail(`Expected a picture of at most ${limit / 1e6} MB, received ${Math.round(picture.size / 1e6)} MB: ${picture.name}`);
      return;
    }
    const content = await picture.arrayBuffer();
    let start = 0;
    do {
      const end = Math.min(start + PIECE_BYTES, content.byteLength);
      model.send({ kind: "upload", name: picture.name, last: end === content.byteLength }, undefined, [content.slice(start, end)]);
      start = end;
    } while (start < content.byteLength);
  };
  picker.addEventListener("change", () => {
    if (picker.value === model.get("_panel").camera.name) {
      startCamera();
    } else {
      stopCamera();
      changed("photo", picker.value);
    }
  });
  upload.addEventListener("click", () => file.click());
  file.addEventListener("change", () => { sendFile(file.files[0]); file.value = ""; });
  reset.addEventListener("click", () => {
    adopt({ ...model.get("_panel").neutral, photo: settings.photo });
    changed("photo", settings.photo);
  });
  why.addEventListener("click", () => {
    if (because.dataset.busy) return;
    busy(true);
    tell("Looking for the cause …");
    model.send({ kind: "why", request: `${prefix}.why` });
  });
  tensorBox.addEventListener("toggle", () => paintTensor(tensorLines));
  root.addEventListener("dragover", (event) => { event.preventDefault(); root.classList.add("kit-drop"); });
  root.addEventListener("dragleave", () => root.classList.remove("kit-drop"));
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    root.classList.remove("kit-drop");
    sendFile(event.dataTransfer.files[0]);
  });
  root.addEventListener("keydown", (event) => event.stopPropagation()); // and hosts that listen further out

  model.on("msg:custom", onMessage);
  model.on("change:_panel", build);
  build();
  // JupyterLab may send the first message before it has opened a subshell, to the main shell, where it waits for
  // every cell still to run; a later one does not.
  const greet = (pause) => {
    model.send({ kind: "hello", request: "" });
    greeting = setTimeout(greet, pause, 2 * pause);
  };
  greet(FIRST_MS);
  return () => {
    model.off("msg:custom", onMessage);
    model.off("change:_panel", build);
    stopCamera();
    cancelAnimationFrame(frame);
    clearTimeout(settled);
    clearTimeout(resting);
    clearTimeout(lost);
    clearTimeout(sync);
    clearTimeout(greeting);
  };
}

export default { render };
