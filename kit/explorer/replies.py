"""Messages of the page and the replies to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kit._arrays import Pixels
from kit._checking import known
from kit.explorer import view as views
from kit.explorer.ahead import AHEAD_BYTES
from kit.explorer.view import FILE_STEPS, MAIN, Bench, View
from kit.images import Photo
from kit.images.photo import encoded
from kit.perturbation import PARAMETERS
from kit.plots import tag
from kit.preprocessing import Preprocessing, faults
from kit.preprocessing.pipeline import PIPELINE, TO_SIZE

FIELDS: dict[str, dict[str, type]] = {
    "hello": {},
    "settings": {"settings": dict},
    "noise": {"seed": int, "count": int},
    "frame": {"settings": dict, "height": int, "width": int},
    "snap": {},
    "ahead": {"settings": dict, "key": str, "places": list},
    "upload": {"number": str, "name": str, "last": bool},
    "remove": {"name": str},
    "sample": {"step": str},
    "why": {"settings": dict},
    "stop": {},
    "pin": {"settings": dict},
}
"""Fields of each kind of message, with their types."""
PIXELS = ("frame", "upload")
"""Kinds of messages with one buffer."""


def checked(content: Any, buffers: int) -> str:
    """Return the kind of a message that has all that it needs.

    Raises
    ------
    TypeError, ValueError
        An unknown kind, a field that is missing or of another type, or a buffer that is missing.
    """
    if not isinstance(content, Mapping):
        raise TypeError(f"Expected a message as an object, received {content!r}")
    kind = known("kind of a message", content.get("kind"), FIELDS)
    for name, wanted in FIELDS[kind].items():
        value = content.get(name)
        if type(value) is not wanted:  # True is no number
            raise TypeError(f"Expected {name} of a message {kind!r} as {wanted.__name__}, received {value!r}")
    if kind in PIXELS and buffers < 1:
        raise ValueError(f"Expected a message {kind!r} with a buffer, received none")
    return kind


CHOICES = {choice.name: choice for operation in PIPELINE for choice in operation.choices}
"""What can be chosen wrongly, by name, in the order in which the steps run."""

LABELS = {
    "exif": "EXIF",
    "depth": "16 bit",
    "photograph": "Photo",
    "perturbation": "Perturbed",
    "thumbnail": "Shrunk",
    "cast": "Type",
    "probabilities": "Answer",
}
"""Names of chips that are shorter than those of their steps, or are no steps."""


def chips(trained: Preprocessing, faultless: str) -> list[dict[str, Any]]:
    """Describe the chips in the order in which the steps run; those that can be changed have options.

    `faultless` is the word for a step in which `trained` is left as it is.
    """
    found = [_plain("file")]
    for step, label in faults.STEPS.items():
        if CHOICES[step] not in TO_SIZE[0].choices and found[-1]["key"] in FILE_STEPS:
            found += [_plain("photograph"), _plain("perturbation")]
        others = faults.alternatives(trained, step)
        if others:
            options = [["", faultless], *([fault.name, fault.title] for fault in others)]
            hint = " ".join(f"{fault.title[0].upper()}{fault.title[1:]}: {fault.origin}" for fault in others)
            sample = FILE_STEPS[step][-1] if step in FILE_STEPS else ""
            found.append(_plain(step) | {"name": label, "options": options, "hint": hint, "sample": sample})
    return [*found, _plain("tensor"), _plain("probabilities")]


def values(view: View) -> dict[str, dict[str, Any]]:
    """Return for each chip its value in a few words, whether it is changed, and why it cannot act."""
    (height, width), before = view.source.size, view.untouched
    changed = views.changed_settings(view.settings)
    perturbed = [PARAMETERS[key].label for key in changed if key in PARAMETERS]
    some = perturbed[0] if len(perturbed) == 1 else f"{len(perturbed)} changes"
    alike = np.array_equal(view.tensor, before.tensor)
    answer = "none of these" if view.answer is None else view.names[view.answer]
    told: dict[str, tuple[str, bool]] = {
        "file": (", ".join(view.source.notes) or "as it is", False),
        "photograph": (f"{width} × {height}", False),
        "perturbation": (some if perturbed else "none", bool(perturbed)),
        "tensor": ("×".join(map(str, view.tensor.shape[1:])), not alike),
        "probabilities": (answer, view.altered),
    }
    for step in faults.STEPS:
        words = CHOICES[step].words(view.preprocessing)
        told[step] = (_short(words), words != CHOICES[step].words(view.bench.trained))
    return {
        key: {
            "value": FILE_STEPS[key][0] if key in view.idle else value,
            "changed": differs,
            "idle": FILE_STEPS[key][1] if key in view.idle else "",
        }
        for key, (value, differs) in told.items()
    }


def _plain(key: str) -> dict[str, Any]:
    return {"key": key, "label": LABELS.get(key, key.capitalize())}


def _short(words: str) -> str:
    """Return the name before the formula, or what there is, without underscores."""
    name, _, _ = words.partition(", ")
    return (words if "(" in name else name).replace("_", " ")


def sliders() -> list[dict[str, Any]]:
    """Describe the page's sliders and switches: every perturbation."""
    found = []
    for name, item in PARAMETERS.items():
        told = {key: getattr(item, key) for key in ("label", "unit", "low", "high", "step", "neutral")}
        told |= {"kind": "switch" if item.kind == "switch" else "range", "whole": item.kind == "whole"}
        group, section = ("main", "") if name in MAIN else ("more", item.group)
        found.append(told | {"key": name, "group": group, "section": section, "hint": item.description})
    return found


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


def still(view: View, message: dict[str, Any]) -> bytes:
    """Return a PNG of photograph, network's input and bars, on white; `message` has the same in words."""
    rows = message["bars"]
    height = max(SIDE + 2 * ROW, ROW * (len(rows) + 2)) + 4 * GAP + ROW
    image = Image.new("RGB", (WIDTH, height), "white")
    draw = ImageDraw.Draw(image)
    large, text = ImageFont.load_default(20), ImageFont.load_default(13)
    title = f"{view.bench.classifier.name} · {view.settings['photo']}"
    draw.text((GAP, GAP), title[:60], _SOFT, text)
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
        for share, fill, inset in ((1, _TRACK, 2), (row["ghost"], _GHOST, 2), (row["value"], _BAR, 5)):
            if share > 0:
                draw.rectangle((start, top + inset, start + length * share, top + 16 - inset), fill=fill)
        draw.text((start + length + 8, top), row["text"], _TEXT, text)
    draw.text((GAP, height - GAP - ROW), LIVE, _SOFT, text)
    # Notebooks stay small: noise in 24 bits a pixel would be a quarter of a megabyte.
    return encoded(image.quantize(256, Image.Quantize.FASTOCTREE))


def note(view: View) -> dict[str, Any]:
    """Return what stands below the widget, which takes it away once it is live; shown after three seconds."""
    message, _ = shown(view)
    png, title = still(view, message), view.bench.classifier.name
    told = f"Explorer of {title}: the photograph {view.settings['photo']}. {message['verdict']}"
    html = f'{_LATER}<div class="kit-note">{tag(png, told)}<p>{LIVE}</p></div>'
    return {"text/plain": LIVE, "text/html": html, "image/png": png}


def _fitted(pixels: Pixels, side: int) -> Image.Image:
    image = Image.fromarray(pixels)
    scale = side / max(image.size)
    if scale < 1:
        image.thumbnail((side, side))
    elif scale > 1:
        # Small pictures are enlarged in whole pixels, so that none of them is invented.
        factor = max(1, int(scale))
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    return image


CAMERA = "Camera (live)"
"""Name of the picture that a camera of the page gives; its frames take each other's place."""
THUMBNAIL = 56
"""Longest side of a thumbnail, in pixels."""
THUMBNAILS = 200
"""So many photographs have a thumbnail; of those that follow there is the name."""
UPLOAD_BYTES = 64_000_000
"""Largest picture file that the page accepts."""
UPLOADS = 4
"""So many files may be on their way at a time: a view of the widget sends one after the other."""


@dataclass(eq=False)
class Entry:
    """A photograph, the index of its class where that is known, and what was worked out about it once."""

    photo: Photo
    label: int | None = None
    added: bool = False
    reference: View | None = None
    thumbnail: bytes = b""


class Shelf(dict[str, Entry]):
    """Photographs by name, in the order in which they came; names are made unique."""

    def add(self, photo: Photo, label: int | None = None, *, added: bool = False) -> str:
        """Put a photograph there, and return its name."""
        name, count = photo.name, 1
        while name in self or name == CAMERA:
            count += 1
            name = f"{photo.name} ({count})"
        self[name] = Entry(photo, label, added)
        return name

    def remove(self, name: str) -> None:
        """Take a photograph away that was added, or raise a ValueError; nothing of it is kept."""
        if not self[known("photo", name, self)].added:
            raise ValueError(
                f"Expected a picture that was added, received {name!r}, which came with the explorer"
            )
        del self[name]

    def told(self) -> list[dict[str, object]]:
        """Return what the page shows of each: name, whether it can be removed, and a small JPEG."""
        rows = []
        for place, (name, entry) in enumerate(self.items()):
            if not entry.thumbnail and place < THUMBNAILS:
                step = max(1, min(entry.photo.size) // (2 * THUMBNAIL))
                entry.thumbnail = small(entry.photo.pixels[::step, ::step], THUMBNAIL)
            rows.append({"name": name, "added": entry.added, "thumbnail": entry.thumbnail})
        return rows


class Uploads(dict[str, list[bytes]]):
    """Files that come in pieces, since a websocket refuses messages over 10 MiB; the oldest make room."""

    def take(self, number: str, name: str, piece: bytes, *, last: bool) -> bytes | None:
        """Take a piece of a file, and return the whole with the last one.

        Raises
        ------
        ValueError
            The file is too large; nothing of it is kept.
        """
        pieces = [*self.pop(number, []), piece]
        if sum(map(len, pieces)) > UPLOAD_BYTES:
            most = UPLOAD_BYTES // 1_000_000
            raise ValueError(f"Expected a picture of at most {most} MB, received more: {name}")
        if last:
            return b"".join(pieces)
        self[number] = pieces
        if len(self) > UPLOADS:
            del self[next(iter(self))]
        return None


CAMERA_SIDE = 512
"""Longest side of a camera's frame, in pixels: the page shrinks it before it sends it."""
CAMERA_MS = 50
"""Least time between two frames, so that a camera leaves room for other work."""


def panel(bench: Bench, shelf: Shelf, ahead: int, *, latency: bool) -> dict[str, Any]:
    """Return the panel of an explorer, as the page takes it."""
    classifier, trained = bench.classifier, bench.trained
    notes = list(classifier.notes)
    if classifier.preprocessing is None:
        notes.append(f"assumed here: {'; '.join(trained.describe())}")
    as_usual = views.usual(classifier)
    return {
        "title": classifier.name,
        "photos": [row for row in shelf.told() if row["name"] != CAMERA],
        "camera": {"name": CAMERA, "side": CAMERA_SIDE, "pause": CAMERA_MS},
        "sliders": sliders(),
        "path": chips(trained, as_usual),
        "usual": as_usual,
        "neutral": views.neutral(next(iter(shelf))),
        "notes": notes,
        "caption": views.caption(classifier),
        "tempered": classifier.temperature != 1,
        "uploadBytes": UPLOAD_BYTES,
        "latency": latency,
        "ahead": {"keys": MAIN, "places": ahead, "bytes": AHEAD_BYTES},
        "live": LIVE,
    }


REPLY_BYTES = 65_536
"""Smallest reply. Jupyter's kernel websocket keeps Nagle's algorithm on, so a smaller one waits up to 40 ms
for a delayed acknowledgement while a slider is dragged; from 64 KiB on it leaves at once."""
LIVE_PIXELS = 1_048_576
"""Largest photograph, in pixels, that the page perturbs by itself; the kernel shows larger ones reduced."""

Message = tuple[dict[str, Any], list[bytes]]


def shown(view: View) -> tuple[dict[str, Any], bytes]:
    """Return texts and bars of a view as the page shows them, and the pixels that the network sees."""
    seen = view.seen
    message = {
        "settings": view.settings,
        "bars": views.bars(view),
        "answer": views.answer(view),
        "verdict": views.verdict(view),
        "tensor": views.tensor_table(view),
        "path": values(view),
        "code": views.as_code(view),
        "about": ", ".join((f"{view.source.size[1]} × {view.source.size[0]} pixels", *view.source.notes)),
        "input": {"height": seen.shape[0], "width": seen.shape[1]},
    }
    return message, seen.tobytes()


def frozen(view: View) -> dict[str, Any]:
    """Return a view as the state of a widget keeps it, for pages without a kernel."""
    message, _ = shown(view)
    return {"content": message, "pictures": [small(view.photo.pixels, 256), small(view.seen, 256)]}


@dataclass(eq=False)
class Replies:
    """Makes the replies, and knows which photograph the page holds, so that each is sent once."""

    held: tuple[object, ...] | None = None

    def view(self, view: View, request: str, started: float) -> Message:
        """Answer with a view."""
        message, model_input = shown(view)
        pixels, source = self._preview(view)
        buffers = [model_input.ljust(REPLY_BYTES, b"\0")]
        if pixels is not None:
            buffers.append(pixels.tobytes())
        spent = round(1000 * (perf_counter() - started), 1)
        return message | {"kind": "view", "request": request, "source": source, "kernelMs": spent}, buffers

    def ahead(self, some: Sequence[View], request: str) -> Message:
        """Answer for settings that nobody has chosen yet."""
        told = [shown(view) for view in some]
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
    step = ceil(sqrt(pixels.shape[0] * pixels.shape[1] / LIVE_PIXELS))
    return np.ascontiguousarray(pixels[::step, ::step])
