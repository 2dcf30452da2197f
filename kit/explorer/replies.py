"""Messages of the page and the replies to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from math import ceil, prod, sqrt
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from kit._arrays import Pixels
from kit._checking import known
from kit._reporting import tag
from kit.explorer import view as views
from kit.explorer.ahead import AHEAD_BYTES
from kit.explorer.page import read
from kit.explorer.view import CHOICES, FILE_STEPS, MAIN, Bench, View
from kit.images import Photo
from kit.images.photo import encoded
from kit.perturbation import PARAMETERS
from kit.preprocessing import Preprocessing, faults
from kit.preprocessing.pipeline import TO_SIZE


def checked(
    content: Any,
    buffers: Sequence[memoryview],
    fields: Mapping[str, Mapping[str, type]],
) -> tuple[str, dict[str, Any]]:
    """Return the kind of a message, and the `fields` of that kind, of which ``buffer`` stands beside it.

    Raises
    ------
    TypeError, ValueError
        An unknown kind, or a field that is missing or of another type.
    """
    if not isinstance(content, Mapping):
        raise TypeError(f"Expected a message as an object, received {content!r}")
    kind = known("kind of a message", content.get("kind"), fields)
    sent = {**content, "buffer": memoryview(buffers[0]) if buffers else None}
    for name, wanted in fields[kind].items():
        value = sent.setdefault(name)
        if not isinstance(value, wanted):
            raise TypeError(
                f"Expected {name} of a message {kind!r} as {wanted.__name__}, received {value!r}"
            )
    return kind, {name: sent[name] for name in fields[kind]}


def chips(trained: Preprocessing, faultless: str) -> list[dict[str, Any]]:
    """Describe the chips in the order in which the steps run; those that can be changed have options.

    `faultless` is the word for a step in which `trained` is left as it is.
    """
    found: list[dict[str, Any]] = [{"key": "file", "label": "File"}]
    for step, label in faults.STEPS.items():
        if CHOICES[step] not in TO_SIZE[0].choices and found[-1]["key"] in FILE_STEPS:
            found.append({"key": "photograph", "label": "Photo"})
            found.append({"key": "perturbation", "label": "Perturbed"})
        others = faults.alternatives(trained, step)
        if others:
            options = [
                ["", faultless],
                *([fault.name, fault.title] for fault in others),
            ]
            found.append({"key": step, "label": label, "options": options})
    ends = {"tensor": "Model input", "probabilities": "Prediction"}
    return [*found, *({"key": key, "label": label} for key, label in ends.items())]


def values(view: View) -> dict[str, dict[str, Any]]:
    """Return for each chip its value in words, whether it is changed, and whether it cannot act."""
    (height, width), idle = view.source.size, view.idle
    changed = views.changed_settings(view.settings)
    perturbed = [PARAMETERS[key].label for key in changed if key in PARAMETERS]
    some = perturbed[0] if len(perturbed) == 1 else f"{len(perturbed)} changes"
    alike = np.array_equal(view.tensor, view.untouched.tensor)
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
        name, _, _ = words.partition(", ")
        short = (words if "(" in name else name).replace(
            "_", " "
        )  # the name before the formula
        told[step] = (short, words != CHOICES[step].words(view.bench.trained))
    return {
        key: {"value": value, "changed": differs, "hidden": key in idle and not differs}
        for key, (value, differs) in told.items()
    }


def sliders() -> list[dict[str, Any]]:
    """Describe the page's sliders and switches: every perturbation."""
    found = []
    for name, item in PARAMETERS.items():
        told = {
            key: getattr(item, key)
            for key in ("label", "unit", "low", "high", "step", "neutral")
        }
        told |= {
            "kind": "switch" if item.kind == "switch" else "range",
            "whole": item.kind == "whole",
        }
        told |= {"group": "main" if name in MAIN else "more", "section": item.group}
        found.append(told | {"key": name, "hint": item.description})
    return found


SIDE = 200
"""Longest side of the two images of what was last seen, in pixels."""
LIVE = "Run this cell to make the explorer live."


def small(pixels: Pixels, side: int = SIDE) -> bytes:
    """Return a JPEG of at most `side` pixels a side."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    # Small images are enlarged in whole pixels, so that none of them is invented.
    image = ImageOps.scale(image, side // max(image.size), Image.Resampling.NEAREST)
    return encoded(image, "JPEG", quality=85)


def note(view: View) -> dict[str, Any]:
    """Return what stands below the widget, which hides it once it is live; shown after three seconds.

    It is what a saved notebook, an export or a page without the widget shows: the state, in words and images.
    """
    keys = [key for key in views.changed_settings(view.settings) if key != "seed"]
    changed = [views.words(key, view.settings) for key in keys]
    state = (
        f"{view.bench.classifier.name}: {', '.join([view.settings['photo'], *changed])}"
    )
    images = {
        "The photo": view.photo.pixels,
        "What the model sees": view.covered(view.seen),
    }
    shown = " ".join(
        tag(small(pixels), about, "jpeg") for about, pixels in images.items()
    )
    # As text, which stays where a notebook is not trusted and styles are taken away.
    table = "".join(
        f"<tr><th>{'✓ ' * row['expected']}{escape(row['name'])}</th><td>{row['text']}</td>"
        f"<td>{('░' if row['index'] < 0 else '█') * round(25 * row['value'])}</td></tr>"
        for row in views.bars(view)
    )
    heat, _ = where(view)
    about = f"<p><strong>{escape(views.verdict(view))}</strong><br>{escape(state)}</p>"
    about += f"<p>{escape(heat['about'])}</p>" if heat else ""
    html = (
        f'<div class="kit-note">{about}{shown}<table>{table}</table><p>{LIVE}</p></div>'
    )
    return {"text/plain": LIVE, "text/html": f"<style>{read('note.css')}</style>{html}"}


CAMERA = "Camera (live)"
"""Name of the image that a camera of the page gives; its frames take each other's place."""
THUMBNAIL = 56
"""Longest side of a thumbnail, in pixels."""
THUMBNAILS = 200
"""So many photos have a thumbnail and a mark; of those that follow there is the name."""
UPLOAD_BYTES = 64_000_000
"""Largest image file that the page accepts."""
ADDED_BYTES = 1_500_000_000
"""Pixels of added images from which on no more are taken."""
UPLOADS = 4
"""So many files may be on their way at a time: a view of the widget sends one after the other."""


@dataclass(eq=False)
class Entry:
    """A photo, the index of its class where that is known, and what was worked out about it once."""

    photo: Photo
    label: int | None = None
    added: bool = False
    reference: View | None = None

    @cached_property
    def thumbnail(self) -> bytes:
        """A small JPEG."""
        step = max(1, min(self.photo.size) // (2 * THUMBNAIL))
        return small(self.photo.pixels[::step, ::step], THUMBNAIL)


class Shelf(dict[str, Entry]):
    """Photos by name, in the order in which they came; names are made unique."""

    def add(
        self, photo: Photo, label: int | None = None, *, added: bool = False
    ) -> str:
        """Put a photo there, and return its name, or raise a ValueError beyond `ADDED_BYTES`."""
        held = sum(3 * prod(entry.photo.size) for entry in self.values() if entry.added)
        if added and held >= ADDED_BYTES:
            raise ValueError(
                f"Expected at most {ADDED_BYTES} bytes of added images; remove one"
            )
        name, count = photo.name, 1
        while name in self or name == CAMERA:
            count += 1
            name = f"{photo.name} ({count})"
        self[name] = Entry(photo, label, added)
        if len(self) <= THUMBNAILS:
            self[name].thumbnail  # noqa: B018  made while the photo has its pixels
        return name

    def told(self) -> list[dict[str, object]]:
        """Return what the page shows of each: name, whether it can be removed, and a small JPEG."""
        rows = []
        for place, (name, entry) in enumerate(self.items()):
            seen = place < THUMBNAILS
            told = {
                "name": name,
                "added": entry.added,
                "labelled": seen and entry.label is not None,
            }
            rows.append(told | {"thumbnail": entry.thumbnail if seen else b""})
        return rows


CAMERA_SIDE = 512
"""Longest side of a camera's frame, in pixels: the page shrinks it before it sends it."""
CAMERA_MS = 50
"""Least time between two frames, so that a camera leaves room for other work."""


def panel(bench: Bench, shelf: Shelf, ahead: int) -> dict[str, Any]:
    """Return the panel of an explorer, as the page takes it."""
    classifier, trained = bench.classifier, bench.trained
    notes = list(classifier.remarks if classifier.network.pending else classifier.notes)
    if classifier.preprocessing is None:
        notes.append(f"assumed here: {'; '.join(trained.describe())}")
    as_usual = views.usual(classifier)
    return {
        "title": classifier.name,
        "photos": [row for row in shelf.told() if row["name"] != CAMERA],
        "classes": classifier.class_names,
        "camera": {"name": CAMERA, "side": CAMERA_SIDE, "pause": CAMERA_MS},
        "sliders": sliders(),
        "path": chips(trained, as_usual),
        "usual": as_usual,
        "neutral": views.neutral(next(iter(shelf))),
        "notes": notes,
        "caption": views.caption(classifier),
        "tempered": classifier.temperature != 1,
        "uploadBytes": UPLOAD_BYTES,
        "ahead": {"keys": MAIN, "places": ahead, "bytes": AHEAD_BYTES},
    }


REPLY_BYTES = 65_536
"""Smallest reply. Jupyter's kernel websocket keeps Nagle's algorithm on, so a smaller one waits up to 40 ms
for a delayed acknowledgement while a slider is dragged; from 64 KiB on it leaves at once."""
LIVE_PIXELS = 1_048_576
"""Largest photo, in pixels, that the page perturbs by itself; the kernel shows larger ones reduced."""

Message = tuple[dict[str, Any], list[bytes]]


def where(view: View) -> tuple[dict[str, Any] | None, bytes]:
    """Return the heat map of a view as the page shows it, and its places: RGBA, laid over the pixels."""
    heat = view.heat
    if heat is None:
        return None, b""
    (height, width), waits = heat.cells.shape, heat.method == "occlusion"
    about = f"Orange places speak for {heat.class_name}; they do not say why."
    told = {
        "height": height,
        "width": width,
        "waits": waits,
        "class": heat.class_name,
        "about": about,
    }
    return told, heat.rgba.tobytes()


def shown(view: View) -> tuple[dict[str, Any], bytes]:
    """Return texts and bars of a view as the page shows them, and the pixels that the network sees.

    The places of a heat map follow them.
    """
    seen, (heat, places) = view.seen, where(view)
    return {
        "settings": view.settings,
        "bars": views.bars(view),
        "answer": views.answer(view),
        "verdict": views.verdict(view),
        "tensor": views.tensor_table(view),
        "path": values(view),
        "code": views.as_code(view),
        "about": ", ".join(
            (
                f"{view.source.size[1]} × {view.source.size[0]} pixels",
                *view.source.notes,
            )
        ),
        "input": {"height": seen.shape[0], "width": seen.shape[1]},
        "where": heat,
    }, seen.tobytes() + places


@dataclass(eq=False)
class Replies:
    """Makes the replies, and knows which photo the page holds, so that each is sent once."""

    held: tuple[object, ...] | None = None

    def view(self, view: View, request: str, started: float) -> Message:
        """Answer with a view."""
        message, model_input = shown(view)
        pixels, source = self._preview(view)
        buffers = [model_input.ljust(REPLY_BYTES, b"\0")]
        buffers += [] if pixels is None else [pixels.tobytes()]
        spent = round(1000 * (perf_counter() - started), 1)
        return message | {
            "kind": "view",
            "request": request,
            "source": source,
            "kernelMs": spent,
        }, buffers

    def ahead(self, some: Sequence[View], request: str) -> Message:
        """Answer for settings that nobody has chosen yet."""
        told = [shown(view) for view in some]
        pixels = b"".join(part for _, part in told).ljust(REPLY_BYTES, b"\0")
        return {
            "kind": "ahead",
            "request": request,
            "views": [each for each, _ in told],
        }, [pixels]

    def _preview(self, view: View) -> tuple[Pixels | None, dict[str, Any]]:
        """Pixels of the photo for the page, None where it has them, and what they are."""
        height, width = view.source.size
        folded = PARAMETERS.keys() - MAIN
        bent = any(view.settings[name] != PARAMETERS[name].neutral for name in folded)
        live = height * width <= LIVE_PIXELS and not bent
        pixels = view.source.pixels if live else view.photo.pixels
        # At most LIVE_PIXELS are left: for looking at, never for predicting.
        step = ceil(sqrt(height * width / LIVE_PIXELS))
        pixels = np.ascontiguousarray(pixels[::step, ::step])
        about = {"live": live, "height": pixels.shape[0], "width": pixels.shape[1]}
        key = (view.settings["photo"], view.source.decoding) if live else None
        if live and key == self.held:
            return None, about
        self.held = key
        return pixels, about
