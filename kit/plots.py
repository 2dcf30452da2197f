"""Static figures for notebooks: each a PNG with alternative text."""

import textwrap
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from kit._arrays import Float64, Floats, Pixels
from kit._reporting import tag, value_text
from kit.images.photo import at_least_one
from kit.images.properties import Sample
from kit.perturbation import PARAMETERS

if TYPE_CHECKING:
    from kit.robustness.sweeps import Sweep
    from kit.validation.calibration import Bin
    from kit.validation.mistakes import Mistake, Mistakes

__all__ = [
    "accuracy_figure",
    "confidence_figure",
    "confusion_figure",
    "image_figure",
    "mistakes_figure",
    "mistakes_page",
    "reliability_figure",
    "sweep_figure",
]


BLUE, ORANGE = "#1b6ec2", "#e0a458"
DARK = "#787878"
"""DARK is read on white and on the dark theme's ground alike: a contrast of 4.3 to 1 on both (WCAG 2.2)."""

_DOTS_PER_INCH = 80
"""With these, matplotlib's type of 10 points is 11 pixels."""


def blank(width: float, height: float, layout: Any = None) -> Any:
    """Return an empty `matplotlib.figure.Figure` of so many inches, outside pyplot's global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


@dataclass(frozen=True, repr=False)
class Drawn:
    """A PNG, and what it shows in words: of a PNG alone JupyterLab leaves them out."""

    data: bytes
    alt: str

    def __repr__(self) -> str:
        return "<figure with alternative text>"

    def _repr_html_(self) -> str:
        return tag(self.data, self.alt)

    def _repr_png_(self) -> tuple[str, dict[str, str]]:
        return b64encode(self.data).decode(), {"alt": self.alt}


def image(figure: Any, alt: str) -> Drawn:
    """Turn a figure into a PNG for a notebook; `alt` says in words, with the numbers, what it shows."""
    _suit_both_themes(figure)
    png = BytesIO()
    figure.savefig(
        png, format="png", dpi=_DOTS_PER_INCH, bbox_inches="tight", transparent=True
    )
    return Drawn(png.getvalue(), alt)


def _suit_both_themes(figure: Any) -> None:
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_color(DARK)
        text.set_parse_math(False)  # a dollar in the name of a class or file is one
    for axes in figure.axes:
        axes.tick_params(color=DARK)
        for spine in axes.spines.values():
            spine.set_edgecolor(DARK)


_LETTERS = 9.5
"""Letters of a title in an inch."""
_CLASSES = 12
"""In a confusion matrix."""
_WIDEST = 8.9
"""Inches; with margins cut, 570 pixels, which a page of 1024 shows unscaled beside its files."""


def image_figure(images: Sequence[tuple[str, Pixels]], columns: int = 4) -> Drawn:
    """Show images, pairs of a title and uint8 pixels (H, W, 3), in rows of so many columns."""
    rows = -(-len(images) // columns)
    side = min(2.4, _WIDEST / columns)
    tall = max(min(pixels.shape[0] / pixels.shape[1], 1) for _, pixels in images)
    figure = blank(side * columns, (tall * side + 0.4) * rows)
    for place, (title, pixels) in enumerate(images, start=1):
        axes = figure.add_subplot(rows, columns, place)
        axes.imshow(pixels, interpolation="nearest")
        axes.set_title(textwrap.fill(title, int(side * _LETTERS)), fontsize=10)
        axes.set_axis_off()
    titles = "; ".join(title for title, _ in images)
    return image(figure, f"{len(images)} images: {titles}.")


_IMAGES = 12
"""In a figure of mistakes."""


def mistakes_figure(mistakes: Sequence["Mistake"]) -> Drawn:
    """Show the first twelve images of `wrong`, `doubtful` or `cell` of `kit.mistakes`, with their classes."""
    images = [
        (
            f"{mistake.predicted} {mistake.probability:.0%}, label {mistake.label}",
            Sample(mistake.picture.open(), window=256).thin,
        )
        for mistake in at_least_one(mistakes[:_IMAGES])
    ]
    return image_figure(images)


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title><style>:root {{ color-scheme: light dark; font: 1em/1.5 sans-serif }}
table {{ display: block; overflow: auto; border-spacing: 1em 0 }} img {{ max-width: 100% }}</style>
<main><h1>{title}</h1>{report}{figures}</main></html>
"""


def mistakes_page(mistakes: "Mistakes") -> str:
    """Return what `kit.mistakes` found as one HTML page for any browser, with images and without scripts."""
    figures = {"Confusion matrix": confusion_figure(mistakes)}
    for title, images in mistakes.groups.items():
        if images:
            figures[title] = mistakes_figure(images)
    parts = (
        f"<h2>{escape(title)}</h2>{figure._repr_html_()}"
        for title, figure in figures.items()
    )
    return _PAGE.format(
        title=escape(f"Mistakes of {mistakes.classifier.name}"),
        report=mistakes.html(),
        figures="".join(parts),
    )


def accuracy_figure(shares: Mapping[str, Mapping[str, float]]) -> Drawn:
    """Draw shares, 0..1, by group and by bar, as horizontal bars; all groups have the same bars."""
    bars = list(next(iter(shares.values())))
    places, height = np.arange(len(shares))[::-1], 0.8 / len(bars)
    axes = blank(7, 0.14 * len(bars) * len(shares) + 1, "constrained").subplots()
    for number, bar in enumerate(bars):
        widths = [100 * group[bar] for group in shares.values()]
        middle = places + 0.4 - (number + 0.5) * height
        axes.barh(middle, widths, 0.9 * height, label=bar)
    axes.set_yticks(places, shares)
    axes.set(xlim=(0, 100), ylim=(-0.6, len(shares) - 0.4), xlabel="%")
    axes.figure.legend(loc="outside upper center", ncols=len(bars), frameon=False)
    words = [
        f"{group}: {', '.join(f'{bar} {share:.0%}' for bar, share in by_bar.items())}."
        for group, by_bar in shares.items()
    ]
    return image(axes.figure, f"Horizontal bars. {' '.join(words)}")


def reliability_figure(panels: Sequence[tuple[str, Sequence["Bin"]]]) -> Drawn:
    """Draw reliability diagrams side by side, each over the number of images in its bins.

    Points are the share of correct predictions in a bin with its 95 % interval, at the mean confidence of
    its images; on the dotted line a model is correct as often as it claims.

    Parameters
    ----------
    panels
        Pairs of a title and the `bins` of `kit.validation.calibration.Metrics`.
    """
    figure = blank(3.5 * len(panels), 4.4, "constrained")
    grid = figure.subplots(
        2,
        len(panels),
        squeeze=False,
        sharex=True,
        sharey="row",
        gridspec_kw={"height_ratios": [3, 1]},
    )
    for column, (title, bins) in enumerate(panels):
        axes, below = grid[:, column]
        confidence, accuracy = (
            [one.confidence for one in bins],
            [one.share.accuracy for one in bins],
        )
        margins = np.abs(
            np.array([(one.share.low, one.share.high) for one in bins]).T - accuracy
        )
        low, high, count = np.array(
            [(one.low, one.high, one.share.count) for one in bins]
        ).T
        axes.plot([0, 1], [0, 1], color=DARK, linestyle=":", linewidth=1)
        axes.vlines(
            confidence, confidence, accuracy, color=ORANGE, linewidth=5, label="gap"
        )
        label = "share, 95 % interval"
        axes.errorbar(
            confidence, accuracy, margins, fmt="o", capsize=3, color=BLUE, label=label
        )
        axes.set(title=title, xlim=(0, 1), ylim=(0, 1.02))
        below.bar(
            low,
            count,
            high - low,
            align="edge",
            color=BLUE,
            edgecolor="white",
            linewidth=0.5,
        )
        below.set_xlabel("confidence")
    grid[0, 0].legend(loc="upper left", frameon=False)
    grid[0, 0].set_ylabel("share of correct predictions")
    grid[1, 0].set_ylabel("images")
    alt = "Reliability diagrams. " + " ".join(
        f"{title}: {_gap(bins)}." for title, bins in panels
    )
    return image(figure, alt)


def _gap(bins: Sequence["Bin"]) -> str:
    pairs, counts = (
        [(one.confidence, one.share.accuracy) for one in bins],
        [one.share.count for one in bins],
    )
    confidence, accuracy = np.average(pairs, axis=0, weights=counts)
    error = np.average(np.ptp(pairs, axis=1), weights=counts)
    words = f"{accuracy:.0%} correct at a mean confidence of {confidence:.0%} on {sum(counts):,} images"
    return f"{words}, calibration error {error:.3f}"


def sweep_figure(sweep: "Sweep") -> Drawn:
    """Draw a sweep: curves over one axis, heat maps over two; others raise a ValueError.

    Accuracy, where there are labels, and the mean confidence, in percent.
    """
    if not 1 <= len(sweep.axes) <= 2:
        raise ValueError(
            f"Expected a sweep with one or two axes, received {len(sweep.axes)}"
        )
    figures = sweep.figures
    many = f"{len(sweep.photos)} image{'s' if len(sweep.photos) != 1 else ''}"
    ends = "; ".join(
        f"{name} from {np.nanmin(values):.0%} to {np.nanmax(values):.0%}"
        for name, values in figures.items()
    )
    if len(sweep.axes) == 2:
        figure = blank(4 * len(figures), 3.6)
        _heat_maps(figure, sweep, figures)
        return image(
            figure, f"Heat maps over {' and '.join(sweep.axes)} for {many}: {ends}."
        )
    figure = blank(7, 4)
    _curves(figure.subplots(), sweep, figures)
    return image(figure, f"Curves over {', '.join(sweep.axes)} for {many}: {ends}.")


def _curves(axes: Any, sweep: "Sweep", figures: Mapping[str, Float64]) -> None:
    ((name, values),) = sweep.axes.items()
    across = np.array(values, float)
    places = np.argsort(across)
    for (title, line), look in zip(figures.items(), ("o-", "s--"), strict=False):
        axes.plot(across[places], 100 * line[places], look, markersize=3, label=title)
    axes.set_xlabel(_axis_label(name))
    axes.set(ylim=(-4, 104), ylabel="%")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)


def _heat_maps(figure: Any, sweep: "Sweep", figures: Mapping[str, Float64]) -> None:
    down, across = sweep.axes
    panels = figure.subplots(1, len(figures), squeeze=False)[0]
    for axes, (title, values) in zip(panels, figures.items(), strict=True):
        cells = axes.imshow(
            100 * values,
            "viridis",
            origin="lower",
            aspect="auto",
            interpolation="nearest",
        )
        cells.set_clim(0, 100)
        for name, ticks in ((across, axes.set_xticks), (down, axes.set_yticks)):
            places = range(0, len(sweep.axes[name]), max(1, len(sweep.axes[name]) // 6))
            ticks(
                list(places), [value_text(sweep.axes[name][place]) for place in places]
            )
        axes.set_xlabel(_axis_label(across))
        axes.set_title(f"{title} (%)", fontsize=10)
    panels[0].set_ylabel(_axis_label(down))
    figure.colorbar(cells, ax=list(panels))


def _axis_label(name: str) -> str:
    parameter = PARAMETERS.get(name)
    unit = f" ({parameter.unit})" if parameter and parameter.unit else ""
    return (parameter.label if parameter else name) + unit


def confidence_figure(panels: Sequence[tuple[str, Mapping[str, Floats]]]) -> Drawn:
    """Draw histograms of confidences 0..1, shape (N,), by kind of image, in titled panels."""
    figure = blank(3.5 * len(panels), 3, "constrained")
    for axes, (title, kinds) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        shares = [np.full(len(each), 100 / len(each)) for each in kinds.values()]
        # Beside each other, and hatched: overlapping colours make a third.
        looks = {
            "color": (BLUE, ORANGE, DARK)[: len(kinds)],
            "hatch": ("", "////", "....")[: len(kinds)],
        }
        bins = np.linspace(0, 1, 21)
        axes.hist(
            list(kinds.values()),
            bins,
            weights=shares,
            label=list(kinds),
            edgecolor="white",
            **looks,
        )
        axes.set(title=title, xlim=(0, 1), xlabel="confidence", ylabel="images (%)")
        axes.legend(loc="upper left", frameon=False)
    words = []
    for title, kinds in panels:
        means = ", ".join(
            f"{confidences.mean():.0%} on {kind}" for kind, confidences in kinds.items()
        )
        words.append(f"{title}: mean confidence {means}.")
    return image(figure, f"Histograms of confidence. {' '.join(words)}")


def confusion_figure(mistakes: "Mistakes") -> Drawn:
    """Draw the confusion matrix of `kit.mistakes`, by shares of each label; of many classes the worst."""
    counts, names = mistakes.confusion, mistakes.classifier.class_names
    apart = counts - np.diag(counts.diagonal())
    chosen = np.sort(
        np.argsort(-apart.sum(axis=0) - apart.sum(axis=1), kind="stable")[:_CLASSES]
    )
    cells, size = counts[np.ix_(chosen, chosen)], 0.5 * len(chosen) + 2
    axes = blank(size, size, "constrained").subplots()
    shares = cells / np.maximum(counts[chosen].sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, "Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(cells):
        plate = {"facecolor": "white", "linewidth": 0, "pad": 1}
        axes.text(
            column, row, f"{cells[row, column]:,}", ha="center", va="center", bbox=plate
        )
    labels = [textwrap.fill(names[each], 24) for each in chosen]
    axes.set_xticks(range(len(chosen)), labels, rotation=90)
    axes.set_yticks(range(len(chosen)), labels)
    axes.set(xlabel="predicted", ylabel="label")
    pairs = "; ".join(
        f"{label} as {other} {count:,}" for (label, other), count in mistakes.confused
    )
    return image(axes.figure, f"Confusion matrix. Mistakes: {pairs or 'none'}.")
