// Image files as the browser decodes them, reduced where they are large.
import { rgbOf } from "./pixels.js";
import { resized } from "./prepare.js";

const MOST_READ = 50_000_000; // pixels, as in kit.images
const MOST_PIXELS = 4_194_304; // larger photos are reduced first
const AGAIN = "copy it again, or save it as PNG or JPEG";

function drawn(image, matte) {
  const { width, height } = image;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (matte) {
    context.fillStyle = `rgb(${matte})`;
    context.fillRect(0, 0, width, height);
  }
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, width, height).data;
}

/** Bytes of a JPEG without its EXIF block, which says how it is to be turned. */
function unturned(bytes) {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return bytes;
  const left = bytes.slice();
  let [place, length] = [2, 2];
  while (bytes[place] === 0xff && bytes[place + 1] !== 0xda) {
    const end = place + 2 + 256 * bytes[place + 2] + bytes[place + 3];
    const segment = bytes[place + 1] === 0xe1 ? [] : bytes.subarray(place, end);
    left.set(segment, length);
    length += segment.length;
    place = end;
  }
  left.set(bytes.subarray(place), length);
  return left.subarray(0, length + bytes.length - place);
}

/** Whether a JPEG or PNG ends before its last part, which Firefox takes without a word. */
function isCut(bytes) {
  const text = new TextDecoder("latin1").decode(bytes);
  if (bytes[0] !== 0xff) return text.lastIndexOf("IDAT") > text.lastIndexOf("IEND");
  let place = 2; // behind the head, where a small picture has its own end; any bytes may follow the end
  while (bytes[place] === 0xff && bytes[place + 1] !== 0xda)
    place += 2 + 256 * bytes[place + 2] + bytes[place + 3];
  return bytes[place] === 0xff && !text.includes("\xff\xd9", place);
}

/** A file as the browser decodes it, and as it is stored where its EXIF block may turn it, else null. */
export async function bitmapsOf(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (isCut(bytes)) throw new Error(`it ends early; ${AGAIN}`);
  const plain = unturned(bytes);
  // Firefox decodes no file that is made of several parts, WebKit none in a worker.
  const decoded = (part) =>
    createImageBitmap(new Blob([part]), {
      premultiplyAlpha: "none",
      colorSpaceConversion: "none",
    }).catch(() => {
      throw new Error(`its ${bytes.length} bytes are no image that this browser opens; ${AGAIN}`);
    });
  const stored = plain.length < bytes.length ? await decoded(plain) : null;
  return { upright: await decoded(bytes), stored };
}

/** RGB pixels of a bitmap on a ground of this colour, if any, and whether some of them are transparent. */
export function pixelsOf(bitmap, matte) {
  const { width, height } = bitmap;
  if (width * height > MOST_READ)
    throw new Error(`Expected at most ${MOST_READ} pixels, received ${width * height}; resize it`);
  const rgba = drawn(bitmap, matte);
  const clear = !matte && rgba.some((value, place) => place % 4 === 3 && value < 255);
  return { ...reduced({ data: rgbOf(rgba), width, height }), clear };
}

function reduced(image) {
  const scale = Math.sqrt(MOST_PIXELS / (image.width * image.height));
  if (scale >= 1) return { ...image, from: null };
  const size = [image.height, image.width].map((side) => Math.floor(side * scale));
  const small = resized(image, { size, filter: "bicubic", fit: "squash", pillow: 13 });
  return { ...small, from: [image.width, image.height] };
}
