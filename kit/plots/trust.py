"""How far a confidence can be trusted, and which pictures no class fits."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kit._arrays import Floats
from kit.plots.canvas import BLUE, DARK, ORANGE, RED, blank, image


def confidence_figure(panels: Sequence[tuple[str, Mapping[str, Floats]]]) -> Any:
    """Draw how often each confidence comes up, for several kinds of pictures beside each other.

    Parameters
    ----------
    panels
        Pairs of a title and confidences, 0..1, shape (N,), by what they belong to.

    Returns
    -------
    IPython.display.Image
        A PNG with alternative text.
    """
    figure = blank(3.5 * len(panels), 3, layout="constrained")
    for axes, (title, kinds) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for (kind, confidences), color in zip(kinds.items(), (BLUE, ORANGE, DARK), strict=False):
            shares = np.full(len(confidences), 100 / len(confidences))
            axes.hist(confidences, np.linspace(0, 1, 21), weights=shares, alpha=0.6, color=color, label=kind)
        axes.set(title=title, xlim=(0, 1), xlabel="confidence", ylabel="pictures (%)")
        axes.legend(loc="upper left", frameon=False)
    alt = " ".join(
        f"{title}: mean confidence "
        + ", ".join(f"{confidences.mean():.0%} on {kind}" for kind, confidences in kinds.items())
        + "."
        for title, kinds in panels
    )
    return image(figure, f"Histograms of confidence. {alt}")


def novelty_figure(ordinary: Floats, foreign: Mapping[str, Floats], threshold: float) -> Any:
    """Draw the scores of ordinary and foreign pictures as boxes, beside the threshold.

    Parameters
    ----------
    ordinary
        Shape (N,): one score, as `Novelty.scores` gives it, of ordinary pictures.
    foreign
        Name of each set to the same score of its pictures.
    threshold
        Of this score; pictures above it are taken for none of the classes.

    Returns
    -------
    IPython.display.Image
        A PNG with alternative text.
    """
    sets = {"ordinary": ordinary, **foreign}
    axes = blank(8, 0.4 * len(sets) + 1.2).subplots()
    places = np.arange(len(sets))[::-1]
    boxes = {"widths": 0.6, "whis": (5, 95), "showfliers": False, "medianprops": {"color": BLUE}}
    axes.boxplot(list(sets.values()), positions=places, orientation="horizontal", **boxes)
    axes.axvline(threshold, color=RED, linestyle="--", label="threshold")
    axes.set_yticks(places, list(sets))
    axes.set_xlabel("score, higher for what is stranger (box: middle half; whiskers: 5 % to 95 %)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    shares = ", ".join(f"{name} {np.mean(values > threshold):.0%}" for name, values in sets.items())
    alt = f"Boxes of scores for {len(sets)} sets of pictures. Above the threshold: {shares}."
    return image(axes.figure, alt)
