"""What is known from pictures that were held back: learning curves and folds."""

from typing import TYPE_CHECKING, Any

import numpy as np

from kit.plots.canvas import BLUE, ORANGE, blank, image

if TYPE_CHECKING:
    from kit.validation import CrossValidation, LearningCurve


def learning_curve_figure(curve: "LearningCurve") -> Any:
    """Draw accuracy over the number of training pictures, in equal steps for equal factors.

    Parameters
    ----------
    curve
        As :func:`kit.learning_curve` returns it.

    Returns
    -------
    IPython.display.Image
        A PNG with alternative text. Bars are Wilson's intervals at 95 % confidence.
    """
    sizes = [point.size for point in curve.points]
    held_back = [point.validation for point in curve.points]
    accuracy = 100 * np.array([each.accuracy for each in held_back])
    margins = np.abs(100 * np.array([(each.low, each.high) for each in held_back]).T - accuracy)
    axes = blank(6, 3.8, layout="constrained").subplots()
    training = [100 * point.training for point in curve.points]
    axes.plot(sizes, training, "o:", color=ORANGE, label="training")
    label = "validation, 95 % interval"
    axes.errorbar(sizes, accuracy, margins, fmt="o-", capsize=3, color=BLUE, label=label)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.set_xticks([], minor=True)
    axes.set(xlabel="training pictures (logarithmic)", ylabel="answered rightly (%)")
    axes.figure.legend(loc="outside upper center", ncols=2, frameon=False)
    points = "; ".join(
        f"{point.size:,} pictures: {point.validation.accuracy:.1%} ({point.validation.low:.1%} to"
        f" {point.validation.high:.1%}), training {point.training:.1%}"
        for point in curve.points
    )
    return image(axes.figure, f"Learning curve, validation accuracy with 95% confidence. {points}.")


def folds_figure(validation: "CrossValidation") -> Any:
    """Draw the accuracy on each fold, their mean, and the interval that allows for shared training pictures.

    Parameters
    ----------
    validation
        As :func:`kit.cross_validate` returns it. A single finished fold is drawn without interval.

    Returns
    -------
    IPython.display.Image
        A PNG with alternative text.
    """
    axes = blank(6, 3.8, layout="constrained").subplots()
    alt = f"mean {validation.accuracy:.1%}"
    if len(validation.folds) > 1:
        low, high = validation.interval()
        ends, label = (100 * low, 100 * high), "95 % interval, corrected"
        axes.axhspan(*ends, color=BLUE, alpha=0.15, linewidth=0, label=label)
        alt += f", 95% confidence {low:.1%} to {high:.1%} (Nadeau-Bengio)"
    axes.axhline(100 * validation.accuracy, color=BLUE, linestyle="--", label="mean")
    numbers = range(1, len(validation.folds) + 1)
    accuracies = [100 * accuracy for accuracy in validation.accuracies]
    axes.plot(numbers, accuracies, "o", color=ORANGE, label="a fold")
    axes.set(xlim=(0.5, validation.planned + 0.5), xticks=range(1, validation.planned + 1))
    axes.set(xlabel="fold held back", ylabel="answered rightly (%)")
    axes.figure.legend(loc="outside upper center", ncols=3, frameon=False)
    each = ", ".join(f"{accuracy:.1%}" for accuracy in validation.accuracies)
    done = "" if validation.complete else f" of {validation.planned}"
    return image(axes.figure, f"Accuracy on {len(validation.folds)}{done} folds: {each}; {alt}.")
