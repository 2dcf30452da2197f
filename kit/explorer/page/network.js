// The network of a page: its file unpacked, opened in LiteRT.js, and what its last layer puts out as probabilities.

/** Bytes of a packed text: base 64 of gzip. */
export async function unpacked(text) {
  const { body } = new Response(bytesOf64(text));
  const bytes = body.pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(bytes).arrayBuffer());
}

export function bytesOf64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Put the bytes of each number of four bytes together: all first ones come first, then the second ones. */
export function joined(planes) {
  const count = planes.length / 4;
  return planes.map((_, place) => planes[(place % 4) * count + (place >> 2)]);
}

/** Open a network; gives a function from a tensor to probabilities and, for the class that is asked for, a heat map. */
export async function opened(file, wasm, { head, map, shape, temperature }) {
  const { open, Tensor } = globalThis.litertOf(wasm);
  const model = await open(file);
  const weights = map && mapWeights(file, map, head);
  return async (values, { where }) => {
    const input = new Tensor(values, [1, ...shape]);
    const outputs = await model.run([input]);
    const [last, features] = outputs.map((output) => Float32Array.from(output.toTypedArray()));
    for (const tensor of [input, ...outputs]) tensor.delete();
    const row = probabilities(last, head);
    const index = where === -1 ? row.indexOf(Math.max(...row)) : where;
    const cells = index !== null && map ? activation(features, weights, map.shape, index) : null;
    return { row, calibrated: tempered(row, temperature), novel: false, cells };
  };
}

/** Weights of the last layer, by class: less what all classes share, to which a softmax is blind. */
function mapWeights(file, { start, count, rows }, head) {
  const weights = new Float32Array(file.buffer, start, count).slice();
  const size = count / rows;
  if (rows === 1) return [weights.map((weight) => -weight), weights];
  const mean = new Float32Array(size);
  if (head !== "sigmoid") weights.forEach((weight, k) => (mean[k % size] += weight / rows));
  return Array.from({ length: rows }, (_, row) =>
    mean.map((shared, k) => weights[row * size + k] - shared),
  );
}

/** Class activation: the last feature map, weighted as the last layer does; 1 for the hottest place. */
function activation(features, weights, [height, width, channels], index) {
  const own = weights[index];
  const cells = new Float32Array(height * width);
  features.forEach((value, k) => {
    cells[Math.floor(k / channels)] += value * own[k % own.length];
  });
  const most = Math.max(...cells, 0) || 1;
  return { height, width, values: cells.map((cell) => Math.max(cell, 0) / most) };
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
