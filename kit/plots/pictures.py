"""Pictures, and how many of them are answered rightly."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kit._arrays import Pixels
from kit.plots.canvas import BLUE, ORANGE, blank, image, wrapped

if TYPE_CHECKING:
    from kit.robustness.costs import Cost


_LETTERS = 9.5
"""Letters of a title in an inch."""
_WIDEST = 8.9
"""Inches; with margins cut, 570 pixels, which a page of 1024 shows unscaled beside its files."""


def picture_figure(pictures: Sequence[tuple[str, Pixels]], columns: int = 4) -> Any:
    """Lay pictures out in a grid, each under its title.

    Parameters
    ----------
    pictures
        Pairs of a title and uint8 pixels (H, W, 3).
    columns
        Pictures in a row.

    Returns
    -------
    IPython.display.Image
        A PNG with the titles as alternative text.
    """
    rows = -(-len(pictures) // columns)
    side = min(2.4, _WIDEST / columns)
    tall = max(min(pixels.shape[0] / pixels.shape[1], 1) for _, pixels in pictures)
    figure = blank(side * columns, (tall * side + 0.4) * rows)
    for place, (title, pixels) in enumerate(pictures, start=1):
        axes = figure.add_subplot(rows, columns, place)
        axes.imshow(pixels, interpolation="nearest")
        axes.set_title(wrapped(title, int(side * _LETTERS)), fontsize=9)
        axes.set_axis_off()
    titles = "; ".join(title for title, _ in pictures)
    return image(figure, f"{len(pictures)} pictures: {titles}.")


def cost_figure(costs: Sequence["Cost"]) -> Any:
    """Draw the share of right answers and the mean confidence under each fault, as horizontal bars.

    Parameters
    ----------
    costs
        As :func:`fault_costs` returns them; the first is the preprocessing as in training.

    Returns
    -------
    IPython.display.Image
        A PNG with alternative text.
    """
    axes = blank(4.2, 0.27 * len(costs) + 1).subplots()
    places = np.arange(len(costs))[::-1]
    right, confidence = 100 * np.array([(cost.right, cost.confidence) for cost in costs]).T
    axes.barh(places + 0.2, right, 0.4, label="answered rightly", color=BLUE)
    axes.barh(places - 0.2, confidence, 0.4, label="mean confidence", color=ORANGE)
    axes.axvline(right[0], color=BLUE, linewidth=1, linestyle=":")
    axes.set_yticks(places, [cost.title for cost in costs])
    axes.set(xlim=(0, 100), ylim=(-0.6, len(costs) - 0.4))
    axes.set_xlabel("pictures, and confidence in the answer given (%)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    worst = ", ".join(f"{cost.title} ({cost.right:.0%})" for cost in costs[1:4])
    return image(
        axes.figure,
        f"Horizontal bars for {len(costs)} preprocessings. As in training {costs[0].right:.0%} of the "
        f"pictures are answered rightly; worst are {worst}.",
    )


def accuracy_figure(shares: Mapping[str, Mapping[str, float]]) -> Any:
    """Draw shares of right answers as groups of vertical bars.

    Parameters
    ----------
    shares
        Share of right answers, 0..1, by group (the pictures, say) and by bar (what was done about them). All
        groups have the same bars.

    Returns
    -------
    IPython.display.Image
        A PNG with alternative text.
    """
    bars = list(next(iter(shares.values())))
    colors = ("#9aa0a6", ORANGE, BLUE, "#4c9f70", "#8e5ea2", "#c44e52")
    places, width = np.arange(len(shares)), 0.8 / len(bars)
    axes = blank(7, 3.6, layout="constrained").subplots()
    for number, bar in enumerate(bars):
        heights = [100 * group[bar] for group in shares.values()]
        offset = (number - (len(bars) - 1) / 2) * width
        axes.bar(places + offset, heights, 0.9 * width, label=bar, color=colors[number % len(colors)])
    axes.set_xticks(places, [wrapped(group) for group in shares])
    axes.set(ylim=(0, 100), ylabel="answered rightly (%)")
    axes.figure.legend(loc="outside upper center", ncols=len(bars), frameon=False)
    alt = " ".join(
        f"{group}: " + ", ".join(f"{bar} {share:.0%}" for bar, share in group_shares.items()) + "."
        for group, group_shares in shares.items()
    )
    return image(axes.figure, f"Bars of the share of pictures answered rightly. {alt}")
