"""A person's own preprocessing function, compared with what the classifier was trained with."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from kit._arrays import Array, Float32
from kit._reporting import Result
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.engines import finite
from kit.images import Pictures, as_photos
from kit.preprocessing.black_box import Function, call, compare_called
from kit.preprocessing.comparison import Comparison


@dataclass(frozen=True, repr=False)
class Checkup(Result):
    """How a function agrees with a classifier's preprocessing.

    Attributes
    ----------
    comparisons
        One for each photo.
    changed
        Share of the photos, 0 to 1, whose answer differs; None where the network takes no such tensors.
    """

    comparisons: tuple[Comparison, ...]
    changed: float | None

    @property
    def agrees(self) -> bool:
        """Whether nothing differs on any photo."""
        return all(comparison.equal for comparison in self.comparisons)

    @property
    def effects(self) -> dict[str, float]:
        """Step to the share of the probability that it moves by itself, the largest first.

        From 0 to 1, the mean of all photos; 1 for a step that makes a tensor which does not fit the network.
        """
        # The largest effect comes first; of two differences in one step that one counts.
        each = [dict(reversed(comparison.effects)) for comparison in self.comparisons]
        steps = [step for one in each for step in reversed(one)]
        means = {step: sum(one.get(step, 0.0) for one in each) / len(each) for step in steps}
        return dict(sorted(means.items(), key=lambda item: -item[1]))

    @property
    def main_step(self) -> str | None:
        """The step that changes the predictions most; None if the function agrees."""
        return next(iter(self.effects), None)

    def _report(self) -> Iterator[str | Result]:
        apart = [comparison for comparison in self.comparisons if not comparison.equal]
        count = len(self.comparisons)
        if not apart:
            yield f"The function agrees with the classifier's preprocessing on {count} of {count} photos."
            yield from (f"Note: {note}." for note in self.comparisons[0].notes)
            return
        effect = "" if self.changed is None else f"; {self.changed:.0%} of the predictions change"
        yield f"The function differs, first at {self.main_step!r} on {len(apart)} of {count}{effect}."
        alone = ", ".join(f"{step} {share:.0%}" for step, share in self.effects.items())
        yield f"Change of the probability by each step alone: {alone}."
        yield apart[0]

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
        From RGB uint8 (H, W, 3) to what is fed to the network, with or without a leading axis of 1; see
        `kit.Preprocessing.compare`.

    Returns
    -------
    Checkup
        Print it to read it. What the function raises is a difference, not an error.

    Raises
    ------
    TypeError, ValueError
        Arguments in another order, no function, an unknown preprocessing, or no photo.
    """
    check_first(classifier, "kit.check(classifier, photos, function)")
    if not callable(function):
        kind = type(function).__name__
        raise TypeError(f"Expected a function, received {kind}; call kit.check(classifier, photos, function)")
    contract = known_preprocessing(classifier)
    chosen = [photo.decoded(contract.decoding) for photo in as_photos(photos, allow_empty=False)]
    comparisons, tops = [], []
    for photo in chosen:
        called = call(function, photo)
        comparisons.append(compare_called(contract, called, photo, partial(_effect, classifier)))
        rows = None if called.tensor is None else _answers(classifier, contract.apply(photo), called.tensor)
        tops += [] if rows is None else [rows.argmax(axis=1)]
    comparable = len(tops) == len(chosen)
    return Checkup(tuple(comparisons), float(np.diff(tops).any(axis=1).mean()) if comparable else None)


def _effect(classifier: Classifier, here: Array, there: Array) -> float:
    """Return the share of the probability that changes; 1 where there is no prediction."""
    rows = _answers(classifier, here, there)
    return 1.0 if rows is None else float(np.abs(rows[0] - rows[1]).sum() / 2)


def _answers(classifier: Classifier, *tensors: Array) -> Float32 | None:
    """Return the probabilities of tensors, with or without a leading axis; None where there are none."""
    try:
        batches = [each if each.ndim == 4 else each[None] for each in tensors]
        rows = classifier.predict_tensors(np.concatenate(batches).astype(np.float32))
        return finite(rows, classifier.name)
    except ValueError:
        return None
