// Predictions that were computed beforehand, in a page without a kernel.
import { element } from "./dom.js";
import { bytesOf64, unpacked } from "./network.js";
import { Picture, rgbOf } from "./picture.js";
import { NOISE_STEPS } from "./pixels.js";
import { standIn } from "./standin.js";

const MISSING = "This state was not computed beforehand; it needs the notebook.";
const normal = () =>
  Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()); // Box and Muller
const shareOf = (text) => (parseFloat(text) || (text.startsWith(">") ? 100 : 0)) / 100; // "<0.1 %" is less than its half
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

function table(panel, photos) {
  const picture = new Picture("");
  const address = ({ photo: _photo, where: _where, ...settings }) =>
    JSON.stringify(
      Object.entries(settings)
        .filter(([key, value]) => value !== panel.neutral[key])
        .sort(),
    );

  async function opened(name) {
    if (!photos.get(name).then) photos.set(name, jsonOf(photos.get(name)).then(prepared)); // when somebody looks at it
    return photos.get(name);
  }

  async function prepared(photo) {
    const [columns, [width, height]] = [Object.entries(photo.columns), photo.size];
    const rows = photo.columns.settings.map((_, place) =>
      Object.fromEntries(columns.map(([key, column]) => [key, column[place]])),
    );
    const [image, cells] = await Promise.all(
      photo.files.map((file) => createImageBitmap(new Blob([bytesOf64(file)]))),
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

  /** Nothing of what was not computed. */
  async function known(settings) {
    const row = (await opened(settings.photo)).rows.get(address(settings));
    const maps = row && !row.where.waits ? [null, -1, row.top] : [null];
    if (!row || !maps.includes(settings.where)) return undefined;
    const nameOf = (index) =>
      panel.classes[index] ?? `${panel.classes.length - row.bars.length + 1} others`; // two may have one name
    const bars = row.bars.map(([index, text, ghostText, calibratedText]) => ({
      index,
      name: nameOf(index),
      text,
      ghostText,
      calibratedText,
      value: shareOf(text),
      ghost: shareOf(ghostText),
      calibrated: shareOf(calibratedText),
    }));
    return { ...row, bars, where: settings.where === null ? null : row.where };
  }

  async function painted(settings, row, held) {
    const { width, height, cells, ...photo } = await opened(settings.photo);
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
    return [
      { live, width, height },
      row.where ? Uint8Array.from([...seen, ...row.where.cells]) : seen,
      ...(live && held === settings.photo ? [] : [pixels]),
    ];
  }

  return {
    missing: MISSING,
    pause: 1,
    known,
    painted,
    noise: async ({ photo }) => (await opened(photo)).field,
    because: async (settings) =>
      (await known(settings))?.because ?? { headline: "", lines: [], guilty: [] },
  };
}

const jsonOf = async (text) => JSON.parse(new TextDecoder().decode(await unpacked(text)));

/** What a page without a kernel is told once. */
export async function panelOf(text) {
  const panel = await jsonOf(text);
  for (const photo of panel.photos) photo.thumbnail = bytesOf64(photo.thumbnail);
  return panel;
}

/** The stand-in of packed texts, one for each photo. */
export function unfolded(panel, photos, alone) {
  const files = new Map(panel.photos.map(({ name }, index) => [name, photos[index]]));
  return standIn(panel, table(panel, files), alone);
}
