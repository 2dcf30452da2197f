"""The reliability diagram, and a slider that moves through several of them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.plots.canvas import BLUE, DARK, ORANGE, blank, image, tag

if TYPE_CHECKING:
    from kit.validation.calibration.binning import Bin


def reliability_figure(panels: Sequence[tuple[str, Sequence["Bin"]]]) -> Any:
    """Draw reliability diagrams side by side, each over the number of pictures in its bins.

    Parameters
    ----------
    panels
        Pairs of a title and the bins of `kit.validation.calibration.Reliability`.

    Returns
    -------
    IPython.display.Image
        A PNG with alternative text. Points are the share of right answers in a bin with its 95 % interval,
        at the mean confidence of its pictures; on the dotted line a network is as often right as it says.
    """
    figure = blank(3.5 * len(panels), 4.4, layout="constrained")
    grid = figure.subplots(
        2, len(panels), squeeze=False, sharex=True, sharey="row", gridspec_kw={"height_ratios": [3, 1]}
    )
    for column, (title, bins) in enumerate(panels):
        axes, below = grid[:, column]
        confidence, accuracy = [one.confidence for one in bins], [one.accuracy for one in bins]
        margins = np.abs(np.array([one.interval for one in bins]).T - accuracy)
        low, high, count = np.array([(one.low, one.high, one.count) for one in bins]).T
        axes.plot([0, 1], [0, 1], color=DARK, linestyle=":", linewidth=1)
        axes.vlines(confidence, confidence, accuracy, color=ORANGE, linewidth=5, label="gap")
        axes.errorbar(
            confidence, accuracy, margins, fmt="o", capsize=3, color=BLUE, label="share, 95 % interval"
        )
        axes.set(title=title, xlim=(0, 1), ylim=(0, 1.02))
        below.bar(low, count, high - low, align="edge", color=BLUE, edgecolor="white", linewidth=0.5)
        below.set_xlabel("confidence")
    grid[0, 0].legend(loc="upper left", frameon=False)
    grid[0, 0].set_ylabel("share of right answers")
    grid[1, 0].set_ylabel("pictures")
    alt = "Reliability diagrams. " + " ".join(f"{title}: {_gap(bins)}." for title, bins in panels)
    return image(figure, alt)


def reliability_slider(figures: Mapping[int, Any], description: str) -> Any:
    """Return a slider over figures that are drawn already, so that it does nothing but exchange one text.

    Parameters
    ----------
    figures
        As :func:`reliability_figure` returns them, by number, in the order of the slider; it begins with the
        first.
    description
        What the numbers are, plain text.

    Returns
    -------
    ipywidgets.VBox
        The slider over the figure.

    Raises
    ------
    ValueError
        No figure.
    """
    from ipywidgets import HTML, Layout, SelectionSlider, VBox, dlink  # noqa: PLC0415 (only notebooks show it)

    if not figures:
        raise ValueError("Expected at least one figure, received none")
    shown = {number: tag(figure.data, figure.alt) for number, figure in figures.items()}
    chooser = SelectionSlider(
        options=[(f"{number:,}", number) for number in figures],
        description=description,
        style={"description_width": "initial"},
        layout=Layout(width="36em"),
    )
    picture = HTML()
    dlink((chooser, "value"), (picture, "value"), shown.get)
    return VBox([chooser, picture])


def _gap(bins: Sequence["Bin"]) -> str:
    """Put the calibration of some bins into words."""
    pictures = sum(one.count for one in bins)
    confidence = sum(one.confidence * one.count for one in bins) / pictures
    accuracy = sum(one.accuracy * one.count for one in bins) / pictures
    error = sum(abs(one.accuracy - one.confidence) * one.count for one in bins) / pictures
    return (
        f"{accuracy:.0%} right at a mean confidence of {confidence:.0%} on {pictures:,} pictures, calibration"
        f" error {error:.3f}"
    )
