"""Static figures for notebooks: each a PNG with alternative text."""

import textwrap
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from itertools import product
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from kit._arrays import Floats, Pixels
from kit._checking import require
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


def blank_figure(width: float, height: float, layout: Any = None) -> Any:
    """Return an empty `matplotlib.figure.Figure` of so many inches, outside pyplot's global state."""
    require("matplotlib")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


@dataclass(frozen=True)
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


def as_png(figure: Any, alt: str) -> Drawn:
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
        axes.spines[:].set_edgecolor(DARK)


_LETTERS_PER_INCH = 9.5
"""Of a title."""
_MOST_INCHES = 8.9
"""Width of a figure; with margins cut, 570 pixels, which a page of 1024 shows unscaled beside its files."""


def image_figure(images: Sequence[tuple[str, Pixels]], columns: int = 4) -> Drawn:
    """Show images, pairs of a title and uint8 pixels (H, W, 3), in rows of so many columns."""
    rows = -(-len(images) // columns)
    side = min(2.4, _MOST_INCHES / columns)
    tall = max(min(pixels.shape[0] / pixels.shape[1], 1) for _, pixels in images)
    figure = blank_figure(side * columns, (tall * side + 0.4) * rows)
    for number, (title, pixels) in enumerate(images, start=1):
        axes = figure.add_subplot(rows, columns, number)
        axes.imshow(pixels, interpolation="nearest")
        axes.set_title(textwrap.fill(title, int(side * _LETTERS_PER_INCH)), fontsize=10)
        axes.set_axis_off()
    titles = "; ".join(title for title, _ in images)
    return as_png(figure, f"{_counted_images(images)}: {titles}.")


def _counted_images(images: Sequence[object]) -> str:
    return f"{len(images)} image{'s' if len(images) != 1 else ''}"


_MOST_IMAGES = 12
"""In a figure of mistakes."""


def mistakes_figure(mistakes: Sequence["Mistake"]) -> Drawn:
    """Show the first twelve images of `wrong`, `doubtful` or `cell` of `kit.mistakes`, with their classes."""
    images = [
        (
            f"{mistake.predicted} {mistake.probability:.0%}, label {mistake.label}",
            Sample(mistake.picture.open(), window=256).thin,
        )
        for mistake in at_least_one(mistakes[:_MOST_IMAGES])
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
    sections = [
        f"<h2>{title}</h2>{mistakes_figure(images)._repr_html_()}"
        for title, images in mistakes.groups.items()
        if images
    ]
    return _PAGE.format(
        title=escape(f"Mistakes of {mistakes.classifier.name}"),
        report=mistakes.html(),
        figures="".join(sections),
    )


def accuracy_figure(shares: Mapping[str, Mapping[str, float]]) -> Drawn:
    """Draw shares, 0..1, by group and by bar, as horizontal bars; all groups have the same bars."""
    bars = list(next(iter(shares.values())))
    height = 0.8 / len(bars)
    groups = np.arange(len(shares))[::-1]
    axes = blank_figure(7, 0.14 * len(bars) * len(shares) + 1, "constrained").subplots()
    for number, bar in enumerate(bars):
        widths = [100 * group[bar] for group in shares.values()]
        middle = groups + 0.4 - (number + 0.5) * height
        axes.barh(middle, widths, 0.9 * height, label=bar)
    axes.set_yticks(groups, shares)
    axes.set(xlim=(0, 100), ylim=(-0.6, len(shares) - 0.4), xlabel="%")
    axes.figure.legend(loc="outside upper center", ncols=len(bars), frameon=False)
    words = []
    for title, group in shares.items():
        percentages = [f"{bar} {share:.0%}" for bar, share in group.items()]
        words.append(f"{title}: {', '.join(percentages)}.")
    return as_png(axes.figure, f"Horizontal bars. {' '.join(words)}")


def reliability_figure(panels: Sequence[tuple[str, Sequence["Bin"]]]) -> Drawn:
    """Draw reliability diagrams side by side, each over the number of images in its bins.

    Points are the share of correct predictions in a bin with its 95 % interval, at the mean confidence of
    its images; on the dotted line a model is correct as often as it claims. ``panels`` are pairs of a title
    and the `bins` of `kit.validation.calibration.Metrics`.
    """
    figure = blank_figure(3.5 * len(panels), 4.4, "constrained")
    grid = figure.subplots(
        2,
        len(panels),
        squeeze=False,
        sharex=True,
        sharey="row",
        gridspec_kw={"height_ratios": [3, 1]},
    )
    words = []
    for (diagram, histogram), (title, bins) in zip(grid.T, panels, strict=True):
        diagram.set(title=title, xlim=(0, 1), ylim=(0, 1.02))
        histogram.set_xlabel("confidence")
        words.append(f"{title}: {_reliability(diagram, histogram, bins)}.")
    grid[0, 0].legend(loc="upper left", frameon=False)
    grid[0, 0].set_ylabel("share of correct predictions")
    grid[1, 0].set_ylabel("images")
    return as_png(figure, f"Reliability diagrams. {' '.join(words)}")


_bin_values = attrgetter(
    "low", "high", "confidence", "share.accuracy", "share.low", "share.high"
)


def _reliability(diagram: Any, histogram: Any, bins: Sequence["Bin"]) -> str:
    """Draw a diagram over its histogram, and say what they show."""
    counts = [group.share.count for group in bins]
    left, right, confidence, accuracy, lowest, highest = np.transpose(
        [_bin_values(group) for group in bins]
    )
    diagram.plot([0, 1], [0, 1], color=DARK, linestyle=":", linewidth=1)
    diagram.vlines(
        confidence, confidence, accuracy, color=ORANGE, linewidth=5, label="gap"
    )
    diagram.errorbar(
        confidence,
        accuracy,
        yerr=(accuracy - lowest, highest - accuracy),
        fmt="o",
        capsize=3,
        color=BLUE,
        label="share, 95 % interval",
    )
    histogram.bar(
        left,
        counts,
        width=right - left,
        align="edge",
        color=BLUE,
        edgecolor="white",
        linewidth=0.5,
    )
    correct = np.average(accuracy, weights=counts)
    mean = np.average(confidence, weights=counts)
    error = np.average(np.abs(accuracy - confidence), weights=counts)
    return (
        f"{correct:.0%} correct at a mean confidence of {mean:.0%}"
        f" on {sum(counts):,} images, calibration error {error:.3f}"
    )


def sweep_figure(sweep: "Sweep") -> Drawn:
    """Draw a sweep: curves over one axis, heat maps over two; others raise a ValueError.

    Accuracy, where there are labels, and the mean confidence, in percent. A sweep in which no image is
    predicted under every perturbation raises a ValueError, too.
    """
    if not 1 <= len(sweep.axes) <= 2:
        raise ValueError(
            f"Expected a sweep with one or two axes, received {len(sweep.axes)}"
        )
    if not sweep.whole.any():
        raise ValueError(
            "Expected an image that is predicted under every perturbation, received none; see sweep.errors"
        )
    ranges = [
        f"{title} from {_range(sweep, shares)}"
        for title, shares in sweep.figures.items()
    ]
    if len(sweep.axes) == 1:
        figure = _curves(sweep)
        kind = "Curves"
    else:
        figure = _heat_maps(sweep)
        kind = "Heat maps"
    return as_png(
        figure,
        (
            f"{kind} over {' and '.join(sweep.axes)} for "
            f"{sweep.counted}: {'; '.join(ranges)}."
        ),
    )


def _range(sweep: "Sweep", shares: Floats) -> str:
    cells = zip(shares.ravel(), product(*sweep.axes.values()), strict=True)
    in_order = sorted(cells, key=itemgetter(0))
    return " to ".join(
        f"{share:.0%} at {' and '.join(map(value_text, values))}"
        for share, values in (in_order[0], in_order[-1])
    )


def _curves(sweep: "Sweep") -> Any:
    ((name, values),) = sweep.axes.items()
    across = np.array(values, float)
    order = np.argsort(across)
    axes = blank_figure(7, 4).subplots()
    for (title, shares), look in zip(
        sweep.figures.items(), ("o-", "s--"), strict=False
    ):
        (line,) = axes.plot(
            across[order], 100 * shares[order], look, markersize=3, label=title
        )
        # Without a file there is no quality to draw it at.
        for share in shares[np.isnan(across)]:
            label = f"{title} at {value_text(None)}"
            axes.axhline(100 * share, color=line.get_color(), ls=":", label=label)
    axes.set(ylim=(-4, 104), xlabel=_axis_label(name), ylabel="%")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    return axes.figure


def _heat_maps(sweep: "Sweep") -> Any:
    down, across = sweep.axes
    figure = blank_figure(4 * len(sweep.figures), 3.6)
    panels = figure.subplots(1, len(sweep.figures), squeeze=False)[0]
    for axes, (title, shares) in zip(panels, sweep.figures.items(), strict=True):
        cells = axes.imshow(
            100 * shares,
            "viridis",
            aspect="auto",
            interpolation="nearest",
            vmin=0,
            vmax=100,
        )
        for name, axis in ((across, axes.xaxis), (down, axes.yaxis)):
            values = sweep.axes[name]
            ticks = range(0, len(values), max(1, len(values) // _TICKS))
            axis.set_ticks(ticks, [value_text(values[tick]) for tick in ticks])
        axes.set_xlabel(_axis_label(across))
        axes.set_title(f"{title} (%)", fontsize=10)
    panels[0].set_ylabel(_axis_label(down))
    figure.colorbar(cells, ax=list(panels))
    return figure


_TICKS = 6
"""Of an axis of a heat map, about."""


def _axis_label(name: str) -> str:
    if name not in PARAMETERS:
        return name
    parameter = PARAMETERS[name]
    if parameter.unit:
        return f"{parameter.label} ({parameter.unit})"
    return parameter.label


def confidence_figure(panels: Sequence[tuple[str, Mapping[str, Floats]]]) -> Drawn:
    """Draw histograms of confidences 0..1, shape (N,), by kind of image, in titled panels."""
    figure = blank_figure(3.5 * len(panels), 3, "constrained")
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    words = []
    for axes, (title, kinds) in zip(row, panels, strict=True):
        samples = list(kinds.values())
        # Beside each other, and hatched: overlapping colours make a third.
        axes.hist(
            samples,
            bins=np.linspace(0, 1, 21),
            weights=[np.full(len(sample), 100 / len(sample)) for sample in samples],
            label=list(kinds),
            color=(BLUE, ORANGE, DARK)[: len(kinds)],
            hatch=("", "////", "....")[: len(kinds)],
            edgecolor="white",
        )
        axes.set(title=title, xlim=(0, 1), xlabel="confidence", ylabel="images (%)")
        axes.legend(loc="upper left", frameon=False)
        means = [f"{sample.mean():.0%} on {kind}" for kind, sample in kinds.items()]
        words.append(f"{title}: mean confidence {', '.join(means)}.")
    return as_png(figure, f"Histograms of confidence. {' '.join(words)}")
