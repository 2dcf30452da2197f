"""A person's own preprocessing function, compared with what the classifier was trained with."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np

from kit._arrays import Array, Float32
from kit._reporting import Report, Result
from kit.classifier.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.engines import finite, fitted
from kit.images.photo import Photo, Pictures, as_photos
from kit.preprocessing import Preprocessing
from kit.preprocessing.black_box import Code, comparison_with_code, read
from kit.preprocessing.calling import numpy_of, unbatched, with_names
from kit.preprocessing.comparison import Comparison
from kit.preprocessing.matching import Reading
from kit.preprocessing.scaling import scale

LARGE_EFFECT_SHARE = 0.5
"""Of the largest effect, from which on a step is in the headline, too."""


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

        From 0 to 1, the median of the photos on which it differs; 1 for a step that makes a tensor which does
        not fit the network.
        """
        effects_by_step: dict[str, list[float]] = {}
        for comparison in self.comparisons:
            # The largest effect comes first; of two differences in one step that one counts.
            for step, effect in dict(reversed(comparison.effects)).items():
                effects_by_step.setdefault(step, []).append(effect)
        medians = [
            (step, float(np.median(effects)))
            for step, effects in effects_by_step.items()
        ]
        return dict(sorted(medians, key=lambda step_and_effect: -step_and_effect[1]))

    @property
    def main_step(self) -> str | None:
        """The step with the largest effect; None if the function agrees."""
        return next(iter(self.effects), None)

    def _report(self) -> Report:
        # A line for each question: whether it agrees, whether it fails, where it differs and how much.
        differing = [
            comparison for comparison in self.comparisons if not comparison.equal
        ]
        count = len(self.comparisons)
        if not differing:
            yield f"Your code agrees with the classifier's preprocessing on {count} of {count} photos."
            yield from (f"Note: {note}." for note in self.comparisons[0].notes)
            yield "Where predictions differ all the same: kit.compare(classifier, outputs, photos)."
            return
        # It raised, returned nothing usable, or another result when called again.
        failed = [
            comparison for comparison in differing if comparison.main_step == "function"
        ]
        if failed:
            problem = failed[-1].differences[0].removeprefix("code: ")
            where = f"on {len(failed)} of {count} images, as on {failed[-1].photo}"
            yield f"Your code {problem}, {where}."
        # What the others show is said all the same.
        # Made anew for each call, the largest effect first.
        effects = self.effects
        effects.pop("function", None)
        if not effects:
            return
        least_effect = max(effects.values()) * LARGE_EFFECT_SHARE
        main_steps = [
            step for step, effect in effects.items() if effect >= least_effect
        ]
        example = next(
            comparison
            for comparison in differing
            if main_steps[0] in dict(comparison.effects)
        )
        differences = zip(example.effects, example.differences, strict=True)
        words = "; ".join(text for (step, _), text in differences if step in main_steps)
        # A share of all photos; None unless each has a tensor that the network takes.
        if self.changed is not None:
            words += f"; {self.changed * count:.0f} of {count} predictions change"
        names = " and ".join(map(repr, main_steps))
        differing_count = len(differing) - len(failed)
        difference = f"at {names} on {differing_count} of {count}: {words}"
        yield f"Your code differs {difference}. Here: the classifier; there: your code."
        alone = ", ".join(f"{name} {share:.0%}" for name, share in effects.items())
        yield f"Each step alone changes the probability by: {alone}."
        yield example

    def __repr__(self) -> str:
        outcome = "agrees" if self.agrees else f"differs at {self.main_step!r}"
        return f"Checkup({outcome}, {len(self.comparisons)} photos)"


def check(
    classifier: Classifier, photos: Pictures, function: Code, **names: Any
) -> Checkup:
    """Compare your own preprocessing function, or a tensor, with the preprocessing of a classifier.

    What the function raises is a difference, not an error. Print the result to read it.

    Parameters
    ----------
    classifier, photos
        With a known preprocessing; a folder, a glob pattern, an array or images: see `kit.images.photo`.
    function
        Takes a path or a list of paths, a file, its bytes or its base64 text, a Pillow image, an RGB array
        (H, W, 3), BGR where names such as COLOR_BGR2RGB say so, or a batch of one. Returns numbers of any
        library, or a tuple or dict, of which the part counts that fits the network. If it predicts, too, give
        it a `kit.recorder()` as its model. Or the tensor that other code made of the photo, such as an app's
        input buffer with or without its shape, or one for each photo.
    **names
        Values for other arguments of the function, or in place of variables that it uses, global or of its
        object, such as ``model=kit.recorder()``.

    Raises
    ------
    TypeError, ValueError
        Arguments in another order, no function, an unknown preprocessing, or no photo.
    """
    check_first(classifier)
    is_tensor = isinstance(function, list | tuple) or hasattr(function, "__array__")
    if callable(photos) or not (callable(function) or is_tensor):
        received = "another order" if callable(photos) else type(function).__name__
        raise TypeError(
            f"Expected a function or a tensor, received {received};"
            " call kit.check(classifier, photos, function), or np.load a file"
        )
    expected = known_preprocessing(classifier)
    decoded = [photo.decoded(expected.decoding) for photo in as_photos(photos)]
    # `names` take the place of arguments of the function, or of variables that it uses.
    with with_names(function, names) as code:
        # Runs the code on each photo, and fits a pipeline to what it returns.
        reading = read(expected, code, decoded, partial(_dequantised, classifier))
    return _checkup(classifier, expected, reading, decoded)


def _checkup(
    classifier: Classifier,
    expected: Preprocessing,
    reading: Reading,
    photos: Sequence[Photo],
) -> Checkup:
    effect = partial(_probability_change, classifier)
    calls_and_photos = list(zip(reading.called, photos, strict=True))
    # Two rows for each photo: of the expected tensor, and of the person's own.
    probability_pairs = (
        _probabilities(
            classifier,
            expected.apply(photo),
            unbatched(called.tensor, expected),
        )
        for called, photo in calls_and_photos
        if called.tensor is not None
    )
    class_pairs = [
        rows.argmax(axis=1) for rows in probability_pairs if rows is not None
    ]
    # Not known unless the network takes the tensor of every photo.
    changed = None
    if len(class_pairs) == len(photos):
        changed = float(np.diff(class_pairs).any(axis=1).mean())
    comparisons = [
        comparison_with_code(expected, reading, called, photo, effect)
        for called, photo in calls_and_photos
    ]
    preprocessing = cast("Preprocessing", reading.pipeline) if reading.agrees else None
    return Checkup(tuple(comparisons), changed, preprocessing)


def nearest_preprocessing(
    classifier: Classifier, photos: Sequence[Photo], function: Code
) -> tuple[Preprocessing, str]:
    """Return the preprocessing that comes nearest to a function, and how the function differs, in words.

    That is what `check` finds, compared with the classifier's preprocessing, if that is known, and how many
    levels are left; empty where they agree. A ValueError says why there is none.
    """
    expected = classifier.preprocessing or fitted(
        Preprocessing(), classifier.input_shape
    )
    decoded = [photo.decoded(expected.decoding) for photo in photos]
    reading = read(expected, function, decoded, partial(_dequantised, classifier))
    nearest = cast("Preprocessing", reading.pipeline)
    failures = [
        f"{called.problem}, on {photo.name}"
        for called, photo in zip(reading.called, photos, strict=True)
        if called.problem
    ]
    if failures:
        steps = "a function or tensor with steps of a Preprocessing"
        raise ValueError(f"Expected {steps}, received another: {failures[0]}")
    compared_with = classifier.preprocessing or nearest
    checkup = _checkup(classifier, compared_with, reading, decoded)
    if checkup.agrees:
        return nearest, ""
    headline, _, _ = str(checkup).partition("\n")
    if checkup.changed is None:
        # What the network cannot take is told; the rest is diagnosed as if it could.
        nearest = nearest.replace(size=expected.size, layout=expected.layout)
    # Infinite where every call failed.
    if reading.tolerated_levels_off < reading.levels_off < np.inf:
        headline += (
            f" {reading.levels_off:.2g} levels (root mean square) are unexplained"
        )
    return nearest, headline


def _dequantised(classifier: Classifier, tensor: Any) -> Array:
    """Return what a buffer of whole numbers stands for, by the scale and the zero point of the network."""
    array = numpy_of(tensor)
    engine = classifier.network.engine
    scaling = engine.scaling
    if scaling is None or array.dtype not in (np.uint8, np.int8):
        return array
    # A file may be opened as the other type of 8 bits, so its bytes are read as the network's; `scaling`
    # takes levels that count from the least of that type.
    levels = array.view(engine.dtype) - float(np.iinfo(engine.dtype).min)
    return scale(levels, (scaling,))


def _probability_change(
    classifier: Classifier, tensor: Array, changed_tensor: Array
) -> float:
    """Return the share of the probability that changes; 1 where there is no prediction."""
    rows = _probabilities(classifier, tensor, changed_tensor)
    # Where the network takes no such tensor, or puts out no number, all of it counts as changed.
    return 1.0 if rows is None else float(np.abs(rows[0] - rows[1]).sum() / 2)


def _probabilities(classifier: Classifier, *tensors: Array) -> Float32 | None:
    """Return the probabilities of tensors, with or without a leading axis; None where there are none."""
    try:
        batches = [tensor if tensor.ndim == 4 else tensor[None] for tensor in tensors]
        # Each by itself, since a network of any size takes tensors of several shapes.
        rows = [
            classifier.predict_tensors(batch.astype(np.float32)) for batch in batches
        ]
        return finite(np.concatenate(rows), classifier.name)
    except ValueError:
        # The network takes no such shape, or puts out what is no number.
        return None
