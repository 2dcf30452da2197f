"""The replies to the page's requests for views, and what a saved notebook shows of the last."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from ipywidgets import Widget
from PIL import Image

from kit._arrays import Pixels
from kit._reporting import tag
from kit.explorer.bench import View
from kit.explorer.page import page_file
from kit.explorer.protocol import (
    Bar,
    Chip,
    Heat,
    PreviewSource,
    Shown,
)
from kit.explorer.settings import OF_PAGES, Settings, change_words, step_words
from kit.explorer.shelf import small_jpeg
from kit.explorer.texts import (
    WORDS,
    answer_name,
    answer_of,
    as_code,
    bars,
    verdict,
)
from kit.images.opening import Decoding
from kit.images.photo import encoded
from kit.perturbation import PARAMETERS
from kit.preprocessing import Preprocessing
from kit.preprocessing.scaling import range_words

REPLY_BYTES = 65_536
"""Smallest reply. Jupyter's kernel websocket keeps Nagle's algorithm on, so a smaller one waits up to 40 ms
for a delayed acknowledgement while a slider is dragged; from 64 KiB on it leaves at once."""
LIVE_PIXELS = 1_048_576
"""Largest photo, in pixels, that the page perturbs by itself; the kernel perturbs larger ones."""
PREVIEW_SIDE = 420
"""Longest side of a photo that the kernel perturbs, in pixels, until the page says how large it shows it."""
IDLE_WORDS = {**step_words(Preprocessing()), "filter": "", "fit": ""}
"""In words, steps that do nothing; resizing always does something."""
NOTE_SIDE = 200
"""Longest side of the two images of a saved notebook, in pixels."""
_LONGEST_BAR = 25
"""Characters of the longest bar there."""
LIVE = "Run all cells up to this one to make the explorer live."


def padded_to_go_at_once(buffer: bytes) -> bytes:
    """Return bytes that no websocket holds back."""
    # Smaller messages wait in the websocket; the page knows how many bytes count.
    return buffer.ljust(REPLY_BYTES, b"\0")


def chips_by_step(view: View) -> dict[str, Chip]:
    """Return what stands in each chip."""
    height, width = view.source.size
    perturbation_labels = [
        PARAMETERS[key].label for key in view.effective_changes if key in PARAMETERS
    ]
    chips_of_steps = step_chips(view.preprocessing, view.bench.usual_preprocessing)
    # The model input is described by the range of numbers that the network gets, such as 0..1.
    received_range = chips_of_steps["scaling"]["value"]
    expected_range = range_words(view.faultless_preprocessing.scaling)
    if received_range != expected_range:
        received_range = WORDS["expected"].format(
            gets=received_range, expects=expected_range
        )
    # The other chips, from the file to the prediction, belong to no step of the preprocessing.
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
    return chips | chips_of_steps


def step_chips(
    preprocessing: Preprocessing, usual_preprocessing: Preprocessing
) -> dict[str, Chip]:
    """Return for each step its value in words, whether it is changed, and whether it does nothing."""
    usual_words = step_words(usual_preprocessing)
    chips: dict[str, Chip] = {}
    # A step that does nothing is hidden, unless it is changed to that.
    for step, words in step_words(preprocessing).items():
        changed = words != usual_words[step]
        chips[step] = {
            "value": words.replace("_", " "),
            "changed": changed,
            "hidden": words == IDLE_WORDS[step] and not changed,
        }
    chips["scaling"]["value"] = range_words(preprocessing.scaling)  # such as 0..1
    return chips


def heat_map_message(view: View) -> tuple[Heat | None, bytes]:
    """Return the heat map of a view as the page shows it, and its places: RGBA, laid over the pixels."""
    heat_map = view.heat
    if heat_map is None:
        return None, b""
    rows, columns = heat_map.cells.shape
    # Of a map that waits, the page asks for row after row; `send_heat_map` says when all have come.
    message: Heat = {
        "height": rows,
        "width": columns,
        "waits": heat_map.method == "occlusion",
        "name": heat_map.class_name,
        "about": WORDS["map"].format(name=heat_map.class_name),
    }
    # A pixel for each cell: the page enlarges them to the model input.
    return message, heat_map.rgba.tobytes()


def view_message(view: View) -> tuple[Shown, bytes]:
    """Return a view's texts and bars, and the pixels that the network sees, then the places of a heat map."""
    heat_map, heat_map_bytes = heat_map_message(view)
    model_input = view.input_image
    height, width = view.source.size
    # The prediction in parts, and whether it is right.
    answer = answer_of(view)
    message: Shown = {
        "settings": view.settings,
        "bars": bars(view),
        "answer": answer,
        "verdict": verdict(answer),
        "path": chips_by_step(view),
        "code": as_code(view),
        "about": ", ".join((f"{width} × {height} pixels", *view.source.notes)),
        "input": {"height": model_input.shape[0], "width": model_input.shape[1]},
        "where": heat_map,
    }
    # RGB, then RGBA, of the sizes in `input` and `where`.
    return message, model_input.tobytes() + heat_map_bytes


@dataclass(eq=False)
class Replies:
    """Answers the page's messages, and knows which photo the page holds, so that each is sent once."""

    widget: Widget
    request: str = ""  # of the message that is being answered
    sent_photo: tuple[str, Decoding] | None = None  # its name, and how it was decoded
    preview_side: Any = PREVIEW_SIDE  # longest side of the photo on the page's screen

    def send_view(self, view: View) -> None:
        """Answer with a view."""
        message, input_bytes = view_message(view)
        buffers = [padded_to_go_at_once(input_bytes)]
        height, width = view.source.size
        # `OF_PAGES` are changes that the page's JavaScript can make; the fix changes no pixel of the preview.
        page_can_make_changes = view.effective_changes.keys() - {"fix"} <= OF_PAGES
        page_perturbs = height * width <= LIVE_PIXELS and page_can_make_changes
        source: PreviewSource = {
            "height": height,
            "width": width,
            "live": page_perturbs,
        }
        photo = view.settings["photo"], view.source.decoding
        # `source` is the photo before the perturbation, `photo` after it, which is sent each time.
        if not page_perturbs:
            buffers.append(preview_file(view.photo.pixels, self.preview_side))
            self.sent_photo = None  # in its place the page takes this file
        elif photo != self.sent_photo:
            buffers.append(view.source.pixels.tobytes())
            self.sent_photo = photo
        self._send("view", *buffers, **message, source=source)

    def send_ahead(self, views: Iterable[View]) -> None:
        """Answer for settings that nobody has chosen yet."""
        messages, input_bytes = zip(*map(view_message, views), strict=True)
        self._send(
            "ahead", padded_to_go_at_once(b"".join(input_bytes)), views=list(messages)
        )

    def send_heat_map(self, view: View, *, rows_to_come: bool) -> None:
        """Answer with a heat map that has grown by a row, and may grow by more."""
        heat_map, heat_map_bytes = heat_map_message(view)
        if heat_map:
            heat_map["waits"] = rows_to_come
        self._send(
            "where",
            padded_to_go_at_once(heat_map_bytes),
            settings=view.settings,
            where=heat_map,
        )

    def send_mark_of_each(self, views: Iterable[View], settings: Settings) -> None:
        """Say of labelled photos whether their prediction is correct, and nothing else."""
        # By the name of the photo: "right" or "wrong", or empty where it has no label.
        marks = {view.settings["photo"]: answer_of(view)["state"] for view in views}
        self._send("judged", settings=settings, marks=marks)

    def send_noise(self, seed: int) -> None:
        """Answer with what the page draws the noise field of a seed from."""
        self._send("noise", seed=seed, state=generator_state(seed))

    def send_text(self, kind: str, text: str, request: str = "") -> None:
        """Answer with a line, also a message that came before."""
        # A thread names the request, since the message that it answers is over.
        self._send(kind, request=request or self.request, text=text)

    def _send(self, kind: str, *buffers: bytes, **fields: Any) -> None:
        """Send a message with the fields that its type in `kit.explorer.protocol` has."""
        # `fields` may have another request, which then counts.
        content = {"kind": kind, "request": self.request} | fields
        self.widget.send(content, list(buffers))


def generator_state(seed: int) -> dict[str, str]:
    """Return the beginning of numpy's generator for a seed, as text: its numbers have 128 bits."""
    # `state` and `inc`, of 128 bits each: as text, since JavaScript's numbers would lose digits.
    state = np.random.PCG64(seed).state["state"]
    return {name: str(number) for name, number in state.items()}


def preview_file(pixels: Pixels, side: int) -> bytes:
    """Return an image file of at most `side` pixels a side, exact where it needs not be reduced."""
    # Of a large photo every second, third and so on, which is quick: to look at, never to predict.
    step = 1 + max(pixels.shape) // (4 * side)
    image = Image.fromarray(pixels[::step, ::step])
    kind = "JPEG" if max(image.size) > side else "PNG"
    image.thumbnail((side, side))
    # Each kind takes its own of these options.
    return encoded(image, kind, quality=90, subsampling=0, compress_level=1)


def notebook_note(view: View) -> dict[str, Any]:
    """Return what stands below the widget, which hides it once it is live; shown after three seconds."""
    words_of_changes = [
        change_words(key, view.settings)
        for key in view.effective_changes
        # Which noise it is says nothing to a reader.
        if key != "seed"
    ]
    photo_and_changes = ", ".join([view.settings["photo"], *words_of_changes])
    heat_map = view.heat
    input_image = view.input_image
    html = (
        f"<p><strong>{escape(verdict(answer_of(view)))}</strong><br>"
        f"{escape(f'{view.bench.classifier.name}: {photo_and_changes}')}</p>"
    )
    # A map by occlusion begins empty, and one where nothing speaks for the class stays so.
    if heat_map and heat_map.cells.any():
        input_image = heat_map.overlay
        html += f"<p>{escape(WORDS['map'].format(name=heat_map.class_name))}</p>"
    html += tag(small_jpeg(view.photo.pixels, NOTE_SIDE), "The photo", "jpeg") + " "
    html += tag(small_jpeg(input_image, NOTE_SIDE), "Model input", "jpeg")
    html += f"<table>{''.join(map(_row_of_note, bars(view)))}</table><p>{LIVE}</p>"
    # By MIME type, as IPython's display takes it: seen where no live widget hides it, as on GitHub.
    return {
        "text/plain": LIVE,
        "text/html": f'<style>{page_file("note.css")}</style><div class="kit-note">{html}</div>',
    }


def _row_of_note(bar: Bar) -> str:
    """Return a row with its bar as text, which stays where a notebook is not trusted and has no styles."""
    mark = "✓ " if bar["expected"] else ""
    # The row of all other classes together has the index -1.
    block_character = "░" if bar["index"] < 0 else "█"
    return (
        f"<tr><th>{mark}{escape(bar['name'])}</th><td>{bar['text']}</td>"
        f"<td>{block_character * round(_LONGEST_BAR * bar['value'])}</td></tr>"
    )
