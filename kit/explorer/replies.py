"""The replies to the page's requests for views."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from time import perf_counter

import numpy as np

from kit._arrays import Pixels
from kit.explorer.bench import View
from kit.explorer.protocol import (
    AheadReply,
    Chip,
    Heat,
    PreviewSource,
    Shown,
    ViewReply,
)
from kit.explorer.settings import OF_PAGES, step_words
from kit.explorer.texts import (
    WORDS,
    answer_name,
    answer_of,
    as_code,
    bars,
    verdict,
)
from kit.images.opening import Decoding
from kit.perturbation import PARAMETERS
from kit.preprocessing import Preprocessing
from kit.preprocessing.scaling import range_words

REPLY_BYTES = 65_536
"""Smallest reply. Jupyter's kernel websocket keeps Nagle's algorithm on, so a smaller one waits up to 40 ms
for a delayed acknowledgement while a slider is dragged; from 64 KiB on it leaves at once."""
LIVE_PIXELS = 1_048_576
"""Largest photo, in pixels, that the page perturbs by itself; the kernel shows larger ones reduced."""
IDLE = Preprocessing(filter="lanczos", fit="pad")
"""What stands for a step that does nothing; resizing always does something."""


def padded(buffer: bytes) -> bytes:
    """Return bytes that no websocket holds back."""
    return buffer.ljust(REPLY_BYTES, b"\0")


def chips_of_path(view: View) -> dict[str, Chip]:
    """Return what stands in each chip."""
    height, width = view.source.size
    trained = view.bench.trained
    perturbation_labels = [
        PARAMETERS[key].label for key in view.changed if key in PARAMETERS
    ]
    received_range = range_words(view.preprocessing.scaling)
    expected_range = range_words(view.base.scaling)
    if received_range != expected_range:
        received_range = WORDS["expected"].format(
            gets=received_range, expects=expected_range
        )
    value_of_chip = {
        "file": ", ".join(view.source.notes),
        "photograph": f"{width} × {height}",
        "perturbation": ", ".join(perturbation_labels) or "none",
        "tensor": received_range,
        "probabilities": answer_name(view),
    }
    chips: dict[str, Chip] = {
        key: {"value": value, "changed": False, "hidden": not value}
        for key, value in value_of_chip.items()
    }
    chips["perturbation"]["changed"] = bool(perturbation_labels)
    return chips | step_chips(view.preprocessing, trained)


def step_chips(preprocessing: Preprocessing, trained: Preprocessing) -> dict[str, Chip]:
    """Return for each step its value in words, whether it is changed, and whether it does nothing."""
    trained_words = step_words(trained)
    idle_words = step_words(IDLE)
    chips: dict[str, Chip] = {}
    # A step that does nothing is hidden, unless it is changed to that.
    for step, words in step_words(preprocessing).items():
        changed = words != trained_words[step]
        chips[step] = {
            "value": words.replace("_", " "),
            "changed": changed,
            "hidden": words == idle_words[step] and not changed,
        }
    chips["scaling"]["value"] = range_words(preprocessing.scaling)
    return chips


def heat_map(view: View) -> tuple[Heat | None, bytes]:
    """Return the heat map of a view as the page shows it, and its places: RGBA, laid over the pixels."""
    heat = view.heat
    if heat is None:
        return None, b""
    height, width = heat.cells.shape
    # A map by occlusion begins empty; its rows come one by one, as the page asks for them.
    message: Heat = {
        "height": height,
        "width": width,
        "waits": heat.method == "occlusion",
        "name": heat.class_name,
        "about": WORDS["map"].format(name=heat.class_name),
    }
    return message, heat.rgba.tobytes()


def shown(view: View) -> tuple[Shown, bytes]:
    """Return texts and bars of a view as the page shows them, and the pixels that the network sees.

    The places of a heat map follow them.
    """
    heat, heat_bytes = heat_map(view)
    model_input = view.seen
    height, width = view.source.size
    answer = answer_of(view)
    message: Shown = {
        "settings": view.settings,
        "bars": bars(view),
        "answer": answer,
        "verdict": verdict(answer),
        "path": chips_of_path(view),
        "code": as_code(view),
        "about": ", ".join((f"{width} × {height} pixels", *view.source.notes)),
        "input": {"height": model_input.shape[0], "width": model_input.shape[1]},
        "where": heat,
    }
    return message, model_input.tobytes() + heat_bytes


def ahead_reply(
    views: Sequence[View], request_id: str
) -> tuple[AheadReply, list[bytes]]:
    """Answer for settings that nobody has chosen yet."""
    messages_and_bytes = [shown(view) for view in views]
    reply: AheadReply = {
        "kind": "ahead",
        "request": request_id,
        "views": [message for message, _ in messages_and_bytes],
    }
    return reply, [
        padded(b"".join(input_bytes for _, input_bytes in messages_and_bytes))
    ]


@dataclass(eq=False)
class Replies:
    """Answers with views, and knows which photo the page holds, so that each is sent once."""

    sent_photo: tuple[str, Decoding] | None = None

    def answer(
        self, view: View, request_id: str, started_seconds: float
    ) -> tuple[ViewReply, list[bytes]]:
        """Answer with a view."""
        message, input_bytes = shown(view)
        pixels, source = self._preview(view)
        buffers = [padded(input_bytes)]
        if pixels is not None:
            buffers.append(pixels.tobytes())
        reply: ViewReply = {
            **message,
            "kind": "view",
            "request": request_id,
            "source": source,
            "kernelMs": round(1000 * (perf_counter() - started_seconds), 1),
        }
        return reply, buffers

    def _preview(self, view: View) -> tuple[Pixels | None, PreviewSource]:
        """Pixels of the photo for the page, None where it has them, and what they are."""
        height, width = view.source.size
        page_paints = view.changed.keys() - {"fix"} <= OF_PAGES
        page_perturbs = height * width <= LIVE_PIXELS and page_paints
        pixels = view.source.pixels if page_perturbs else view.photo.pixels
        # Of a larger photo every second, third and so on, up to LIVE_PIXELS: to look at, never to predict.
        step = ceil(sqrt(height * width / LIVE_PIXELS))
        pixels = np.ascontiguousarray(pixels[::step, ::step])
        source: PreviewSource = {
            "height": pixels.shape[0],
            "width": pixels.shape[1],
            "live": page_perturbs,
        }
        photo_key = (
            (view.settings["photo"], view.source.decoding) if page_perturbs else None
        )
        # The page has the pixels of this very photo.
        if page_perturbs and photo_key == self.sent_photo:
            return None, source
        self.sent_photo = photo_key
        return pixels, source
