// Image files as the browser decodes them, and how they are to be turned, which each browser does for other formats.
import { rgbOf } from "./pixels.js";

const MOST_READ = 50_000_000; // pixels, as in kit.images
const EXIF = /(?:\xff\xe1..|eXIf|EXIF....)(?:Exif\0\0)?(?:II\*\0|MM\0\*)/gs; // of a JPEG, PNG or WebP, up to where its block begins
const AGAIN = "copy it again, or save it as PNG or JPEG";

/** Take the orientation out of an EXIF block; gives it, 1 where there is none. */
function taken(block) {
  const little = block.getUint8(0) === 0x49; // "II", else "MM"
  try {
    const first = block.getUint32(4, little) + 2;
    const end = first + 12 * block.getUint16(first - 2, little);
    for (let place = first; place < end; place += 12)
      if (block.getUint16(place, little) === 0x112) {
        const orientation = block.getUint16(place + 8, little);
        block.setUint16(place + 8, 1, little);
        return orientation;
      }
  } catch {} // a damaged block is no reason to refuse the pixels
  return 1;
}

/** An image turned and mirrored as an orientation, 1 to 8, wants it. */
export function turned(image, orientation) {
  if (orientation === 1) return image;
  const { data, width, height } = image;
  const [mirrored, flipped] = ["2378", "3467"].map((those) => those.includes(orientation));
  const [column, row] = [mirrored ? -3 : 3, flipped ? -3 * width : 3 * width]; // to the next one, in bytes
  const [across, down, wide, tall] =
    orientation > 4 ? [row, column, height, width] : [column, row, width, height];
  const out = new Uint8Array(data.length);
  let start = (mirrored ? 3 * (width - 1) : 0) + (flipped ? 3 * width * (height - 1) : 0);
  for (let o = 0; o < out.length; start += down)
    for (let x = 0, from = start; x < wide; x++, from += across)
      for (let c = 0; c < 3; c++) out[o++] = data[from + c];
  return { data: out, width: wide, height: tall };
}

/** Whether a JPEG or PNG ends before its last part, which Firefox takes without a word. */
function isCut(bytes, text) {
  if (bytes[0] !== 0xff) return text.lastIndexOf("IDAT") > text.lastIndexOf("IEND");
  let place = 2; // behind the head, where a small picture has its own end; any bytes may follow the end
  while (bytes[place] === 0xff && bytes[place + 1] !== 0xda)
    place += 2 + 256 * bytes[place + 2] + bytes[place + 3];
  return bytes[place] === 0xff && !text.includes("\xff\xd9", place);
}

/** A file as the browser decodes it, not turned, and how its EXIF block wants it turned. */
export async function bitmapOf(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const text = new TextDecoder("latin1").decode(bytes);
  if (isCut(bytes, text)) throw new Error(`it ends early; ${AGAIN}`);
  const blocks = [...text.matchAll(EXIF)].map(({ index, 0: { length } }) =>
    taken(new DataView(bytes.buffer, index + length - 4)),
  );
  // Firefox decodes no file that is made of several parts, WebKit none in a worker.
  const bitmap = await createImageBitmap(new Blob([bytes]), {
    premultiplyAlpha: "none",
    colorSpaceConversion: "none",
  }).catch(() => {
    throw new Error(`its ${bytes.length} bytes are no image that this browser opens; ${AGAIN}`);
  });
  return { bitmap, orientation: blocks[0] >= 1 && blocks[0] <= 8 ? blocks[0] : 1 };
}

/** RGB pixels of a bitmap on a ground of this colour, if any, and whether some of them are transparent. */
export function pixelsOf(bitmap, matte) {
  const { width, height } = bitmap;
  if (width * height > MOST_READ)
    throw new Error(`Expected at most ${MOST_READ} pixels, received ${width * height}; resize it`);
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (matte) {
    context.fillStyle = `rgb(${matte})`;
    context.fillRect(0, 0, width, height);
  }
  context.drawImage(bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const clear = !matte && rgba.some((value, place) => place % 4 === 3 && value < 255);
  return { data: rgbOf(rgba), width, height, clear };
}
