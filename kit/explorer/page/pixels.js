// Brightness and noise of a photograph, in float32 arithmetic that gives the kernel's bytes.

/** Whole numbers in a noise field for one standard deviation: NOISE_STEPS of kit.perturbation. */
export const NOISE_STEPS = 4096;

/** Pillow's ImageEnhance.Brightness: a blend with black in float32, cut to whole numbers. */
export function brightnessTable(factor) {
  const alpha = Math.fround(factor);
  return Uint8ClampedArray.from({ length: 256 }, (_, v) => Math.trunc(Math.fround(alpha * v)));
}

/** Write every `stride`-th pixel of every `stride`-th row as RGB or RGBA, of which A is left as it is; noise is in levels. */
export function perturb(
  out,
  rgb,
  width,
  height,
  { stride = 1, brightness = 1, noise = 0, field = null, channels = 4 } = {},
) {
  const table = brightnessTable(brightness);
  const scale = Math.fround(noise / NOISE_STEPS);
  let o = 0;
  for (let row = 0; row < height; row += stride) {
    const end = 3 * width * (row + 1);
    if (field && noise) {
      // Fractions are meant: a Uint8ClampedArray rounds half to even, as numpy's rint does.
      for (let i = 3 * width * row; i < end; i += 3 * stride, o += channels) {
        out[o] = Math.fround(table[rgb[i]] + Math.fround(scale * field[i]));
        out[o + 1] = Math.fround(table[rgb[i + 1]] + Math.fround(scale * field[i + 1]));
        out[o + 2] = Math.fround(table[rgb[i + 2]] + Math.fround(scale * field[i + 2]));
      }
    } else {
      for (let i = 3 * width * row; i < end; i += 3 * stride, o += channels) {
        out[o] = table[rgb[i]];
        out[o + 1] = table[rgb[i + 1]];
        out[o + 2] = table[rgb[i + 2]];
      }
    }
  }
}

export function rgbOf(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let i = 0, o = 0; i < rgba.length; i += 4, o += 3) {
    rgb[o] = rgba[i];
    rgb[o + 1] = rgba[i + 1];
    rgb[o + 2] = rgba[i + 2];
  }
  return rgb;
}
