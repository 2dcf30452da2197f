// A page that has the network itself: what is asked for is computed in a worker, for any photo.
import { bytesOf64, unpacked } from "./network.js";
import { standIn } from "./standin.js";
import { Texts } from "./texts.js";

const HOTTEST = [255, 72, 0]; // colour of a heat map
const COVER = 0.65 * 255; // of its hottest place

/** The parts of a view that are bytes: what the model sees, and over it the places of a map. */
function bytesOfView({ seen, cells }) {
  const places = Array.from(cells?.values ?? [], (cell) => [...HOTTEST, Math.round(COVER * cell)]);
  return Uint8Array.from([...seen, ...places.flat()]);
}

/** `files` are photos by name, `ask(kind, content)` is answered by a worker. */
function live(panel, files, ask) {
  const texts = new Texts(panel);
  const {
    camera,
    neutral,
    live: {
      size: [height, width],
    },
  } = panel;
  const opened = new Map(); // what is known of a photo, its untouched view included
  let sent = ""; // the pixels that the page holds

  async function look(settings) {
    const view = await ask("look", { settings });
    return { ...view, settings, top: view.row.indexOf(Math.max(...view.row)) };
  }

  /** Open a photo once. */
  function open(name, content = files.get(name)) {
    const load = async () => {
      const info = await ask("open", { name, ...content });
      return { ...info, untouched: await look({ ...neutral, photo: name }) };
    };
    if (!opened.has(name)) opened.set(name, load());
    return opened.get(name);
  }

  async function viewOf(settings) {
    const { untouched } = await open(settings.photo);
    const same = texts.changed(settings).length === 0 && settings.where === null;
    return same ? untouched : look(settings);
  }

  async function known(settings, label) {
    const { untouched, ...info } = await open(settings.photo);
    const view = await viewOf(settings);
    return {
      view,
      top: view.top,
      answer: texts.answer(view, untouched),
      bars: texts.bars(view, untouched, label),
      tensor: texts.tensor(view, untouched),
      path: texts.path(view, untouched, info),
      about: [`${view.size.join(" × ")} pixels`, ...texts.notes(settings, info)].join(", "),
      input: { height, width },
      where: texts.heat(view),
    };
  }

  const heldOf = ({ photo, exif, alpha }) => JSON.stringify([photo, exif, alpha]);

  async function painted(settings, { view }, held) {
    const [across, down] = view.size;
    const missing = held !== settings.photo || sent !== heldOf(settings);
    const pixels = missing ? [await ask("pixels", { settings })] : [];
    sent = heldOf(settings);
    return [{ live: true, width: across, height: down }, bytesOfView(view), ...pixels];
  }

  async function because(settings, label) {
    const { untouched } = await open(settings.photo);
    return texts.because(await viewOf(settings), untouched, label, viewOf);
  }

  /** Messages that only a page with the network answers. */
  const answers = ({ shown, view, refresh }) => {
    const pieces = new Map(); // of files that are on their way
    const unused = (name, count = 1) => {
      const numbered = count > 1 ? `${name} (${count})` : name;
      return files.has(numbered) || numbered === camera.name ? unused(name, count + 1) : numbered;
    };
    const show = (photo) => view({ settings: { ...shown(), photo, where: shown().where && -1 } });
    const add = async (wanted, content) => {
      const name = unused(wanted);
      await open(name, content);
      const thumbnail = await ask("thumbnail", { name });
      files.set(name, content);
      panel.photos.push({ name, added: true, labelled: false, thumbnail });
      refresh();
      return show(name);
    };
    const forget = (name) => {
      opened.delete(name);
      return ask("remove", { name });
    };
    return {
      upload: ({ number, name, last }, _request, [piece]) => {
        const parts = [...(pieces.get(number) ?? []), piece];
        pieces.set(number, parts);
        return last && pieces.delete(number) && add(name, { file: new Blob(parts) });
      },
      frame: async ({ settings, height: tall, width: wide }, _request, [pixels]) => {
        const photo = { ...settings, photo: camera.name };
        const image = { data: new Uint8Array(pixels), width: wide, height: tall };
        await forget(camera.name);
        files.set(camera.name, { image });
        sent = heldOf(photo); // the page has its own frames
        return view({ settings: photo, held: camera.name });
      },
      snap: () => add("Snap", files.get(camera.name)),
      remove: async ({ name }) => {
        const left = panel.photos.filter((photo) => photo.name !== name);
        if (left.length === 0) throw new Error("Expected another photo to show; add one first");
        panel.photos = left;
        files.delete(name);
        await forget(name);
        refresh();
        return show(left[0].name);
      },
    };
  };
  const noise = (_shown, seed, count) => ask("noise", { seed, count });
  return { missing: "", pause: 0, known, painted, noise, because, answers };
}

/** Start a worker of a script; the function asks it. */
function asking(script) {
  const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  const waiting = new Map(); // by number
  let count = 0;
  worker.addEventListener("message", ({ data: { id, value, trouble } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (trouble === undefined) resolve(value);
    else reject(new Error(trouble));
  });
  return (kind, content) =>
    new Promise((resolve, reject) => {
      count += 1;
      waiting.set(count, { resolve, reject });
      worker.postMessage({ id: count, kind, content });
    });
}

/** The stand-in of a page with the network, from packed texts: the worker's script, what it runs, and photos. */
export async function living(panel, [script, wasm, network, ...photos]) {
  const ask = asking(await unpacked(script));
  const started = ask("start", { about: panel.live, network, wasm });
  const files = new Map(
    panel.photos.map(({ name }, k) => [name, { file: new Blob([bytesOf64(photos[k])]) }]),
  );
  await started;
  return standIn(panel, live(panel, files, ask), true);
}
