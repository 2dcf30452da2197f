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
from kit.explorer import page, replies, view as views, why
from kit.explorer.replies import Entry, Shelf
from kit.explorer.view import MAIN, Bench, Settings, View
from kit.images import Photo
from kit.images.photo import encoded
from kit.perturbation.parameters import PARAMETERS, Parameter
from kit.preprocessing import faults

PLACES = {"brightness": 30, "noise": 20}
"""Steps of a slider at most, from one end to the other; of all others `FURTHER`."""
FURTHER = 10
BAR = ("index", "text", "ghostText", "calibratedText")
SIDE, CELL = 512, 56
"""Longest side of a photo, and of the small images of faults and further perturbations, in pixels."""


def coarse(item: Parameter) -> float:
    """Return the step of a slider of the page, which reaches both ends and the neutral place."""
    neutral = item.low if item.neutral is None else item.neutral
    count, before = (
        round((end - item.low) / item.step) for end in (item.high, neutral)
    )
    widest = ceil(count / PLACES.get(item.name, FURTHER))
    wide = next(wide for wide in range(widest, 0, -1) if gcd(count, before) % wide == 0)
    return round(item.step * wide, 6)


def places(item: Parameter) -> list[Any]:
    """Return the values that a slider of the page can have."""
    count = round((item.high - item.low) / coarse(item))
    return [
        item.checked(round(item.low + coarse(item) * k, 6)) for k in range(count + 1)
    ]


def states(bench: Bench, photo: str, further: Iterable[Settings]) -> list[Settings]:
    """Return the settings that are computed for a photo, with the heat map; the first is untouched."""
    plain, main = views.neutral(photo), [places(PARAMETERS[key]) for key in MAIN]
    changes: list[Settings] = [
        {},
        *(dict(zip(MAIN, pair, strict=True)) for pair in product(*main)),
    ]
    changes += [
        {item.name: place}
        for item in PARAMETERS.values()
        if not item.of
        for place in places(item)
    ]
    changes += [
        {step: one.name}
        for step in faults.STEPS
        for one in faults.alternatives(bench.trained, step)
    ]
    for one in further:
        if one["photo"] == photo:
            moved = (
                one | {key: place}
                for key, some in zip(MAIN, main, strict=True)
                for place in some
            )
            changes += [one, *moved]
    every = (plain | change | {"where": -1} for change in changes)
    return list({json.dumps(settings): settings for settings in every}.values())


class _Photo:
    """Computes the states of one photo, from several threads."""

    def __init__(self, bench: Bench, entry: Entry, wanted: Sequence[Settings]) -> None:
        self.bench, self.entry, self.wanted = bench, entry, wanted
        self.untouched = bench.view(entry.photo, wanted[0], None, entry.label)
        self.pixels = self.untouched.source.pixels
        self.cell = min(CELL, max(self.pixels.shape))
        # Without pixels of their own, since many are kept.
        self.without = lru_cache(64)(
            lambda items: replace(self.look(dict(items)), photo=self.untouched.photo)
        )

    def look(self, settings: Settings) -> View:
        if settings == self.wanted[0]:
            return self.untouched
        return self.bench.view(
            self.entry.photo, settings, self.untouched, self.entry.label
        )

    def row(self, settings: Settings) -> tuple[dict[str, Any], Pixels | None]:
        """Return what a reply is made from, and an image of what the page does not paint by itself."""
        view = self.look(settings)
        row, seen = replies.shown(view)
        changed = {
            key: value
            for key, value in settings.items()
            if value != self.wanted[0][key]
        }
        prepared = view.preprocessing != self.bench.trained
        picture = Image.fromarray(view.seen if prepared else view.photo.pixels).resize(
            (self.cell, self.cell)
        )
        row["where"]["cells"] = (
            np.frombuffer(seen, np.uint8)[view.seen.size :] // 32 * 36
        ).tolist()
        row |= {
            "settings": changed,
            "bars": [[bar[key] for key in BAR] for bar in row["bars"]],
            "because": why.because(
                view, lambda other: self.without(tuple(other.items()))
            ),
            "prepared": prepared,
            "top": view.top,
        }
        # What the page knows by itself is left out.
        row["because"]["settings"] = row["code"] = row["verdict"] = None
        return row, None if changed.keys() <= set(MAIN) else np.asarray(picture)

    def content(self, what: str, progress: Progress) -> dict[str, Any]:
        """Return all that the page has of the photo."""
        rows, cells = (
            list[dict[str, Any]](),
            [np.zeros((self.cell, self.cell, 3), np.uint8)],
        )
        pool = ThreadPoolExecutor(self.bench.classifier.side_by_side()[1])
        try:
            found = pool.map(self.row, self.wanted)
            for row, cell in Steps(
                found, what, "state", progress, total=len(self.wanted)
            ):
                rows.append(row | {"cell": None if cell is None else len(cells)})
                cells += [] if cell is None else [cell]
        finally:
            pool.shutdown(cancel_futures=True)
        photo = Image.fromarray(self.pixels)
        photo.thumbnail((SIDE, SIDE))
        pictures = (photo, 75), (np.concatenate(cells), 20)
        return {
            "label": rows[0]["answer"]["label"],
            "size": photo.size,
            "box": self._box(),
            "gray": "gray" in self.bench.trained.channels,
            "files": [
                encoded(one, "WEBP", quality=much, lossless=self.cell < CELL)
                for one, much in pictures
            ],
            "columns": {key: [row[key] for row in rows] for key in rows[0]},
        }

    def _box(self) -> list[float]:
        """Return left, top, width and height of the model input in the photo, as shares of its sides.

        What is white for a white photo and black for a black one is no padding; ramps say where that is.
        """
        trained, sides = self.bench.trained, np.array(self.pixels.shape[:2])
        shape = sides * ceil(CELL / sides.min())

        def seen(levels: Any) -> Any:
            picture = np.broadcast_to(np.rint(levels).astype(np.uint8), (*shape, 3))
            return trained.image(trained.apply(Photo.from_array(picture))).mean(axis=2)

        whole = seen(255) - seen(0)
        inside = np.nonzero(whole >= whole.max() - 1)
        lines = []
        for axis in (1, 0):
            ramp = 255 * (np.arange(shape[axis]) + 0.5) / shape[axis]
            shares = seen(np.expand_dims(ramp, (1 - axis, 2)))[inside] / 255
            lines.append(
                np.polyfit((inside[axis] + 0.5) / whole.shape[axis], shares, 1)
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
    tries = {name: one for name, one in tries.items() if one["photo"] in shelf}
    start = start if start["photo"] in shelf else views.neutral(next(iter(shelf)))
    photos = []
    for number, (name, entry) in enumerate(shelf.items(), 1):
        photo = _Photo(bench, entry, states(bench, name, [start, *tries.values()]))
        photos.append(
            _packed(photo.content(f"Photo {number} of {len(shelf)}", progress))
        )
    told = replies.panel(bench, shelf, max(PLACES.values()))
    told |= {
        "tries": list(tries.items()),
        "sliders": [
            spec | {"step": coarse(PARAMETERS[spec["key"]]), "snaps": True}
            for spec in told["sliders"]
            if not PARAMETERS[spec["key"]].of
        ],
        "alone": True,
        "marks": views.MARKS,
        "start": start | {"where": None},
    }
    return [_packed(told), *photos]


def document(bench: Bench, data: Sequence[str]) -> str:
    """Return the page of these parts."""
    style, script = (
        page.read("explorer.css") + page.read("table.css"),
        page.joined("alone"),
    )
    source = bench.classifier.source
    return Template(page.read("table.html")).substitute(
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
