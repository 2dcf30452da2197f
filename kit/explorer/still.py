"""A picture of the explorer for where no kernel is: GitHub, nbviewer, exports, and notebooks opened later."""

from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kit._arrays import Pixels
from kit.explorer.view import View
from kit.images.photo import encoded
from kit.plots.canvas import tag

SIDE = 200
"""Longest side of the two pictures in a still, in pixels."""
WIDTH, ROW, GAP = 820, 22, 12
LIVE = "Run this cell to make the explorer live."
_LATER = (
    "<style>@keyframes kit-note { from { visibility: hidden; max-height: 0 } }"
    " .kit-note { animation: 3s step-end kit-note; overflow: hidden }</style>"
)
_TEXT, _SOFT, _BAR, _GHOST, _TRACK = "#1f1f1f", "#5a5a5a", "#1b6ec2", "#c5d9ee", "#ececec"


def small(pixels: Pixels, side: int = SIDE) -> bytes:
    """Return a JPEG of at most `side` pixels a side."""
    return encoded(_fitted(pixels, side), "JPEG", quality=85)


def still(view: View, message: dict[str, Any], title: str) -> bytes:
    """Return a PNG of photograph, network's input and bars, on white.

    Parameters
    ----------
    view
        What is shown.
    message
        The same in words, as the page has it.
    title
        Name of the classifier.
    """
    rows = message["bars"]
    height = max(SIDE + 2 * ROW, ROW * (len(rows) + 2)) + 4 * GAP + ROW
    image = Image.new("RGB", (WIDTH, height), "white")
    draw = ImageDraw.Draw(image)
    large, text = ImageFont.load_default(20), ImageFont.load_default(13)
    draw.text((GAP, GAP), f"{title} · {view.settings['photo']}"[:60], _SOFT, text)
    pictures = ((view.photo.pixels, "The photograph"), (view.seen, "What it sees"))
    for place, (pixels, told) in enumerate(pictures):
        left = GAP + place * (SIDE + GAP)
        image.paste(_fitted(pixels, SIDE), (left, GAP + ROW))
        draw.text((left, GAP + ROW + SIDE + 4), told, _SOFT, text)
    left = 2 * (SIDE + GAP) + 2 * GAP
    told = message["answer"]
    draw.text((left, GAP), f"{told['name']}  {told['share']}  {told['mark'][2:]}"[:36], _TEXT, large)
    for place, row in enumerate(rows):
        top = GAP + 2 * ROW + place * ROW
        draw.text((left, top), row["name"][:18], _TEXT, text)
        start, length = left + 140, 150
        draw.rectangle((start, top + 2, start + length, top + 14), fill=_TRACK)
        for key, fill, inset in (("ghost", _GHOST, 2), ("value", _BAR, 5)):
            if row[key] > 0:
                draw.rectangle((start, top + inset, start + length * row[key], top + 16 - inset), fill=fill)
        draw.text((start + length + 8, top), row["text"], _TEXT, text)
    draw.text((GAP, height - GAP - ROW), LIVE, _SOFT, text)
    # Notebooks stay small: noise in 24 bits a pixel would be a quarter of a megabyte.
    return encoded(image.quantize(256, Image.Quantize.FASTOCTREE))


def note(view: View, message: dict[str, Any], title: str) -> dict[str, Any]:
    """Return what stands below the widget, which takes it away once it is live; shown after three seconds."""
    png = still(view, message, title)
    html = f'{_LATER}<div class="kit-note">{tag(png, described(view, message, title))}<p>{LIVE}</p></div>'
    return {"text/plain": LIVE, "text/html": html, "image/png": png}


def described(view: View, message: dict[str, Any], title: str) -> str:
    """Say in words what the still shows."""
    return f"Explorer of {title}: the photograph {view.settings['photo']}. {message['verdict']}"


def _fitted(pixels: Pixels, side: int) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    scale = side / max(image.size)
    if scale < 1:
        image.thumbnail((side, side))
    elif scale > 1:
        # Small pictures are enlarged in whole pixels, so that none of them is invented.
        factor = max(1, int(scale))
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    return image
