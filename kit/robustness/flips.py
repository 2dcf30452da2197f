"""Where along a parameter a prediction changes, by bisection."""

from dataclasses import dataclass
from typing import Any

from kit._checking import known
from kit.classifier.classifier import Classifier, check_first
from kit.images.photo import Source, load_image
from kit.perturbation import PARAMETERS, Perturbation


@dataclass(frozen=True)
class Flip:
    """Where the prediction for an image changes along one parameter.

    The predicted class is `before` at `last` and `after` at `value`. Both were tried; they lie a tenth of
    the step of the slider apart, or 1 where it is a whole number.
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
    low: float | None,
    high: float | None,
) -> Flip | None:
    """Find by bisection where the prediction for an image changes between two values of a parameter.

    None where both ends have the same prediction. There may be several flips in between; it is one of them.

    Parameters
    ----------
    photo
        A `Photo` or whatever else `kit.load_image` takes.
    parameter, low, high
        Name of a parameter of `Perturbation`, and values to look between, in either order. The prediction is
        followed from `low`. For ``jpeg_quality`` None, which is no file, stands for the best, 100.

    Raises
    ------
    TypeError, ValueError
        An unknown parameter, one that is only on or off, values outside its bounds, or an image that cannot
        be read.
    """
    check_first(classifier)
    rows = {name: row for name, row in PARAMETERS.items() if row.kind != "switch"}
    row = rows[known("parameter", parameter, rows)]
    whole = row.kind == "whole"
    # How near the two settings have to come: whole numbers side by side, or a tenth of a slider's step.
    finest = 1 if whole else row.step / 10
    image = load_image(photo)

    def predicted(setting: float) -> int:
        change: dict[str, Any] = {parameter: setting}
        perturbation = Perturbation(**change)
        return int(classifier.predict(image, perturbation=perturbation).index[0])

    # Where None is neutral, as no JPEG file is, it stands for the best quality.
    ends: list[Any] = [
        row.high if end is row.neutral is None else end for end in (low, high)
    ]
    last, value = ends
    before = predicted(last)
    after = predicted(value)
    if before == after:
        return None
    # `last` always predicts `before`, and `value` always another class.
    while abs(value - last) > finest:
        middle = (value + last) // 2 if whole else (value + last) / 2
        between = predicted(middle)
        if between != before:
            value = middle
            after = between
        else:
            last = middle
    return Flip(
        parameter=parameter,
        last=last,
        value=value,
        before=classifier.class_names[before],
        after=classifier.class_names[after],
    )
