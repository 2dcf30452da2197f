"""Where along a parameter a prediction changes, by bisection."""

from dataclasses import dataclass, replace
from typing import Any

from kit._checking import known, number
from kit.classifier import Classifier, check_first
from kit.images import Source, load_image
from kit.perturbation import PARAMETERS, Perturbation


@dataclass(frozen=True)
class Flip:
    """Where the prediction for an image changes along one parameter.

    The predicted class is `before` at `last` and `after` at `value`. Both were tried; they lie no farther
    apart than the tolerance.
    """

    parameter: str
    last: float
    value: float
    before: str
    after: str


def flip(
    classifier: Classifier,
    photo: Source,
    parameter: str,
    low: float,
    high: float,
    tolerance: float | None = None,
    *,
    perturbation: Perturbation | None = None,
) -> Flip | None:
    """Find by bisection where the prediction for an image changes between two values of a parameter.

    Parameters
    ----------
    photo
        A `Photo` or whatever else `kit.load_image` takes.
    parameter, low, high
        Name of a parameter of `Perturbation`, and values to look between, in either order. The prediction is
        followed from `low`.
    tolerance
        How far apart `Flip.last` and `Flip.value` may be, in units of the parameter; by default a tenth of
        the step of its slider, or 1 where it is a whole number.
    perturbation
        Everything else; by default nothing.

    Returns
    -------
    Flip or None
        None where both ends have the same prediction. Between different ones there may be more than one flip;
        it is one of them.

    Raises
    ------
    TypeError, ValueError
        An unknown parameter, one that is only on or off, values outside its bounds, no tolerance above 0, or
        an image that cannot be read.
    """
    check_first(classifier, "flip(classifier, photo, parameter, low, high)")
    known("parameter", parameter, [name for name, each in PARAMETERS.items() if each.kind != "switch"])
    whole = PARAMETERS[parameter].kind == "whole"
    finest = 1.0 if whole else PARAMETERS[parameter].step / 10
    wanted = finest if tolerance is None else number("tolerance", tolerance)
    if wanted <= 0:
        raise ValueError(f"Expected a tolerance above 0, received {tolerance!r}")
    last, value = number("low", low), number("high", high)
    image = load_image(photo)

    def predicted(at: float) -> int:
        changes: dict[str, Any] = {parameter: at}
        changed = replace(perturbation or Perturbation(), **changes)
        return int(classifier.probabilities(image, changed)[0].argmax())

    before, after = predicted(last), predicted(value)
    if before == after:
        return None
    while abs(value - last) > max(wanted, whole):
        middle = (value + last) // 2 if whole else (value + last) / 2
        if middle in (last, value):
            break
        found = predicted(middle)
        if found == before:
            last = middle
        else:
            value, after = middle, found
    return Flip(parameter, last, value, classifier.class_names[before], classifier.class_names[after])
