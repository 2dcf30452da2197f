// What is said of a state in a page without a kernel, from Python's templates: bars, path, and what changes did.
// A view is { settings, top, row, calibrated, novel, seen, size, cells }; `row` are the probabilities of all classes, in a
// table 0 where they are not known.

const BARS = 8; // rows, the last one for all other classes; of ten or fewer classes, each has one
const LEAST_SHOWN = 0.0005;

const filled = (template, values) => template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** A probability for people. */
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
  const likely = order.sort(byShare).slice(0, BARS);
  const others = likely.filter((index) => !needed.has(index) && row[index] >= LEAST_SHOWN);
  return [...needed, ...others.slice(0, BARS - 1 - needed.size)].sort(byShare);
}

const isSame = (one, other) => (one.novel ? other.novel : !other.novel && one.top === other.top);

export class Texts {
  constructor(panel) {
    const { classes: names, contrasts, fall, idle, neutral, stepWords, words } = panel;
    Object.assign(this, { names, contrasts, fall, idle, neutral, stepWords, words });
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

  #name({ novel, top }) {
    return novel ? this.words.none : this.names[top];
  }

  called(view) {
    return `${this.#name(view)}, ${percent(view.row[view.top])}`;
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
    const { words } = this;
    const same = filled(words.same, { share: percent(untouched.row[untouched.top]) });
    const before = isSame(view, untouched) ? same : this.called(untouched);
    const changed = this.changed(view.settings).length > 0;
    const note = changed ? filled(words.original, { before }) : "";
    const [name, share] = [this.names[view.top], percent(view.row[view.top])];
    const state = label && (label === name && !view.novel ? "right" : "wrong");
    const mark = state && filled(words[state], { label });
    if (!view.novel) return { name, share, note, label, state, mark };
    const novel = filled(words.novel, { name, share, note }).trim();
    return { name: capital(words.none), share: "", note: novel, label, state, mark };
  }

  /** What was done to the file: `from` is its size where it was reduced, `signs` what reading it can get wrong. */
  #notes(settings, { from, signs }) {
    const reduced = from ? [`reduced from ${from.join(" × ")}`] : [];
    const read = [...this.chips.values()].filter(({ key }) => signs[key]);
    return [
      ...reduced,
      ...read.map(({ key, label }) => `${label} ${this.stepWords[key][settings[key]]}`),
    ];
  }

  #path(view, info) {
    const { settings } = view;
    const keys = this.changed(settings);
    const labels = keys.flatMap((key) => this.specs.get(key)?.label ?? []);
    const scaling = this.stepWords.scaling;
    const [gets, expects] = [scaling[settings.scaling], scaling[""]];
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
    for (const key of this.chips.keys()) {
      const changed = keys.includes(key);
      const hidden = this.idle.includes(key) && !changed;
      path[key] = { value: this.stepWords[key][settings[key]], changed, hidden };
    }
    return path;
  }

  #heat({ settings: { where }, cells, top }) {
    if (where === null) return null;
    const name = this.names[where === -1 ? top : where];
    const { height, width } = cells;
    return { height, width, waits: false, name, about: filled(this.words.map, { name }) };
  }

  // -- what the changes did: see kit.explorer.why

  /** The reply to *Why?*, with the view that is put beside; `look` gives views, null for those that are not known. */
  async because(view, untouched, label, look) {
    const about = { view, untouched, label, target: this.#target(view, untouched, label) };
    const changes = await this.#changes(about, look);
    const mistakes = this.changed(view.settings).filter((key) => this.chips.has(key));
    const isHarmless = mistakes.length > 0 && !this.#spoilt(about, view);
    const prepared = isHarmless && (await look(this.#without(view, mistakes)));
    const reason = { headline: "", advice: "", button: "", apply: null, fixed: null, guilty: [] };
    if (prepared) Object.assign(reason, this.#prepared(about, prepared, mistakes));
    else if (changes.length) Object.assign(reason, this.#own(about, changes));
    const { after, ...message } = reason;
    const pictures = after ? [view, after].map(({ seen }) => [seen.height, seen.width]) : [];
    const lines = changes.length > 1 ? changes.map((change) => this.#line(about, change)) : [];
    return [{ ...message, pictures, lines }, after];
  }

  #without({ settings }, keys) {
    return { ...settings, ...this.#neutral(keys) };
  }

  #neutral(keys) {
    return Object.fromEntries(keys.map((key) => [key, this.neutral[key]]));
  }

  /** Whether changes changed the prediction, or took much of its probability. */
  #spoilt({ untouched }, view) {
    const before = untouched.row[untouched.top];
    const now = view.row[untouched.top];
    return !isSame(view, untouched) || before - now > this.fall || now <= before / 2;
  }

  #wrong(label, { novel, top }) {
    return label !== "" && (novel || this.names[top] !== label);
  }

  /** The class that is to come back. */
  #target(view, untouched, label) {
    return label && label !== this.names[view.top] ? this.names.indexOf(label) : untouched.top;
  }

  /** Undo each change by itself, and where none is enough, as few together as will do. */
  async #changes(about, look) {
    const { view } = about;
    const change = async (keys) => {
      const other = await look(this.#without(view, keys));
      return other && this.#change(about, keys, other);
    };
    const all = [];
    for (const key of this.changed(view.settings)) all.push(await change([key]));
    const changes = all.filter(Boolean);
    changes.sort((a, b) => b.regains - a.regains || b.gain - a.gain);
    if (!this.#spoilt(about, view) || changes.length < 2 || changes[0].regains) return changes;
    let together = await change(changes.flatMap(({ keys }) => keys));
    for (const key of together.keys.toReversed()) {
      const fewer = await change(together.keys.filter((other) => other !== key));
      if (fewer?.regains) together = fewer;
    }
    return [together, ...changes];
  }

  #change(about, keys, other) {
    const { view, untouched, target } = about;
    const isRight = isSame(other, untouched) || (!other.novel && other.top === target);
    const isBack = isSame(view, untouched)
      ? !this.#spoilt(about, other)
      : isRight && !isSame(other, view);
    return {
      keys,
      other,
      words: keys.map((key) => this.#named(key, view.settings)).join(this.words.and),
      isMistake: keys.every((key) => this.chips.has(key)),
      regains: this.#spoilt(about, view) && isBack,
      gain: other.row[target] - view.row[target],
    };
  }

  #own(about, changes) {
    const { view, untouched, label } = about;
    const { words } = this;
    const headline = this.#done(about, changes);
    const [first] = changes;
    if (!this.#spoilt(about, view))
      return {
        headline,
        advice: words.harmless,
        ...this.#compared(about, untouched, words.title),
      };
    const title = filled(first.isMistake ? words.trained : words.without_title, first);
    const compared = this.#compared(about, first.other, title);
    const guilty = changes.filter(({ regains }) => regains).flatMap(({ keys }) => keys);
    const chips = guilty.map((key) => (this.specs.has(key) ? "perturbation" : key));
    const reason = { headline, guilty: [...new Set(chips)].sort(), ...compared };
    if (this.#wrong(label, first.other) && !this.#wrong(label, view))
      return { ...reason, advice: words.helps };
    const undo = first.keys.length > 1 ? words.undo_all : words.undo;
    const button = filled(first.isMistake ? words.fix : undo, first);
    return { ...reason, button, apply: this.#neutral(first.keys) };
  }

  /** What the changes did, in a sentence or two. */
  #done({ view, untouched, ...about }, changes) {
    const { words } = this;
    const [first] = changes;
    const before = percent(untouched.row[untouched.top]);
    const share = ({ row, top }) => percent(row[top]);
    if (!this.#spoilt({ untouched, ...about }, view))
      return filled(words.kept, { prediction: this.called(view), before });
    const stays = isSame(view, untouched);
    const still = { name: this.names[view.top], share: share(view), before };
    const start = stays ? filled(words.still, still) : "";
    const prediction = (other) => (stays ? share(other) : this.called(other));
    const after = prediction(first.other);
    if (first.keys.length > 1) return start + filled(words.only, { words: first.words, after });
    const regaining = changes.filter(({ regains }) => regains);
    if (regaining.length < 2 && first.isMistake)
      return start + filled(words.fixed, { sentences: this.#contrasts(view, first.keys), after });
    const parts = (regaining.length ? regaining : [first]).map((change) =>
      filled(words.without, { words: change.words, after: prediction(change.other) }),
    );
    if (parts.length > 1) parts.push(words.together);
    return `${start}${capital(parts.join("; "))}.`;
  }

  #contrasts({ settings }, keys) {
    return keys.map((key) => this.contrasts[settings[key]]).join(" ");
  }

  /** How an image is prepared otherwise than in training, where that does no harm here. */
  #prepared(about, after, mistakes) {
    const { view, label } = about;
    const { words } = this;
    const headline = filled(isSame(after, view) ? words.fixed_still : words.fixed, {
      sentences: this.#contrasts(view, mistakes),
      after: this.called(after),
      before: percent(view.row[view.top]),
    });
    const compared = this.#compared(about, after, words.trained);
    const reason = { headline, guilty: mistakes, ...compared };
    if (this.#wrong(label, after) && !this.#wrong(label, view))
      return { ...reason, advice: words.compare };
    return { ...reason, button: words.fix, apply: this.#neutral(mistakes) };
  }

  #compared(about, after, title) {
    const { view, untouched, label } = about;
    const isRight = label ? !this.#wrong(label, after) : isSame(after, untouched);
    const isBack = isRight && this.#spoilt(about, view);
    const names = { before: this.called(view), after: this.called(after) };
    const mark = filled(isBack ? this.words.again : this.words.now, names);
    return { fixed: { ...names, mark, title }, after };
  }

  #line({ view }, { other, words }) {
    const called = this.called(other);
    const after = isSame(other, view) ? filled(this.words.still_so, { after: called }) : called;
    return capital(filled(this.words.without, { words, after }));
  }

  /** A change in words, for the middle of a sentence. */
  #named(key, settings) {
    const spec = this.specs.get(key);
    if (spec) return `${spec.label.toLowerCase()} ${Number(settings[key].toPrecision(6))}`;
    const { label, options } = this.chips.get(key);
    return `“${label}: ${options.find(([name]) => name === settings[key])[1]}”`;
  }
}
