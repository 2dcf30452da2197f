// What is said of a state in a page without a kernel, from Python's templates: bars, path, tensor, and what changes did.
// A view is { settings, top, row, calibrated, novel, size, shape, statistics, sum, cells }; `row` are the probabilities
// of all classes, in a table 0 where they are not known.

const BARS = 8; // rows, the last one for all other classes; of ten or fewer classes, each has one
const LEAST_SHOWN = 0.0005;

const short = (value, digits = 6) => String(Number(value.toPrecision(digits)));
const filled = (template, values) => template.replace(/\{(\w+)\}/g, (_, name) => values[name]);

/** A probability for people. */
export function percent(share) {
  if (share > 0 && share < LEAST_SHOWN) return "<0.1 %";
  if (share >= 1 - LEAST_SHOWN && share < 1) return ">99.9 %";
  return `${(100 * share).toFixed(1)} %`;
}

/** Four digits, as Python's format .4g. */
export function general(value) {
  const [digits, power] = value.toExponential(3).split("e");
  if (power >= -4 && power < 4) return short(value, 4);
  return `${Number(digits)}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}

/** Classes with a row of their own, the most probable first. */
function classesOf(row, needed) {
  const order = [...row.keys()];
  if (order.length <= BARS + 2) return order;
  const byShare = (a, b) => row[b] - row[a] || a - b;
  const likely = order.sort(byShare).slice(0, BARS);
  const others = likely.filter((index) => !needed.has(index) && row[index] >= LEAST_SHOWN);
  return [...needed, ...others.slice(0, BARS - 1 - needed.size)].sort(byShare);
}

const isSame = (one, other) => (one.novel ? other.novel : !other.novel && one.top === other.top);

export class Texts {
  constructor(panel) {
    const { classes: names, marks, neutral, stepWords, words } = panel;
    Object.assign(this, { names, marks, neutral, stepWords, words });
    this.specs = new Map(panel.sliders.map((spec) => [spec.key, spec]));
    this.chips = new Map(
      panel.path.filter(({ options }) => options).map((spec) => [spec.key, spec]),
    );
  }

  /** Settings that change a prediction, by their names. */
  changed(settings) {
    const keys = [...this.specs.keys(), ...this.chips.keys()];
    return keys.filter((key) => settings[key] !== this.neutral[key]);
  }

  called({ novel, top, row }) {
    return `${novel ? "none of these" : this.names[top]}, ${percent(row[top])}`;
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
      tensor: this.#tensor(view, untouched),
      path: this.#path(view, untouched, info),
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
    const bars = indices.map((k) =>
      bar(
        k,
        this.names[k],
        rows.map((row) => row[k]),
      ),
    );
    const count = this.names.length - indices.length;
    const rest = (row) =>
      Math.max(
        0,
        indices.reduce((left, index) => left - row[index], 1),
      );
    return count ? [...bars, bar(-1, filled(this.words.others, { count }), rows.map(rest))] : bars;
  }

  #answer(view, untouched, label) {
    const { marks, words } = this;
    const same = filled(words.same, { share: percent(untouched.row[untouched.top]) });
    const before = isSame(view, untouched) ? same : this.called(untouched);
    const changed = this.changed(view.settings).length > 0;
    const note = changed ? filled(words.untouched, { before }) : "";
    const [name, share] = [this.names[view.top], percent(view.row[view.top])];
    const state = label && (label === name && !view.novel ? "right" : "wrong");
    const mark = state && marks[state].replace("{}", () => label);
    if (!view.novel) return { name, share, note, label, state, mark };
    const novel = filled(words.novel, { prediction: `${name}, ${share}`, note }).trim();
    return { name: "None of these", share: "", note: novel, label, state, mark };
  }

  /** What was done to the file: `from` is its size where it was reduced, `signs` what reading it can get wrong. */
  #notes(settings, { from, signs }) {
    const reduced = from ? [filled(this.words.reduced, { size: from.join(" × ") })] : [];
    const read = [...this.chips.values()].filter(({ key }) => signs[key]);
    return [
      ...reduced,
      ...read.map(({ key, label }) => `${label} ${this.stepWords[key][settings[key]]}`),
    ];
  }

  #path(view, untouched, info) {
    const { settings } = view;
    const perturbing = this.changed(settings).filter((key) => this.specs.has(key));
    const [first = "none", second] = perturbing.map((key) => this.specs.get(key).label);
    const chip = (value, changed = false, hidden = false) => ({ value, changed, hidden });
    const path = {
      file: chip(this.#notes(settings, info).join(", ") || "as it is"),
      photograph: chip(view.size.join(" × ")),
      perturbation: chip(second ? `${perturbing.length} changes` : first, perturbing.length > 0),
      tensor: chip(view.shape.join("×"), view.sum !== untouched.sum),
      probabilities: chip(
        view.novel ? "none of these" : this.names[view.top],
        !isSame(view, untouched),
      ),
    };
    for (const key of this.chips.keys()) {
      const changed = settings[key] !== "";
      path[key] = chip(
        this.stepWords[key][settings[key]],
        changed,
        !changed && info.signs[key] === false,
      );
    }
    return path;
  }

  #tensor(view, untouched) {
    const [fed, expected] = [view, untouched].map(({ shape, statistics }) => [
      "float32",
      `(1, ${shape.join(", ")})`,
      ...statistics.map(general),
    ]);
    const compared = (text, k) => [text, expected[k], text === expected[k] ? "same" : "differs"];
    return this.words.tensor.map((name, k) => [name, ...compared(fed[k], k)]);
  }

  #heat({ settings: { where }, cells, top }) {
    if (where === null) return null;
    const name = this.names[where === -1 ? top : where];
    const { height, width } = cells;
    return { height, width, waits: false, name, about: filled(this.words.where, { name }) };
  }

  // -- what the changes did: see kit.explorer.why

  /** Take back each change by itself, and where none is enough, as few together as will do; `look` gives views. */
  async because(view, untouched, label, look) {
    const altered = !isSame(view, untouched);
    const without = async (keys) => {
      const back = Object.fromEntries(keys.map((key) => [key, this.neutral[key]]));
      const other = await look({ ...view.settings, ...back });
      return other && this.#change(keys, view, untouched, label, other);
    };
    const all = [];
    for (const key of this.changed(view.settings)) all.push(await without([key]));
    const changes = all.filter(Boolean);
    changes.sort((a, b) => b.regains - a.regains || a.stays - b.stays || b.gain - a.gain);
    if (altered && changes.length > 1 && !changes[0].regains) {
      let together = await without(changes.flatMap(({ keys }) => keys));
      for (const key of together.keys.toReversed()) {
        const fewer = await without(together.keys.filter((other) => other !== key));
        if (fewer?.regains) together = fewer;
      }
      changes.unshift(together);
    }
    const guilty = changes.filter(({ regains }) => regains).flatMap(({ keys }) => keys);
    const before = this.called(untouched);
    return {
      headline: changes.length && !altered ? filled(this.words.unchanged, { before }) : "",
      lines: changes.map((change) => this.#line(change, view, untouched, label)),
      guilty: [
        ...new Set(guilty.map((key) => (this.specs.has(key) ? "perturbation" : key))),
      ].sort(),
    };
  }

  #change(keys, view, untouched, label, other) {
    const expected = label ? this.names.indexOf(label) : view.top;
    const target = expected === view.top ? untouched.top : expected;
    const isRight = isSame(other, untouched) || (!other.novel && other.top === target);
    const stays = isSame(other, view);
    const altered = !isSame(view, untouched);
    const gain = other.row[target] - view.row[target];
    return { keys, other, stays, gain, regains: altered && isRight && !stays };
  }

  #line({ keys, other, regains, stays }, view, untouched, label) {
    const { words } = this;
    const after = this.called(other);
    const changes = keys.map((key) => this.#named(key, view.settings)).join(words.and);
    const kind = keys.length > 1 ? "together" : this.chips.has(keys[0]) ? "fixed" : "without";
    const prediction = stays ? filled(words.still, { after }) : after;
    const isRight = label
      ? this.names[other.top] === label && !other.novel
      : isSame(other, untouched);
    const mark = stays ? "same" : isRight ? "right" : "changed";
    return {
      text: filled(words[kind], { changes, prediction }),
      settings: Object.fromEntries(keys.map((key) => [key, this.neutral[key]])),
      matters: regains || (isSame(view, untouched) && !stays),
      fixed: { before: this.called(view), after, mark: words.marks[mark] },
    };
  }

  #named(key, settings) {
    const spec = this.specs.get(key);
    if (spec) return `${spec.label} ${short(settings[key])} ${spec.unit}`.trim();
    const { label, options } = this.chips.get(key);
    return `${label}: ${options.find(([name]) => name === settings[key])[1]}`;
  }
}
