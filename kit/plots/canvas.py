"""What all figures share: a canvas outside pyplot, colours, and the way to a PNG with alternative text."""

import textwrap
from base64 import b64encode
from functools import cache
from html import escape
from io import BytesIO
from typing import Any, Literal

from kit._interrupts import held

BLUE, ORANGE, RED = "#1b6ec2", "#e0a458", "#b3261e"
GREY, DARK = "#6b7280", "#787878"
"""DARK is read on white and on the dark theme's ground alike: a contrast of 4.3 to 1 on both (WCAG 2.2)."""

_DOTS_PER_INCH = 80
_SMALLEST = 11 * 72 / _DOTS_PER_INCH
"""Points of type that are 11 pixels."""
_TITLE_WIDTH = 24


def blank(width: float, height: float, layout: Literal["constrained"] | None = None) -> Any:
    """Return an empty `matplotlib.figure.Figure`, which takes no part in pyplot's global state.

    Parameters
    ----------
    width, height
        In inches.
    layout
        "constrained" makes room for what lies beside the axes.
    """
    with held():
        from matplotlib.figure import Figure  # noqa: PLC0415 (slow to import)

    return Figure(figsize=(width, height), layout=layout)


def image(figure: Any, alt: str) -> Any:
    """Turn a figure into what a notebook shows.

    Parameters
    ----------
    figure
        A `matplotlib.figure.Figure`.
    alt
        Says in words, with the numbers, what the figure shows.

    Returns
    -------
    IPython.display.Image
        A PNG, and the same as HTML.
    """
    _suit_both_themes(figure)
    png = BytesIO()
    figure.savefig(png, format="png", dpi=_DOTS_PER_INCH, bbox_inches="tight", transparent=True)
    return _told_image()(data=png.getvalue(), format="png", alt=alt)


def tag(png: bytes, alt: str) -> str:
    """Return a PNG as an HTML element with its alternative text."""
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{b64encode(png).decode()}">'


@cache
def _told_image() -> Any:
    from IPython.display import Image  # noqa: PLC0415 (only notebooks show figures)

    class ToldImage(Image):
        """JupyterLab leaves the alternative text of a PNG out; that of an element it reads."""

        def __repr__(self) -> str:
            return "<figure with alternative text>"

        def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
            data, metadata = super()._repr_mimebundle_(include, exclude)  # type: ignore[no-untyped-call]
            return {**data, "text/html": tag(self.data, self.alt)}, metadata

    return ToldImage


def _suit_both_themes(figure: Any) -> None:
    """Draw words, ticks and frames so that they are read on a light page, a dark one and a small one."""
    with held():
        from matplotlib.legend import Legend  # noqa: PLC0415 (slow to import)
        from matplotlib.text import Text  # noqa: PLC0415

    for text in figure.findobj(Text):
        text.set_color(DARK)
        text.set_parse_math(False)  # a dollar in the name of a class or file is one
        text.set_fontsize(max(text.get_fontsize(), _SMALLEST))
    for axes in figure.axes:
        axes.tick_params(color=DARK)
        for spine in axes.spines.values():
            spine.set_edgecolor(DARK)
    for legend in figure.findobj(Legend):
        legend.get_frame().set_alpha(0)


def wrapped(title: str, width: int = _TITLE_WIDTH) -> str:
    """Break a title into lines of at most so many letters, which fit a small picture or a tick."""
    return textwrap.fill(title, width)
