"""Reliability diagrams as inline SVG, and a slider that moves through several of them.

Everything is drawn before the hand moves, so that the slider does nothing but exchange one text. Colours come
from the page, light or dark.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from kit.validation.calibration.binning import Bin

_SIDE, _LEFT, _TOP, _COUNTS, _GAP = 220, 46, 40, 44, 28
_TICKS = (0.0, 0.5, 1.0)
_HEIGHT = _TOP + _SIDE + _GAP + _COUNTS + 40
_STYLE = """<style>
.kit-reliability { --kit-bar: #1b6ec2; --kit-accent: #b3510b; color: var(--jp-ui-font-color1, #1f1f1f);
  font: 12px var(--jp-ui-font-family, system-ui, sans-serif); max-width: 100%; height: auto }
[data-jp-theme-light="false"] .kit-reliability, .vscode-dark .kit-reliability,
html[theme="dark"] .kit-reliability { --kit-bar: #5fa8f0; --kit-accent: #f0a35f }
.kit-reliability text { fill: currentColor }
.kit-reliability .axis { stroke: currentColor; stroke-opacity: 0.5; fill: none }
.kit-reliability .line { stroke: currentColor; stroke-dasharray: 3 3 }
.kit-reliability .right { fill: var(--kit-bar) }
.kit-reliability .interval { stroke: var(--kit-bar); stroke-width: 2 }
.kit-reliability .gap { stroke: var(--kit-accent); stroke-width: 5; stroke-opacity: 0.6 }
</style>"""


def diagram(panels: Sequence[tuple[str, str, Sequence[Bin]]]) -> str:
    """Draw reliability diagrams side by side, each over the number of pictures in its bins.

    Parameters
    ----------
    panels
        Title, a line below it, and the bins of `kit.validation.calibration.Reliability`.

    Returns
    -------
    str
        HTML with one inline SVG. Points are the share of right answers in a bin with its 95 % interval, at
        the mean confidence of its pictures; thick lines are the gap to the dashed line, on which a network is
        as often right as it says.
    """
    width = len(panels) * (_LEFT + _SIDE + 20)
    label = "Reliability diagrams. " + " ".join(f"{title}: {line}." for title, line, _ in panels)
    drawn = "".join(
        f'<g transform="translate({index * (_LEFT + _SIDE + 20) + _LEFT} {_TOP})">{_panel(*panel)}</g>'
        for index, panel in enumerate(panels)
    )
    return (
        f'{_STYLE}<svg class="kit-reliability" role="img" aria-label="{escape(label)}" width="{width}"'
        f' height="{_HEIGHT}" viewBox="0 0 {width} {_HEIGHT}">{drawn}</svg>'
    )


def slider(diagrams: Mapping[int, str], description: str) -> Any:
    """Return a slider over diagrams that are drawn already.

    Parameters
    ----------
    diagrams
        HTML by number, in the order of the slider; it begins with the first.
    description
        What the numbers are, plain text.

    Returns
    -------
    ipywidgets.VBox
        The slider over the diagram.

    Raises
    ------
    ValueError
        No diagram.
    """
    from ipywidgets import HTML, Layout, SelectionSlider, VBox  # noqa: PLC0415 (only notebooks show it)

    if not diagrams:
        raise ValueError("Expected at least one diagram, received none")
    chooser = SelectionSlider(
        options=[(f"{number:,}", number) for number in diagrams],
        description=description,
        style={"description_width": "initial"},
        layout=Layout(width="36em"),
    )
    shown = HTML(diagrams[chooser.value])

    def show(change: Mapping[str, Any]) -> None:
        shown.value = diagrams[change["new"]]

    chooser.observe(show, "value")
    return VBox([chooser, shown])


def _panel(title: str, line: str, bins: Sequence[Bin]) -> str:
    """Both axes of one panel, with the origin at the upper left corner of the square."""
    base = _SIDE + _GAP + _COUNTS
    most = max((one.count for one in bins), default=1)
    return "".join(
        [
            f'<text y="-24" font-weight="bold">{escape(title)}</text><text y="-8">{escape(line)}</text>',
            f'<rect class="axis" width="{_SIDE}" height="{_SIDE}"/>',
            f'<path class="line" d="M0 {_SIDE}L{_SIDE} 0"/>',
            *(_text(-6, _y(share) + 4, f"{share:g}", "end") for share in _TICKS),
            f'<g transform="translate(-32 {_SIDE / 2}) rotate(-90)">',
            _text(0, 0, "share of right answers"),
            "</g>",
            *map(_point, bins),
            _text(-6, _SIDE + _GAP + 4, f"{most:,}", "end"),
            f'<path class="axis" d="M0 {base}H{_SIDE}"/>',
            *(_bar(one, most, base) for one in bins),
            *(_text(_SIDE * share, base + 14, f"{share:g}") for share in _TICKS),
            _text(_SIDE / 2, base + 30, "confidence; below, pictures in each bin"),
        ]
    )


def _point(one: Bin) -> str:
    x, y = round(_SIDE * one.confidence, 1), _y(one.accuracy)
    low, high = (_y(end) for end in one.interval)
    return (
        f'<path class="gap" d="M{x} {_y(one.confidence)}V{y}"/>'
        f'<path class="interval" d="M{x} {low}V{high}"/>'
        f'<circle class="right" cx="{x}" cy="{y}" r="4"/>'
    )


def _bar(one: Bin, most: int, base: float) -> str:
    height = round(_COUNTS * one.count / most, 1)
    x, width = _SIDE * one.low + 1, max(_SIDE * (one.high - one.low) - 2, 1)
    return f'<rect class="right" x="{x:.1f}" y="{base - height:.1f}" width="{width:.1f}" height="{height}"/>'


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{text}</text>'


def _y(share: float) -> float:
    return round(_SIDE * (1 - share), 1)
