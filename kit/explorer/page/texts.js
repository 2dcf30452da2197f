// What is said of a state in a page without a kernel, from Python's templates: bars and path.
// A view is { settings, top, row, calibrated, novel, seen, size, cells }; `row` are the probabilities of all classes, in a
// table 0 where they are not known.

const BARS = 8; // rows, the last one for all other classes; of ten or fewer classes, each has one
const LEAST_SHOWN = 0.0005;

export const filled = (template, values) =>
  template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
export const capital = (text) => text[0].toUpperCase() + text.slice(1);

export function percent(share) {
  if (share > 0 && share < LEAST_SHOWN) return "<0.1 %";
  if (share >= 1 - LEAST_SHOWN && share < 1) return ">99.9 %";
  return `${(100 * share).toFixed(1)} %`;
}

/** Classes with a row of their own, the most probable first. */
function classesOf(row, needed) {
  const order = [...row.keys()];
  if (order.length <= BARS + 2) return order;
  const byShare = (a, b) => row[b] - row[a] || a - b;
  const isOther = (index) => !needed.has(index) && row[index] >= LEAST_SHOWN;
  const others = order.sort(byShare).filter(isOther);
  return [...needed, ...others.slice(0, BARS - 1 - needed.size)].sort(byShare);
}

export const isSame = (one, other) =>
  one.novel ? other.novel : !other.novel && one.top === other.top;

export class Texts {
  constructor(panel) {
    const { asInTraining, choices, classes: names, fall, neutral, words } = panel;
    Object.assign(this, { asInTraining, choices, names, fall, neutral, words });
    this.specs = new Map(panel.sliders.map((spec) => [spec.key, spec]));
    const chips = panel.path.filter(({ options }) => options);
    this.chips = new Map(chips.map((spec) => [spec.key, spec]));
  }

  /** Settings that change a prediction, by their names. */
  changed(settings) {
    const keys = [...this.specs.keys(), ...this.chips.keys()];
    return keys.filter((key) => settings[key] !== this.neutral[key]);
  }

  #name({ novel, top }) {
    return novel ? this.words.none : this.names[top];
  }

  predictionText(view) {
    const name = this.#name(view);
    return view.novel ? name : `${name}, ${percent(view.row[view.top])}`;
  }

  /** A change in words, for the middle of a sentence. */
  named(key, settings) {
    const spec = this.specs.get(key);
    if (spec) return `${spec.label.toLowerCase()} ${Number(settings[key].toPrecision(6))}`;
    const { label, options } = this.chips.get(key);
    return `“${label}: ${options.find(([name]) => name === settings[key])[1]}”`;
  }

  /** What a view shows; `label` is the class that the photo is said to show, or empty. */
  shown(view, { untouched, ...info }, label) {
    const answer = this.#answer(view, untouched, label);
    const said = [answer.name, answer.share, answer.mark].filter(Boolean).join(", ");
    const { width, height } = view.seen;
    return {
      answer,
      verdict: `${said}. ${answer.note}`.trim(),
      bars: this.#bars(view, untouched, label),
      path: this.#path(view, info),
      about: [`${view.size.join(" × ")} pixels`, ...this.#notes(view.settings, info)].join(", "),
      input: { width, height },
      where: this.#heat(view),
    };
  }

  #bars(view, untouched, label) {
    const expected = this.names.indexOf(label);
    const needed = new Set([view.top, untouched.top]);
    if (view.classes?.includes(expected) ?? label) needed.add(expected); // a table has not all
    const rows = [view.row, untouched.row, view.calibrated];
    const indices = classesOf(view.row, needed);
    const bar = (index, name, [value, ghost, calibrated]) => ({
      index,
      name,
      value,
      ghost,
      calibrated,
      text: percent(value),
      ghostText: percent(ghost),
      calibratedText: percent(calibrated),
      top: index === view.top,
      expected: name === label,
    });
    const sharesOf = (index) => rows.map((row) => row[index]);
    const bars = indices.map((index) => bar(index, this.names[index], sharesOf(index)));
    const count = this.names.length - indices.length;
    if (count === 0) return bars;
    const others = rows.map((row) => indices.reduce((left, index) => left - row[index], 1));
    const shares = others.map((share) => Math.max(0, share));
    return [...bars, bar(-1, filled(this.words.others, { count }), shares)];
  }

  #answer(view, untouched, label) {
    const { words } = this;
    const before = this.predictionText(untouched);
    const note = this.changed(view.settings).length ? filled(words.original, { before }) : "";
    const [name, share] = [this.names[view.top], percent(view.row[view.top])];
    const state = label && (label === name && !view.novel ? "right" : "wrong");
    const mark = state && filled(words[state], { label });
    if (!view.novel) return { name, share, note, label, state, mark };
    const novel = filled(words.novel, { name, share, note }).trim();
    return { name: capital(words.none), share: "", note: novel, label, state, mark };
  }

  /** What was done to the file: `signs` is what reading it can get wrong. */
  #notes(settings, { signs }) {
    const read = [...this.chips.values()].filter(({ key }) => signs[key]);
    return read.map(({ key, label }) => `${label} ${this.choices[key][settings[key]].chip.value}`);
  }

  #path(view, info) {
    const { settings } = view;
    const labels = this.changed(settings).flatMap((key) => this.specs.get(key)?.label ?? []);
    const { scaling } = this.choices;
    const [gets, expects] = [settings.scaling, ""].map((name) => scaling[name].chip.value);
    const values = {
      file: this.#notes(settings, info).join(", "),
      photograph: view.size.join(" × "),
      perturbation: labels.join(", ") || "none",
      tensor: gets === expects ? gets : filled(this.words.expected, { gets, expects }),
      probabilities: this.#name(view),
    };
    const path = {};
    for (const [key, value] of Object.entries(values))
      path[key] = { value, changed: false, hidden: !value };
    path.perturbation.changed = labels.length > 0;
    for (const key of this.chips.keys()) path[key] = this.choices[key][settings[key]].chip;
    return path;
  }

  #heat({ settings: { where }, cells, top }) {
    if (!cells) return null;
    const name = this.names[where === -1 ? top : where];
    const { height, width } = cells;
    return { height, width, waits: false, name, about: filled(this.words.map, { name }) };
  }
}
