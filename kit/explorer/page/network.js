// The network of a page: its file unpacked, opened in LiteRT.js, and what its last layer puts out as probabilities.

/** Bytes of a packed text: base 64 of gzip. */
export async function unpacked(text) {
  const stream = new Blob([bytesOf64(text)]).stream();
  return new Uint8Array(
    await new Response(stream.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer(),
  );
}

export function bytesOf64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let place = 0; place < bytes.length; place++) bytes[place] = binary.charCodeAt(place);
  return bytes;
}

/** Put the weights back where they belong: whole numbers of 16 bits, the low bytes first, and a scale for each channel. */
export function restored(bytes, { length, weights }) {
  const file = bytes.slice(0, length);
  const channels = weights.reduce((sum, weight) => sum + weight.channels, 0);
  const scales = new Float32Array(bytes.slice(length, length + 4 * channels).buffer);
  const planes = bytes.subarray(length + 4 * channels);
  const count = planes.length / 2;
  let [from, scale] = [0, 0];
  for (const { start, count: size, channels: wide, inner } of weights) {
    const values = new Float32Array(file.buffer, start, size);
    for (let k = 0; k < size; k++) {
      const whole = ((planes[count + from + k] << 24) >> 16) | planes[from + k];
      values[k] = whole * scales[scale + (Math.floor(k / inner) % wide)];
    }
    from += size;
    scale += wide;
  }
  return file;
}

/** Open a network; gives a function from a tensor to its outputs: probabilities, and the last feature map. */
export async function opened(file, wasm, { head, shape }) {
  const { open, Tensor } = globalThis.litertOf(wasm);
  const model = await open(file);
  return async (values) => {
    const input = new Tensor(values, [1, ...shape]);
    const outputs = await model.run([input]);
    const [row, map] = outputs.map((output) => Float32Array.from(output.toTypedArray()));
    for (const tensor of [input, ...outputs]) tensor.delete();
    return { row: probabilities(row, head), map };
  };
}

const TINY = 2 ** -126; // the smallest float32 of full precision

function shares(weights) {
  const total = weights.reduce((sum, weight) => Math.fround(sum + weight), 0);
  return weights.map((weight) => weight / total);
}

function softmax(logits) {
  const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  return shares(logits.map((logit) => Math.exp(logit - largest)));
}

/** As kit.classifier.engines does. */
export function probabilities(outputs, head) {
  if (head === "softmax") return outputs;
  if (head === "logits") return softmax(outputs);
  if (outputs.length > 1) return shares(outputs.map((output) => output + TINY));
  const [output] = outputs;
  const second = head === "sigmoid" ? output : (1 + Math.tanh(output / 2)) / 2;
  return Float32Array.of(1 - second, second);
}

export function tempered(row, temperature) {
  if (temperature === 1) return row;
  return softmax(row.map((share) => Math.log(Math.max(share, TINY)) / temperature));
}
