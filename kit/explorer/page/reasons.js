// The answer to *Why?* in a page without a kernel: what the changes did. See kit.explorer.why.
import { capital, filled, isSame } from "./texts.js";

export class Reasons {
  /** `untouched` is the view without changes; `label` is the class that the photo is said to show, or empty. */
  constructor(texts, view, untouched, label) {
    Object.assign(this, { texts, view, untouched, label, words: texts.words });
    this.spoilt = this.#isSpoilt(view);
  }

  /** The answer, and the view that is put beside; `look` gives views, null for those that are not known. */
  async explained(look) {
    const changes = await this.#changes(look);
    // A mistake that does no harm here does it elsewhere; one that does nothing to this photo is no answer.
    const active = changes.filter(({ gain }) => gain !== 0).flatMap(({ keys }) => keys);
    const mistakes = [...this.texts.chips.keys()].filter((key) => active.includes(key));
    const fixed = mistakes.length ? await look(this.#without(mistakes)) : null;
    // What a person's own code does may be the mistake, so that undoing their change says nothing of training.
    const isKnown = this.texts.asInTraining;
    const prepared = fixed && isKnown && !(this.spoilt && this.#isSpoilt(fixed)) ? fixed : null;
    const after = prepared ?? (this.spoilt ? changes[0]?.other : changes.length && this.untouched);
    const none = { headline: "", advice: "", button: "", apply: null, fixed: null, guilty: [] };
    const said = prepared ? this.#prepared(prepared, mistakes) : after && this.#own(changes, after);
    const lines = changes.length > 1 ? changes.map((change) => capital(this.#clause(change))) : [];
    return [{ ...none, ...said, lines }, after];
  }

  /** Whether changes changed the prediction for the worse, or took much of its probability. */
  #isSpoilt(view) {
    const hasHelped = this.#isWrong(this.untouched) && !this.#isWrong(view);
    return !hasHelped && this.#isWorse(this.untouched, view);
  }

  /** Whether another class is predicted, or the same with much less of its probability. */
  #isWorse(before, after) {
    const { row, top } = before;
    const share = after.row[top];
    return !isSame(after, before) || row[top] - share > this.texts.fall || share <= row[top] / 2;
  }

  #isWrong({ novel, top }) {
    return this.label !== "" && (novel || this.texts.names[top] !== this.label);
  }

  #neutral(keys) {
    return Object.fromEntries(keys.map((key) => [key, this.texts.neutral[key]]));
  }

  #without(keys) {
    return { ...this.view.settings, ...this.#neutral(keys) };
  }

  /** Undo each change by itself, and where none is enough, as few together as will do. */
  async #changes(look) {
    const change = async (keys) => {
      const other = await look(this.#without(keys));
      return other && this.#change(keys, other);
    };
    const all = [];
    for (const key of this.texts.changed(this.view.settings)) all.push(await change([key]));
    const changes = all.filter(Boolean);
    changes.sort((a, b) => b.regains - a.regains || b.gain - a.gain);
    if (!this.spoilt || changes.length < 2 || changes[0].regains) return changes;
    let together = await change(changes.flatMap(({ keys }) => keys));
    if (!together) return changes;
    for (const key of together.keys.toReversed()) {
      const fewer = await change(together.keys.filter((other) => other !== key));
      if (fewer?.regains) together = fewer;
    }
    return [together, ...changes];
  }

  #change(keys, other) {
    const { texts, view, untouched } = this;
    const target = this.label ? texts.names.indexOf(this.label) : untouched.top;
    return {
      keys,
      other,
      words: keys.map((key) => texts.named(key, view.settings)).join(this.words.and),
      regains: this.spoilt && !this.#isSpoilt(other),
      gain: other.row[target] - view.row[target],
    };
  }

  /** What one's own changes did; the first of them is the one to undo. */
  #own(changes, after) {
    const { words, texts } = this;
    const headline = this.#done(changes);
    if (!this.spoilt)
      return { headline, advice: words.harmless, ...this.#beside(after, words.title) };
    const [first] = changes;
    const guilty = changes.filter(({ regains }) => regains).flatMap(({ keys }) => keys);
    const step = (key) => (this.label || texts.asInTraining ? key : []); // else it may be right
    const chips = guilty.flatMap((key) => (texts.chips.has(key) ? step(key) : "perturbation"));
    return {
      headline,
      button: filled(first.keys.length > 1 ? words.undo_all : words.undo, first),
      apply: this.#neutral(first.keys),
      guilty: [...new Set(chips)].sort(),
      ...this.#beside(after, filled(words.title_without, first)),
    };
  }

  #done(changes) {
    const { texts, view, words, untouched } = this;
    const [prediction, original] = [view, untouched].map((state) => texts.predictionText(state));
    if (!this.spoilt) return filled(words.both, { prediction, original });
    const regaining = changes.filter(({ regains }) => regains);
    const clauses = (regaining.length ? regaining : changes.slice(0, 1)).map((change) =>
      this.#clause(change),
    );
    return `${capital(clauses.join("; "))}.`;
  }

  #clause({ other, words }) {
    return filled(this.words.without, { words, after: this.texts.predictionText(other) });
  }

  /** How an image is prepared otherwise than in training; the fix is put beside. */
  #prepared(after, mistakes) {
    const { texts, view, words } = this;
    return {
      headline: mistakes.map((key) => texts.choices[key][view.settings[key]].sentence).join(" "),
      advice: this.#isWorse(after, view) ? "" : words.same_class,
      button: words.fix,
      apply: this.#neutral(mistakes),
      guilty: mistakes,
      ...this.#beside(after, words.title_trained),
    };
  }

  /** The predictions before and after; nothing is offered that would make a correct one wrong. */
  #beside(after, title) {
    const { texts, view, words } = this;
    const names = { before: texts.predictionText(view), after: texts.predictionText(after) };
    const fixed = { ...names, mark: filled(words.now, names), title };
    if (!this.#isWrong(after)) return { fixed };
    if (this.#isWrong(view)) return { fixed, advice: words.wrong_too };
    return { fixed, apply: null, advice: words.keep };
  }
}
