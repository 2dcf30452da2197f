"""Still figures for the notebooks; never in the live path.

Every function returns a PNG with alternative text, and takes no part in pyplot's global state.
"""

import textwrap
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

from kit.calibration.binning import Bin
from kit.costs import Cost
from kit.measures import QUANTITIES
from kit.perturbation import PARAMETERS
from kit.shifting.report import Shift
from kit.sweep_result import Sweep
from kit.validation import CrossValidation, LearningCurve

_DOTS_PER_INCH = 80
_TITLE_WIDTH = 24


def _image(figure: Any, alt: str) -> Any:
    from IPython.display import Image  # noqa: PLC0415 - only notebooks show figures

    png = BytesIO()
    figure.savefig(png, format="png", dpi=_DOTS_PER_INCH, bbox_inches="tight")
    return Image(data=png.getvalue(), format="png", alt=alt)  # type: ignore[no-untyped-call]


def cost_figure(costs: Sequence[Cost]) -> Any:
    """Draw the share of right answers and of changed answers under each fault, as horizontal bars.

    Parameters
    ----------
    costs
        As :func:`kit.costs.fault_costs` returns them; the first is the preprocessing as in training.

    Returns
    -------
    IPython.display.Image
        A PNG with alternative text.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    figure = Figure(figsize=(8, 0.27 * len(costs) + 1))
    axes = figure.subplots()
    places = np.arange(len(costs))[::-1]
    axes.barh(
        places + 0.2, [100 * cost.right for cost in costs], 0.4, label="answered rightly", color="#1b6ec2"
    )
    axes.barh(
        places - 0.2, [100 * cost.confidence for cost in costs], 0.4, label="mean confidence", color="#e0a458"
    )
    axes.axvline(100 * costs[0].right, color="#1b6ec2", linewidth=1, linestyle=":")
    axes.set_yticks(places, [cost.title for cost in costs])
    axes.set_xlim(0, 100)
    axes.set_xlabel("pictures answered rightly, and mean confidence in the answer given (%)")
    axes.set_ylim(-0.6, len(costs) - 0.4)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    worst = ", ".join(f"{cost.title} ({cost.right:.0%})" for cost in costs[1:4])
    alt = (
        f"Horizontal bars for {len(costs)} preprocessings. As in training {costs[0].right:.0%} of the "
        f"pictures are answered rightly; worst are {worst}."
    )
    return _image(figure, alt)


def picture_figure(pictures: Sequence[tuple[str, npt.NDArray[np.uint8]]], columns: int = 4) -> Any:
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
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    rows = -(-len(pictures) // columns)
    figure = Figure(figsize=(2.4 * columns, 2.7 * rows))
    for place, (title, pixels) in enumerate(pictures, start=1):
        axes = figure.add_subplot(rows, columns, place)
        axes.imshow(pixels, interpolation="nearest")
        axes.set_title(textwrap.fill(title, _TITLE_WIDTH), fontsize=9)
        axes.set_axis_off()
    titles = "; ".join(title for title, _ in pictures)
    return _image(figure, f"{len(pictures)} pictures: {titles}.")


def confidence_figure(panels: Sequence[tuple[str, Mapping[str, npt.NDArray[np.floating]]]]) -> Any:
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
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    figure = Figure(figsize=(4 * len(panels), 3), layout="constrained")
    for axes, (title, kinds) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for (kind, confidences), color in zip(kinds.items(), ("#1b6ec2", "#e0a458", "#555"), strict=False):
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
    return _image(figure, f"Histograms of confidence. {alt}")


def reliability_figure(panels: Sequence[tuple[str, Sequence[Bin]]]) -> Any:
    """Draw reliability diagrams side by side, each over the number of pictures in its bins.

    Parameters
    ----------
    panels
        Pairs of a title and the bins of `kit.calibration.Reliability`.

    Returns
    -------
    IPython.display.Image
        A PNG with alternative text. Points are the share of right answers in a bin with its 95 % interval,
        at the mean confidence of its pictures; on the dotted line a network is as often right as it says.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    figure = Figure(figsize=(4 * len(panels), 4.6), layout="constrained")
    grid = figure.subplots(
        2, len(panels), squeeze=False, sharex=True, sharey="row", gridspec_kw={"height_ratios": [3, 1]}
    )
    for column, (title, bins) in enumerate(panels):
        axes, below = grid[:, column]
        confidence, accuracy = [one.confidence for one in bins], [one.accuracy for one in bins]
        margins = [[one.accuracy - one.interval[0] for one in bins]]
        margins.append([one.interval[1] - one.accuracy for one in bins])
        axes.plot([0, 1], [0, 1], color="#555", linestyle=":", linewidth=1)
        axes.vlines(confidence, confidence, accuracy, color="#e0a458", linewidth=5, label="gap")
        axes.errorbar(
            confidence,
            accuracy,
            np.maximum(margins, 0),
            fmt="o",
            capsize=3,
            color="#1b6ec2",
            label="share, 95 % interval",
        )
        axes.set(title=title, xlim=(0, 1), ylim=(0, 1.02))
        below.bar(
            [one.low for one in bins],
            [one.count for one in bins],
            [one.high - one.low for one in bins],
            align="edge",
            color="#1b6ec2",
            edgecolor="white",
            linewidth=0.5,
        )
        below.set_xlabel("confidence")
    grid[0, 0].legend(loc="upper left", frameon=False)
    grid[0, 0].set_ylabel("share of right answers")
    grid[1, 0].set_ylabel("pictures")
    alt = "Reliability diagrams. " + " ".join(f"{title}: {_gap(bins)}." for title, bins in panels)
    return _image(figure, alt)


def _gap(bins: Sequence[Bin]) -> str:
    """Put the calibration of some bins into words."""
    pictures = sum(one.count for one in bins)
    confidence = sum(one.confidence * one.count for one in bins) / pictures
    accuracy = sum(one.accuracy * one.count for one in bins) / pictures
    error = sum(abs(one.accuracy - one.confidence) * one.count for one in bins) / pictures
    return (
        f"{accuracy:.0%} right at a mean confidence of {confidence:.0%} on {pictures:,} pictures, calibration"
        f" error {error:.3f}"
    )


def novelty_figure(
    ordinary: npt.NDArray[np.floating], foreign: Mapping[str, npt.NDArray[np.floating]], threshold: float
) -> Any:
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
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    sets = {"ordinary": ordinary, **foreign}
    figure = Figure(figsize=(8, 0.4 * len(sets) + 1.2))
    axes = figure.subplots()
    places = np.arange(len(sets))[::-1]
    axes.boxplot(
        list(sets.values()),
        positions=places,
        orientation="horizontal",
        widths=0.6,
        whis=(5, 95),
        showfliers=False,
        medianprops={"color": "#1b6ec2"},
    )
    axes.axvline(threshold, color="#b3261e", linestyle="--", label="threshold")
    axes.set_yticks(places, list(sets))
    axes.set_xlabel("score, higher for what is stranger (box: middle half; whiskers: 5 % to 95 %)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    shares = ", ".join(f"{name} {np.mean(values > threshold):.0%}" for name, values in sets.items())
    return _image(figure, f"Boxes of scores for {len(sets)} sets of pictures. Above the threshold: {shares}.")


def sweep_figure(sweep: Sweep) -> Any:
    """Draw a sweep: curves over one axis or over listed perturbations, heat maps over two axes.

    Accuracy, where there are labels, and the mean confidence, in percent. Marks below a curve are the values
    at which the answer to a picture flips.

    Parameters
    ----------
    sweep
        With at most two axes.

    Returns
    -------
    IPython.display.Image
        A PNG with alternative text.

    Raises
    ------
    ValueError
        More axes.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    if len(sweep.axes) > 2:
        raise ValueError(
            f"Expected a sweep with at most two axes, received {len(sweep.axes)}; draw a part of it from"
            " sweep.accuracy()"
        )
    figures = {"mean confidence": sweep.confidence()}
    if (sweep.labels >= 0).any():
        figures = {"accuracy": sweep.accuracy(), **figures}
    many = f"{len(sweep.photos)} picture{'s' if len(sweep.photos) != 1 else ''}"
    ends = "; ".join(
        f"{name} from {_percent(np.nanmin(values))} to {_percent(np.nanmax(values))}"
        for name, values in figures.items()
        if not np.isnan(values).all()
    )
    if len(sweep.axes) == 2:
        figure = Figure(figsize=(5 * len(figures), 4))
        _heat_maps(figure, sweep, figures)
        return _image(figure, f"Heat maps over {' and '.join(sweep.axes)} for {many}: {ends}.")
    figure = Figure(figsize=(7, 4))
    _curves(figure.subplots(), sweep, figures)
    what = ", ".join(sweep.axes) or f"{len(sweep.perturbations)} perturbations"
    return _image(figure, f"Curves over {what} for {many}: {ends}; {len(sweep.flips)} flips marked.")


def _curves(axes: Any, sweep: Sweep, figures: Mapping[str, npt.NDArray[np.float64]]) -> None:
    name = next(iter(sweep.axes), None)
    values = [] if name is None else list(sweep.axes[name])
    numbers = bool(values) and None not in values
    places = np.argsort(values) if numbers else np.arange(len(sweep.perturbations))
    across = np.array(values, float)[places] if numbers else places
    for (title, line), colour in zip(figures.items(), ("#1b6ec2", "#e0a458")[-len(figures) :], strict=True):
        axes.plot(across, 100 * line[places], marker="o", markersize=3, label=title, color=colour)
    if numbers and sweep.flips:
        flips = [flip.value for flip in sweep.flips]
        axes.plot(flips, np.full(len(flips), -3), "|", color="#b3261e", label="an answer flips")
    if numbers:
        axes.set_xlabel(_axis_label(str(name)))
    else:
        shown = values or [repr(each) for each in sweep.perturbations]
        axes.set_xticks(places, [textwrap.fill(str(each), _TITLE_WIDTH) for each in shown], rotation=30)
        axes.set_xlabel("perturbation" if name is None else _axis_label(name))
    axes.set_ylim(-6, 104)
    axes.set_ylabel("%")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)


def _heat_maps(figure: Any, sweep: Sweep, figures: Mapping[str, npt.NDArray[np.float64]]) -> None:
    down, across = sweep.axes
    panels = figure.subplots(1, len(figures), squeeze=False)[0]
    for axes, (title, values) in zip(panels, figures.items(), strict=True):
        shown = axes.imshow(
            100 * values,
            origin="lower",
            aspect="auto",
            vmin=0,
            vmax=100,
            cmap="viridis",
            interpolation="nearest",
        )
        for name, ticks in ((across, axes.set_xticks), (down, axes.set_yticks)):
            places = range(0, len(sweep.axes[name]), max(1, len(sweep.axes[name]) // 6))
            ticks(list(places), [_tick(sweep.axes[name][place]) for place in places])
        axes.set_xlabel(_axis_label(across))
        axes.set_ylabel(_axis_label(down))
        axes.set_title(title, fontsize=10)
        figure.colorbar(shown, ax=axes, label="%")


def _axis_label(name: str) -> str:
    parameter = PARAMETERS.get(name)
    if parameter is None:
        return name
    return f"{parameter.label} ({parameter.unit})" if parameter.unit else parameter.label


def _tick(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _percent(value: float) -> str:
    return f"{value:.0%}"


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
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    bars = list(next(iter(shares.values())))
    colors = ("#9aa0a6", "#e0a458", "#1b6ec2", "#4c9f70", "#8e5ea2", "#c44e52")
    places, width = np.arange(len(shares)), 0.8 / len(bars)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    for number, bar in enumerate(bars):
        heights = [100 * group[bar] for group in shares.values()]
        offset = (number - (len(bars) - 1) / 2) * width
        axes.bar(places + offset, heights, 0.9 * width, label=bar, color=colors[number % len(colors)])
    axes.set_xticks(places, [textwrap.fill(group, _TITLE_WIDTH) for group in shares])
    axes.set(ylim=(0, 100), ylabel="answered rightly (%)")
    figure.legend(loc="outside upper center", ncols=len(bars), frameon=False)
    alt = " ".join(
        f"{group}: " + ", ".join(f"{bar} {share:.0%}" for bar, share in group_shares.items()) + "."
        for group, group_shares in shares.items()
    )
    return _image(figure, f"Bars of the share of pictures answered rightly. {alt}")


def shift_figure(shift: Shift) -> Any:
    """Draw Cliff's delta of each quantity with its interval, the ranking from top to bottom.

    Parameters
    ----------
    shift
        As :func:`kit.shift` returns it.

    Returns
    -------
    IPython.display.Image
        A PNG with alternative text.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    shown = [one for one in shift.findings if one.verdict != "cannot_tell"]
    figure = Figure(figsize=(7, 0.3 * max(len(shown), 1) + 1))
    axes = figure.subplots()
    colours = {"shifted": "#b3261e", "follows": "#e0a458", "unchanged": "#6b7280"}
    for verdict, colour in colours.items():
        rows = [(place, one.difference) for place, one in enumerate(shown) if one.verdict == verdict]
        if rows:
            deltas = np.array([one.delta for _, one in rows])
            bounds = np.array([(one.low, one.high) for _, one in rows]).T
            widths = np.abs(bounds - deltas)
            axes.errorbar(
                deltas, [place for place, _ in rows], xerr=widths, fmt="o", color=colour, label=verdict
            )
    axes.axvline(0, color="#6b7280", linewidth=1, linestyle=":")
    axes.set_yticks(range(len(shown)), [QUANTITIES[one.quantity].label for one in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(-1.05, 1.05)
    axes.set_xlabel("Cliff's delta: pairs in which the photo has more, minus those in which it has less")
    if shown:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    named = [f"{QUANTITIES[one.quantity].label} {one.difference.delta:+.2f}" for one in shift.shifted]
    alt = f"Effect sizes of {len(shown)} quantities. Shifted: {'; '.join(named) or 'none'}."
    return _image(figure, alt)


def learning_curve_figure(curve: LearningCurve) -> Any:
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
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    sizes = [point.size for point in curve.points]
    held_back = [point.validation for point in curve.points]
    accuracy = 100 * np.array([each.accuracy for each in held_back])
    bounds = 100 * np.array([(each.low, each.high) for each in held_back]).T
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    training = [100 * point.training for point in curve.points]
    axes.plot(sizes, training, "o:", color="#e0a458", label="training")
    axes.errorbar(
        sizes,
        accuracy,
        np.abs(bounds - accuracy),
        fmt="o-",
        capsize=3,
        color="#1b6ec2",
        label="validation, 95 % interval",
    )
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("training pictures (logarithmic)")
    axes.set_ylabel("answered rightly (%)")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    points = "; ".join(
        f"{point.size:,} pictures: {point.validation.accuracy:.1%} ({point.validation.low:.1%} to"
        f" {point.validation.high:.1%}), training {point.training:.1%}"
        for point in curve.points
    )
    return _image(figure, f"Learning curve, validation accuracy with 95% confidence. {points}.")


def folds_figure(validation: CrossValidation) -> Any:
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
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    alt = f"mean {validation.accuracy:.1%}"
    if len(validation.folds) > 1:
        low, high = validation.interval()
        axes.axhspan(
            100 * low, 100 * high, color="#1b6ec2", alpha=0.15, linewidth=0, label="95 % interval, corrected"
        )
        alt += f", 95% confidence {low:.1%} to {high:.1%} (Nadeau-Bengio)"
    axes.axhline(100 * validation.accuracy, color="#1b6ec2", linestyle="--", label="mean")
    numbers = range(1, len(validation.folds) + 1)
    accuracies = [100 * accuracy for accuracy in validation.accuracies]
    axes.plot(numbers, accuracies, "o", color="#e0a458", label="a fold")
    axes.set_xlim(0.5, validation.planned + 0.5)
    axes.set_xticks(range(1, validation.planned + 1))
    axes.set_xlabel("fold held back")
    axes.set_ylabel("answered rightly (%)")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    each = ", ".join(f"{accuracy:.1%}" for accuracy in validation.accuracies)
    done = "" if validation.complete else f" of {validation.planned}"
    return _image(figure, f"Accuracy on {len(validation.folds)}{done} folds: {each}; {alt}.")
