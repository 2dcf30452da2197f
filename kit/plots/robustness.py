"""What perturbations and another source do: sweeps and shifts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kit._arrays import Float64
from kit.images.properties import QUANTITIES
from kit.perturbation import PARAMETERS
from kit.plots.canvas import BLUE, GREY, ORANGE, RED, blank, image, wrapped

if TYPE_CHECKING:
    from kit.robustness.shifts.report import Shift
    from kit.robustness.sweeps.result import Sweep


def sweep_figure(sweep: "Sweep") -> Any:
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
    if len(sweep.axes) > 2:
        raise ValueError(
            f"Expected a sweep with at most two axes, received {len(sweep.axes)}; draw a part of it from"
            " sweep.accuracy()"
        )
    figures = {"accuracy": sweep.accuracy()} if (sweep.labels >= 0).any() else {}
    figures["mean confidence"] = sweep.confidence()
    many = f"{len(sweep.photos)} picture{'s' if len(sweep.photos) != 1 else ''}"
    ends = "; ".join(
        f"{name} from {np.nanmin(values):.0%} to {np.nanmax(values):.0%}"
        for name, values in figures.items()
        if not np.isnan(values).all()
    )
    if len(sweep.axes) == 2:
        figure = blank(4 * len(figures), 3.6)
        _heat_maps(figure, sweep, figures)
        return image(figure, f"Heat maps over {' and '.join(sweep.axes)} for {many}: {ends}.")
    figure = blank(7, 4)
    _curves(figure.subplots(), sweep, figures)
    what = ", ".join(sweep.axes) or f"{len(sweep.perturbations)} perturbations"
    return image(figure, f"Curves over {what} for {many}: {ends}; {len(sweep.flips)} flips marked.")


def shift_figure(shift: "Shift") -> Any:
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
    shown = [one for one in shift.findings if one.verdict != "cannot_tell"]
    axes = blank(7, 0.3 * max(len(shown), 1) + 1).subplots()
    numbers = [(one.difference.delta, one.difference.low, one.difference.high) for one in shown]
    for verdict, colour in (("shifted", RED), ("follows", ORANGE), ("unchanged", GREY)):
        places = [place for place, one in enumerate(shown) if one.verdict == verdict]
        if places:
            delta, *bounds = np.array(numbers)[places].T
            widths = np.abs(np.array(bounds) - delta)
            axes.errorbar(delta, places, xerr=widths, fmt="o", color=colour, label=verdict)
    axes.axvline(0, color=GREY, linewidth=1, linestyle=":")
    axes.set_yticks(range(len(shown)), [QUANTITIES[one.quantity].label for one in shown])
    axes.set(xlim=(-1.05, 1.05), ylim=(len(shown) - 0.5, -0.5))
    axes.set_xlabel("Cliff's delta: pairs in which the photo has more, minus those in which it has less")
    if shown:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    named = [f"{QUANTITIES[one.quantity].label} {one.difference.delta:+.2f}" for one in shift.shifted]
    told = "; ".join(named) or "none"
    return image(axes.figure, f"Effect sizes of {len(shown)} quantities. Shifted: {told}.")


def _curves(axes: Any, sweep: "Sweep", figures: Mapping[str, Float64]) -> None:
    name = next(iter(sweep.axes), None)
    values = [] if name is None else list(sweep.axes[name])
    numbers = bool(values) and None not in values
    places = np.argsort(values) if numbers else np.arange(len(sweep.perturbations))
    across = np.array(values, float)[places] if numbers else places
    for (title, line), colour in zip(figures.items(), (BLUE, ORANGE)[-len(figures) :], strict=True):
        axes.plot(across, 100 * line[places], marker="o", markersize=3, label=title, color=colour)
    if numbers and sweep.flips:
        flips = [flip.value for flip in sweep.flips]
        axes.plot(flips, np.full(len(flips), -3), "|", color=RED, label="an answer flips")
    if not numbers:
        shown = values or [repr(each) for each in sweep.perturbations]
        axes.set_xticks(places, [wrapped(str(each)) for each in shown], rotation=30)
    axes.set_xlabel("perturbation" if name is None else _axis_label(name))
    axes.set(ylim=(-6, 104), ylabel="%")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)


def _heat_maps(figure: Any, sweep: "Sweep", figures: Mapping[str, Float64]) -> None:
    down, across = sweep.axes
    panels = figure.subplots(1, len(figures), squeeze=False)[0]
    for axes, (title, values) in zip(panels, figures.items(), strict=True):
        shown = axes.imshow(100 * values, "viridis", origin="lower", aspect="auto", interpolation="nearest")
        shown.set_clim(0, 100)
        for name, ticks in ((across, axes.set_xticks), (down, axes.set_yticks)):
            places = range(0, len(sweep.axes[name]), max(1, len(sweep.axes[name]) // 6))
            ticks(list(places), [_tick(sweep.axes[name][place]) for place in places])
        axes.set_xlabel(_axis_label(across))
        axes.set_title(f"{title} (%)", fontsize=10)
    panels[0].set_ylabel(_axis_label(down))
    figure.colorbar(shown, ax=list(panels))


def _axis_label(name: str) -> str:
    parameter = PARAMETERS.get(name)
    if parameter is None:
        return name
    return f"{parameter.label} ({parameter.unit})" if parameter.unit else parameter.label


def _tick(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
