"""What the kernel answers: texts and bars as JSON, pixels as raw bytes.

A compressed preview would alter the very pixels that a person is looking at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from kit._arrays import Pixels
from kit.explorer import path, words
from kit.explorer.still import small
from kit.explorer.view import MAIN, View
from kit.perturbation import PARAMETERS

REPLY_BYTES = 65_536
"""Smallest reply. Jupyter's kernel websocket keeps Nagle's algorithm on, so a smaller one waits up to 40 ms
for a delayed acknowledgement while a slider is dragged; from 64 KiB on it leaves at once."""
LIVE_PIXELS = 1_048_576
"""Largest photograph, in pixels, that the page perturbs by itself; the kernel shows larger ones reduced."""

Message = tuple[dict[str, Any], list[bytes]]


def shown(view: View, names: Sequence[str], idle: Sequence[str]) -> tuple[dict[str, Any], bytes]:
    """Return texts and bars of a view as the page shows them, and the pixels that the network sees."""
    seen = view.seen
    message = {
        "settings": view.settings,
        "bars": words.bars(view, names),
        "answer": words.answer(view, names),
        "verdict": words.verdict(view, names),
        "tensor": words.tensor_table(view),
        "path": path.values(view, names, idle),
        "code": words.as_code(view),
        "about": ", ".join((f"{view.source.size[1]} × {view.source.size[0]} pixels", *view.source.notes)),
        "input": {"height": seen.shape[0], "width": seen.shape[1]},
    }
    return message, seen.tobytes()


def frozen(view: View, names: Sequence[str], idle: Sequence[str]) -> dict[str, Any]:
    """Return a view as the state of a widget keeps it, for pages without a kernel."""
    message, _ = shown(view, names, idle)
    return {"content": message, "pictures": [small(view.photo.pixels, 256), small(view.seen, 256)]}


@dataclass(eq=False)
class Replies:
    """Makes the replies, and knows which photograph the page holds, so that each is sent once."""

    names: Sequence[str]
    held: tuple[object, ...] | None = None

    def view(self, view: View, idle: Sequence[str], request: str, started: float) -> Message:
        """Answer with a view."""
        message, model_input = shown(view, self.names, idle)
        pixels, source = self._preview(view)
        buffers = [model_input.ljust(REPLY_BYTES, b"\0")]
        if pixels is not None:
            buffers.append(pixels.tobytes())
        spent = round(1000 * (perf_counter() - started), 1)
        return message | {"kind": "view", "request": request, "source": source, "kernelMs": spent}, buffers

    def ahead(self, views: Sequence[View], idle: Sequence[str], request: str) -> Message:
        """Answer for settings that nobody has chosen yet."""
        told = [shown(view, self.names, idle) for view in views]
        pixels = b"".join(part for _, part in told).ljust(REPLY_BYTES, b"\0")
        return {"kind": "ahead", "request": request, "views": [each for each, _ in told]}, [pixels]

    def note_held(self, photo: object) -> None:
        """Send a photograph again that the page did not keep, since a newer answer had overtaken it."""
        if photo is not None and self.held is not None and self.held[0] != photo:
            self.held = None

    def _preview(self, view: View) -> tuple[Pixels | None, dict[str, Any]]:
        """Pixels of the photograph for the page, None where it has them, and what they are."""
        height, width = view.source.size
        folded = PARAMETERS.keys() - MAIN
        bent = any(view.settings[name] != PARAMETERS[name].neutral for name in folded)
        live = height * width <= LIVE_PIXELS and not bent
        pixels = view.source.pixels if live else _reduced(view.photo.pixels)
        about = {"live": live, "height": pixels.shape[0], "width": pixels.shape[1]}
        key = (view.settings["photo"], view.source.decoding) if live else None
        if live and key == self.held:
            return None, about
        self.held = key
        return pixels, about


def _reduced(pixels: Pixels) -> Pixels:
    """Every n-th pixel, so that at most LIVE_PIXELS are left: for looking at, never for predicting."""
    step = 1
    while (pixels.shape[0] // step) * (pixels.shape[1] // step) > LIVE_PIXELS:
        step += 1
    return np.ascontiguousarray(pixels[::step, ::step])
