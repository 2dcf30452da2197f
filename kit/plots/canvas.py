"""What all figures share: a canvas outside pyplot, colours, and the way to a PNG with alternative text."""

import textwrap
from io import BytesIO
from typing import Any, Literal

BLUE, ORANGE, RED = "#1b6ec2", "#e0a458", "#b3261e"
GREY, DARK = "#6b7280", "#555"

_DOTS_PER_INCH = 80
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
        A PNG.
    """
    from IPython.display import Image  # noqa: PLC0415 (only notebooks show figures)

    png = BytesIO()
    figure.savefig(png, format="png", dpi=_DOTS_PER_INCH, bbox_inches="tight")
    return Image(data=png.getvalue(), format="png", alt=alt)  # type: ignore[no-untyped-call]


def wrapped(title: str) -> str:
    """Break a title into lines that fit a small picture or a tick."""
    return textwrap.fill(title, _TITLE_WIDTH)
