"""A person's own preprocessing function, compared with what the classifier was trained with."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from kit._arrays import Array, Float32
from kit._reporting import Result
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.engines import finite, fitted
from kit.classifier.labels import Trial
from kit.images import Photo, Pictures, as_photos
from kit.preprocessing import Preprocessing
from kit.preprocessing.black_box import Function, compared, read
from kit.preprocessing.comparison import Comparison


@dataclass(frozen=True, repr=False)
class Checkup(Result):
    """How a function agrees with a classifier's preprocessing.

    Attributes
    ----------
    comparisons
        One for each photo.
    changed
        Share of the photos, 0 to 1, whose prediction changes; None where the network takes no such tensors.
    preprocessing
        What does the same as the function, up to rounding; None where nothing does.
    """

    comparisons: tuple[Comparison, ...]
    changed: float | None
    preprocessing: Preprocessing | None = None

    @property
    def agrees(self) -> bool:
        """Whether nothing differs on any photo."""
        return all(comparison.equal for comparison in self.comparisons)

    @property
    def effects(self) -> dict[str, float]:
        """Step to the share of the probability that it moves by itself, the largest first.

        From 0 to 1, the mean of all photos; 1 for a step that makes a tensor which does not fit the network.
        """
        means: dict[str, float] = {}
        for one in self.comparisons:
            # The largest effect comes first; of two differences in one step that one counts.
            for step, effect in dict(reversed(one.effects)).items():
                means[step] = means.get(step, 0.0) + effect / len(self.comparisons)
        return dict(sorted(means.items(), key=lambda item: -item[1]))

    @property
    def main_step(self) -> str | None:
        """The step that changes most photos' predictions more than any other; None if the function agrees."""
        votes = Counter(one.main_step for one in self.comparisons)
        return max(self.effects, key=lambda step: votes[step], default=None)

    def _report(self) -> Iterator[str | Result]:
        apart = [comparison for comparison in self.comparisons if not comparison.equal]
        count, step = len(self.comparisons), self.main_step
        if not apart:
            yield f"The function agrees with the classifier's preprocessing on {count} of {count} photos."
            yield from (f"Note: {note}." for note in self.comparisons[0].notes)
            return
        first = next(one for one in apart if one.main_step == step)
        if failed := [one for one in apart if one.main_step == "function"]:
            yield f"The {failed[-1].differences[0].replace(': ', ' ', 1)}."
        if step == "function":
            return
        effect = (
            ""
            if self.changed is None
            else f"; {self.changed * count:.0f} of {count} predictions change"
        )
        told = zip(first.effects, first.differences, strict=True)
        words = "; ".join(text for (name, _), text in told if name == step)
        yield f"The function differs at {step!r} on {len(apart)} of {count}: {words}{effect}."
        alone = ", ".join(f"{step} {share:.0%}" for step, share in self.effects.items())
        yield f"Change of the probability by each step alone: {alone}."
        yield first

    def __repr__(self) -> str:
        outcome = "agrees" if self.agrees else f"differs at {self.main_step!r}"
        return f"Checkup({outcome}, {len(self.comparisons)} photos)"


def check(classifier: Classifier, photos: Pictures, function: Function) -> Checkup:
    """Compare your own preprocessing function with the preprocessing of a classifier.

    Parameters
    ----------
    classifier
        With a known preprocessing.
    photos
        A folder, a glob pattern, an array, one image or several: see `kit.images.photo`.
    function
        Takes a path, a file or its bytes, a Pillow image, an RGB array (H, W, 3), BGR where an argument or
        COLOR_BGR2RGB says so, or a batch of one. Returns numbers of any library, or a tuple or dict of them.

    Returns
    -------
    Checkup
        Print it to read it. What the function raises is a difference, not an error.

    Raises
    ------
    TypeError, ValueError
        Arguments in another order, no function, an unknown preprocessing, or no photo.
    """
    check_first(classifier)
    if not callable(function):
        kind = type(function).__name__
        raise TypeError(
            f"Expected a function, received {kind}; call kit.check(classifier, photos, function)"
        )
    contract = known_preprocessing(classifier)
    chosen = [photo.decoded(contract.decoding) for photo in as_photos(photos)]
    reading = read(contract, function, chosen)
    pairs, effect = (
        list(zip(reading.called, chosen, strict=True)),
        partial(_effect, classifier),
    )
    comparisons = [compared(contract, reading, *pair, effect) for pair in pairs]
    tensors = [
        (contract.apply(photo), one.tensor)
        for one, photo in pairs
        if one.tensor is not None
    ]
    rows = (_answers(classifier, *each) for each in tensors)
    tops = [each.argmax(axis=1) for each in rows if each is not None]
    changed = (
        float(np.diff(tops).any(axis=1).mean()) if len(tops) == len(chosen) else None
    )
    equal = (
        reading.pipeline
        if reading.exact and isinstance(reading.pipeline, Preprocessing)
        else None
    )
    return Checkup(tuple(comparisons), changed, equal)


def as_preprocessing(
    classifier: Classifier, photos: Sequence[Photo], function: Function
) -> tuple[Preprocessing, tuple[str, ...]]:
    """Return the preprocessing that comes nearest to a function; a ValueError says why there is none.

    Beside it, what `check` finds of the function itself, compared with the classifier's preprocessing if that
    is known, and how many levels are left; nothing where they agree.
    """
    plain = fitted(Preprocessing(), classifier.input_shape)
    reading = read(classifier.preprocessing or plain, function, photos)
    problems = [one.problem for one in reading.called if one.problem]
    problem = "; ".join(problems[:1] or reading.unexplained.values())
    if problem or not isinstance(reading.pipeline, Preprocessing):
        raise ValueError(
            f"Expected a function with steps of a Preprocessing, received another: {problem}"
        )
    expected = classifier.preprocessing or reading.pipeline
    checkup = check(classifier.using(expected), photos, function)
    if checkup.agrees:
        return reading.pipeline, ()
    left = f"{reading.levels:.2g} levels (root mean square) are unexplained"
    headline = str(checkup).partition("\n")[0]
    return reading.pipeline, (headline if reading.exact else f"{headline} {left}",)


def _effect(classifier: Classifier, here: Array, there: Array) -> float:
    """Return the share of the probability that changes; 1 where there is no prediction."""
    rows = _answers(classifier, here, there)
    return 1.0 if rows is None else float(Trial(rows[:1], rows[1:]).moved[0])


def _answers(classifier: Classifier, *tensors: Array) -> Float32 | None:
    """Return the probabilities of tensors, with or without a leading axis; None where there are none."""
    try:
        batches = [each if each.ndim == 4 else each[None] for each in tensors]
        rows = classifier.predict_tensors(np.concatenate(batches).astype(np.float32))
        return finite(rows, classifier.name)
    except ValueError:
        return None
