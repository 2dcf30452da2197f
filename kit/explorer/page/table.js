// Predictions that were computed beforehand, in a page without a kernel: a stand-in for the widget's model.
import { element } from "./dom.js";
import { Picture, rgbOf } from "./picture.js";
import { NOISE_STEPS } from "./pixels.js";

const MISSING = "This combination is not in the page; open the notebook for it.";
const normal = () =>
  Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()); // Box and Muller
const shareOf = (text) => (parseFloat(text) || (text.startsWith(">") ? 100 : 0)) / 100; // "<0.1 %" is less than its half
const bytesFrom = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const python = (value) =>
  typeof value === "string"
    ? JSON.stringify(value)
    : ({ true: "True", false: "False", null: "None" }[value] ?? String(value));

const unpacked = (text) =>
  new Response(
    new Blob([bytesFrom(text)]).stream().pipeThrough(new DecompressionStream("deflate")),
  ).json();

/** RGB pixels of a part of an image (left, top, width, height), as large as is asked for. */
function drawn(image, part, width, height, gray = false) {
  const context = element("canvas", { width, height }).getContext("2d", {
    willReadFrequently: true,
  });
  context.drawImage(image, ...part, 0, 0, width, height);
  context.globalCompositeOperation = "saturation"; // black has none
  if (gray) context.fillRect(0, 0, width, height);
  return rgbOf(context, width, height);
}

function table(panel, photos, alone) {
  const events = {};
  const picture = new Picture("");
  let shown = panel.start;
  const changed = ({ photo: _photo, where: _where, ...settings }) =>
    Object.entries(settings)
      .filter(([key, value]) => value !== panel.neutral[key])
      .sort();
  const address = (settings) => String(new URLSearchParams(changed(settings)));

  async function opened(name) {
    if (!photos.get(name).then) photos.set(name, unpacked(photos.get(name)).then(prepared)); // when somebody looks at it
    return photos.get(name);
  }

  async function prepared(photo) {
    const [columns, [width, height]] = [Object.entries(photo.columns), photo.size];
    const rows = photo.columns.settings.map((_, place) =>
      Object.fromEntries(columns.map(([key, column]) => [key, column[place]])),
    );
    const [image, cells] = await Promise.all(
      photo.files.map((file) => createImageBitmap(new Blob([bytesFrom(file)]))),
    );
    const pixels = drawn(image, [0, 0, width, height], width, height);
    const field = Int16Array.from(pixels, () => NOISE_STEPS * normal());
    return {
      ...photo,
      width,
      height,
      cells,
      pixels,
      field,
      rows: new Map(rows.map((row) => [address(row.settings), row])),
    };
  }

  /** What is known of settings, with the class that the photo is said to show; nothing of what was not computed. */
  async function known(settings) {
    const { rows, label } = await opened(settings.photo);
    const row = rows.get(address(settings));
    const maps = row && !row.where.waits ? [null, -1, row.top] : [null];
    if (!row || !maps.includes(settings.where)) return undefined;
    const state = label && (label === row.answer.name ? "right" : "wrong");
    const answer = {
      ...row.answer,
      label,
      state,
      mark: state && panel.marks[state].split("{}").join(label),
    };
    const verdict =
      `${[answer.name, answer.share, answer.mark].filter(Boolean).join(", ")}. ${answer.note}`.trim();
    return { ...row, answer, verdict, where: settings.where === null ? null : row.where };
  }

  async function answered({ settings, held }) {
    const [{ width, height, cells, ...photo }, row] = [
      await opened(settings.photo),
      await known(settings),
    ];
    const code = `explorer.settings = {${[["photo", settings.photo], ...changed(settings)].map((pair) => pair.map(python).join(": ")).join(", ")}}`;
    if (!row) return [{ kind: "error", text: MISSING, code }];
    const cell = [0, cells.width * row.cell, cells.width, cells.width];
    const live = row.cell === null || row.prepared;
    const pixels = live ? photo.pixels : drawn(cells, cell, width, height);
    picture.paint(pixels, width, height, live ? { ...settings, field: photo.field } : {});
    const part = photo.box.map((share, side) => share * [width, height][side % 2]);
    const seen = drawn(
      ...(row.prepared ? [cells, cell] : [picture.canvas, part]),
      row.input.width,
      row.input.height,
      photo.gray,
    );
    const nameOf = (index) =>
      panel.classes[index] ?? `${panel.classes.length - row.bars.length + 1} others`; // two may have one name
    const bars = row.bars.map(([index, text, ghostText, calibratedText]) => ({
      index,
      name: nameOf(index),
      text,
      ghostText,
      calibratedText,
      top: index === row.top,
      expected: nameOf(index) === row.answer.label,
      value: shareOf(text),
      ghost: shareOf(ghostText),
      calibrated: shareOf(calibratedText),
    }));
    const content = {
      ...row,
      kind: "view",
      settings,
      bars,
      code,
      source: { live, width, height },
      kernelMs: null,
    };
    return [
      content,
      row.where ? Uint8Array.from([...seen, ...row.where.cells]) : seen,
      ...(live && held === settings.photo ? [] : [pixels]),
    ];
  }

  const view = (content) => {
    shown = content.settings;
    return answered(content);
  };
  const answers = {
    settings: view,
    ahead: async ({ settings, key, places: [place] }) => {
      // one at a time, so that a hand need not wait
      const [content, pixels] = await answered({
        settings: { ...settings, [key]: place },
        held: settings.photo,
      });
      return content.kind === "error"
        ? [content]
        : [{ kind: "ahead", views: [content], pause: 1 }, pixels];
    },
    noise: async ({ seed }) => [{ kind: "noise", seed }, (await opened(shown.photo)).field],
    keep: () =>
      alone &&
      history.replaceState(
        null,
        "",
        `#${new URLSearchParams([["photo", shown.photo], ...changed(shown)])}`,
      ),
    hello: async (_, request) => {
      const { photo, ...given } = Object.fromEntries(
        new URLSearchParams(alone && location.hash.slice(1)),
      );
      if (!photos.has(photo)) return view({ settings: panel.start });
      const row = (await opened(photo)).rows.get(address(given));
      if (!row) events["msg:custom"]({ kind: "error", request, text: MISSING });
      return view({ settings: { ...panel.neutral, ...row?.settings, photo } });
    },
    label: async ({ photo, label }) => {
      if (label && !panel.classes.includes(label))
        return [
          {
            kind: "error",
            text: `Expected one of ${panel.classes.length} class names, received '${label}'`,
          },
        ];
      (await opened(photo)).label = label;
      panel.photos.find(({ name }) => name === photo).labelled = label !== "";
      events["change:_panel"]();
      return view({ settings: shown });
    },
    judge: async ({ settings, photos: names }) => {
      const marks = names.map(async (photo) => [
        photo,
        (await known({ ...settings, photo }))?.answer.state ?? "",
      ]);
      return [{ kind: "judged", settings, marks: Object.fromEntries(await Promise.all(marks)) }];
    },
    why: async ({ settings }) => {
      const nothing = { headline: MISSING, advice: "", button: "", lines: [], pictures: [] };
      const changes = (await known(settings))?.because ?? nothing;
      const shots = [];
      for (const some of changes.apply ? [{}, changes.apply] : [])
        shots.push(await answered({ settings: { ...settings, where: null, ...some } }));
      const pictures = shots.map(([{ input }]) => input && [input.height, input.width]);
      const whole = pictures.every(Boolean) ? { pictures } : {};
      const stopped = "The search for a cause needs the notebook.";
      const reply = { kind: "because", changes: { ...changes, settings, ...whole }, stopped };
      return [reply, ...shots.map(([, seen]) => seen)];
    },
  };
  const send = async ({ kind, request, ...content }) => {
    const [reply, ...buffers] = (await answers[kind]?.(content, request)) ?? [];
    if (reply) events["msg:custom"]({ request, ...reply }, buffers);
  };
  return {
    get: () => panel,
    on: (event, heard) => {
      events[event] = heard;
    },
    off: () => {},
    send,
  };
}

/** The stand-in of packed texts: the panel, then each photo. */
export async function unfolded([block, ...photos], alone) {
  const panel = await unpacked(block);
  for (const photo of panel.photos) photo.thumbnail = bytesFrom(photo.thumbnail);
  return table(panel, new Map(panel.photos.map(({ name }, index) => [name, photos[index]])), alone);
}
