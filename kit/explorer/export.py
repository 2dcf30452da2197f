"""A page that works without a kernel: the explorer's modules, and the predictions that they may ask for."""

import json
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from html import escape
from itertools import product
from math import ceil, gcd
from string import Template
from typing import Any

import numpy as np
from PIL import Image

from kit._arrays import Pixels
from kit._reporting import Progress, Steps
from kit._version import __version__
from kit.explorer import page, why
from kit.explorer.bench import Bench, View
from kit.explorer.panel import panel
from kit.explorer.replies import shown
from kit.explorer.settings import MAIN, Settings, neutral
from kit.explorer.shelf import Entry, Shelf
from kit.explorer.texts import MARKS
from kit.images import Photo
from kit.images.photo import encoded
from kit.perturbation.parameters import PARAMETERS, Parameter
from kit.preprocessing import faults

PLACES = {"brightness": 30, "noise": 20}
"""Steps of a slider from end to end, of all others `FURTHER`; more where they would miss neutral."""
FURTHER = 10
BAR = ("index", "text", "ghostText", "calibratedText")
"""What the page has of a bar; the others it makes from these."""
SIDE = 512
"""Longest side of a photo, in pixels."""
CELL = 56
"""Side of the small images of faults and further perturbations, in pixels."""
SHARED_VIEWS = 64
"""Views without a change that are kept at a time, since many states lead to the same one."""


def coarse(parameter: Parameter) -> float:
    """Return the step of a slider of the page, which reaches both ends and the neutral place."""
    low = parameter.low
    neutral_value = low if parameter.neutral is None else parameter.neutral
    steps = round((parameter.high - low) / parameter.step)
    steps_to_neutral = round((neutral_value - low) / parameter.step)
    widest = ceil(steps / PLACES.get(parameter.name, FURTHER))
    common = gcd(steps, steps_to_neutral)
    stride = next(stride for stride in range(widest, 0, -1) if common % stride == 0)
    return round(parameter.step * stride, 6)


def places(parameter: Parameter) -> list[Any]:
    """Return the values that a slider of the page can have."""
    step = coarse(parameter)
    count = round((parameter.high - parameter.low) / step) + 1
    return [
        parameter.checked(round(parameter.low + step * index, 6))
        for index in range(count)
    ]


def states(bench: Bench, photo: str, further: Iterable[Settings]) -> list[Settings]:
    """Return the settings that are computed for a photo, with the heat map; the first is untouched."""
    changes: list[Settings] = [{}]
    changes += [
        dict(zip(MAIN, pair, strict=True))
        for pair in product(*(places(PARAMETERS[key]) for key in MAIN))
    ]
    changes += [
        {parameter.name: place}
        for parameter in PARAMETERS.values()
        if not parameter.of
        for place in places(parameter)
    ]
    changes += [
        {step: fault.name}
        for step in faults.STEPS
        for fault in faults.alternatives(bench.trained, step)
    ]
    for settings in further:
        if settings["photo"] == photo:
            changes.append(settings)
            changes += [
                settings | {key: place}
                for key in MAIN
                for place in places(PARAMETERS[key])
            ]
    complete = [neutral(photo) | change | {"where": -1} for change in changes]
    return list({json.dumps(settings): settings for settings in complete}.values())


class _Photo:
    """Computes the states of one photo, from several threads."""

    def __init__(self, bench: Bench, entry: Entry, states: Sequence[Settings]) -> None:
        self.bench = bench
        self.entry = entry
        self.states = states
        self.untouched = bench.look(entry.photo, states[0], None, entry.label)
        self.pixels = self.untouched.source.pixels
        self.cell = min(CELL, max(self.pixels.shape))
        self.without = lru_cache(SHARED_VIEWS)(self._without)

    def _without(self, items: tuple[tuple[str, Any], ...]) -> View:
        # Without pixels of their own, since many are kept.
        return replace(self.look(dict(items)), photo=self.untouched.photo)

    def look(self, settings: Settings) -> View:
        if settings == self.states[0]:
            return self.untouched
        return self.bench.look(
            self.entry.photo, settings, self.untouched, self.entry.label
        )

    def row(self, settings: Settings) -> tuple[dict[str, Any], Pixels | None]:
        """Return what a reply is made from, and an image of what the page does not paint by itself."""
        view = self.look(settings)
        message, seen = shown(view)
        row: dict[str, Any] = {**message}
        untouched = self.states[0]
        changed = {
            key: value for key, value in settings.items() if value != untouched[key]
        }
        prepared = view.preprocessing != self.bench.trained
        places = np.frombuffer(seen, np.uint8)[view.seen.size :]
        row["where"]["cells"] = (places // 32 * 36).tolist()
        row["settings"] = changed
        row["bars"] = [[bar[key] for key in BAR] for bar in row["bars"]]
        changes, _ = why.because(view, lambda other: self.without(tuple(other.items())))
        row["because"] = {**changes, "pictures": []}
        row["prepared"] = prepared
        row["top"] = view.top
        # What the page knows by itself is left out.
        row["because"]["settings"] = row["code"] = row["verdict"] = None
        if changed.keys() <= set(MAIN):
            return row, None
        picture = Image.fromarray(view.seen if prepared else view.photo.pixels)
        return row, np.asarray(picture.resize((self.cell, self.cell)))

    def content(self, what: str, progress: Progress) -> dict[str, Any]:
        """Return all that the page has of the photo."""
        rows: list[dict[str, Any]] = []
        cells = [np.zeros((self.cell, self.cell, 3), np.uint8)]
        pool = ThreadPoolExecutor(self.bench.classifier.side_by_side()[1])
        try:
            results = pool.map(self.row, self.states)
            for row, cell in Steps(
                results, what, "state", progress, total=len(self.states)
            ):
                rows.append(row | {"cell": None if cell is None else len(cells)})
                if cell is not None:
                    cells.append(cell)
        finally:
            pool.shutdown(cancel_futures=True)
        photo = Image.fromarray(self.pixels)
        photo.thumbnail((SIDE, SIDE))
        sheet = Image.fromarray(np.concatenate(cells))
        lossless = self.cell < CELL
        return {
            "label": rows[0]["answer"]["label"],
            "size": photo.size,
            "box": self._box(),
            "gray": "gray" in self.bench.trained.channels,
            "files": [
                encoded(photo, "WEBP", quality=75, lossless=lossless),
                encoded(sheet, "WEBP", quality=20, lossless=lossless),
            ],
            "columns": {key: [row[key] for row in rows] for key in rows[0]},
        }

    def _box(self) -> list[float]:
        """Return left, top, width and height of the model input in the photo, as shares of its sides.

        What is white for a white photo and black for a black one is no padding; ramps say where that is.
        """
        trained = self.bench.trained
        sides = np.array(self.pixels.shape[:2])
        shape = sides * ceil(CELL / sides.min())

        def seen(levels: Any) -> Any:
            picture = np.broadcast_to(np.rint(levels).astype(np.uint8), (*shape, 3))
            return trained.image(trained.apply(Photo.from_array(picture))).mean(axis=2)

        range_of_levels = seen(255) - seen(0)
        inside = np.nonzero(range_of_levels >= range_of_levels.max() - 1)
        lines = []
        for axis in (1, 0):
            ramp = 255 * (np.arange(shape[axis]) + 0.5) / shape[axis]
            shares = seen(np.expand_dims(ramp, (1 - axis, 2)))[inside] / 255
            lines.append(
                np.polyfit(
                    (inside[axis] + 0.5) / range_of_levels.shape[axis], shares, 1
                )
            )
        return np.transpose(lines)[::-1].ravel().round(4).tolist()


def _packed(value: Any) -> str:
    """Return JSON, deflated and in base 64, which holds nothing that HTML would read."""
    text = json.dumps(
        value, separators=(",", ":"), default=lambda file: b64encode(file).decode()
    )
    return b64encode(zlib.compress(text.encode(), 9)).decode()


def parts(
    bench: Bench,
    shelf: Shelf,
    tries: Mapping[str, Settings],
    start: Settings,
    progress: Progress,
) -> list[str]:
    """Return what a page has of these photos; it begins with `start`, and `tries` are computed, too."""
    tries = {
        name: settings for name, settings in tries.items() if settings["photo"] in shelf
    }
    if start["photo"] not in shelf:
        start = neutral(next(iter(shelf)))
    photos = []
    for number, (name, entry) in enumerate(shelf.items(), 1):
        photo = _Photo(bench, entry, states(bench, name, [start, *tries.values()]))
        content = photo.content(f"Photo {number} of {len(shelf)}", progress)
        photos.append(_packed(content))
    ahead = max(PLACES.values())
    contents: dict[str, Any] = {
        **panel(bench, shelf, tries, ahead=ahead, latency=False),
        "alone": True,
        "marks": MARKS,
        "start": start | {"where": None},
    }
    contents["sliders"] = [
        slider | {"step": coarse(PARAMETERS[slider["key"]]), "snaps": True}
        for slider in contents["sliders"]
        if not PARAMETERS[slider["key"]].of
    ]
    return [_packed(contents), *photos]


def document(bench: Bench, data: Sequence[str]) -> str:
    """Return the page of these parts."""
    style = page.page_file("explorer.css") + page.page_file("table.css")
    script = page.joined("alone")
    source = bench.classifier.source
    return Template(page.page_file("table.html")).substitute(
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        name=escape(bench.classifier.name),
        digest="" if source is None else f", SHA-256 {source.digest}",
        date=datetime.now(UTC).date(),
        version=__version__,
        data="\n".join(f'<script type="text/plain">{block}</script>' for block in data),
    )


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()
