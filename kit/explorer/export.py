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
from importlib.metadata import version
from math import ceil, gcd
from string import Template
from typing import Any

import numpy as np
from PIL import Image

from kit._arrays import Pixels
from kit._reporting import Progress, Steps
from kit.explorer import page, replies, view as views, why
from kit.explorer.replies import Entry, Shelf
from kit.explorer.view import MAIN, Bench, Settings, View
from kit.images import Photo
from kit.images.photo import encoded
from kit.perturbation import PARAMETERS
from kit.perturbation.parameters import Parameter
from kit.preprocessing import Preprocessing, faults

PLACES = {"brightness": 30, "noise": 20}
"""Steps of a slider at most, from one end to the other; of all others `FURTHER`."""
FURTHER = 10
SIDE, CELL = 512, 56
"""Longest side of a photo, and of the small images of faults and further perturbations, in pixels."""
LOSSLESS = 64
"""Longest side, in pixels, up to which images lose nothing."""

_Row = tuple[dict[str, Any], Pixels | None]


def coarse(item: Parameter) -> float:
    """Return the step of a slider of the page, which reaches both ends and the neutral place."""
    neutral = item.low if item.neutral is None else item.neutral
    count, before = (round((end - item.low) / item.step) for end in (item.high, neutral))
    widest = ceil(count / PLACES.get(item.name, FURTHER))
    wide = next(wide for wide in range(widest, 0, -1) if gcd(count, before) % wide == 0)
    return round(item.step * wide, 6)


def places(item: Parameter) -> list[Any]:
    """Return the values that a slider of the page can have."""
    count = round((item.high - item.low) / coarse(item))
    return [item.checked(round(item.low + coarse(item) * k, 6)) for k in range(count + 1)]


def states(bench: Bench, further: Iterable[Settings]) -> list[Settings]:
    """Return what is changed in each state that is computed, none twice; nothing in the first."""
    first, second = MAIN
    changes: list[Settings] = [{}]
    changes += [
        {first: one, second: other}
        for one in places(PARAMETERS[first])
        for other in places(PARAMETERS[second])
    ]
    changes += [{item.name: place} for item in PARAMETERS.values() if not item.of for place in places(item)]
    changes += [{step: one.name} for step in faults.STEPS for one in faults.alternatives(bench.trained, step)]
    plain = {key: value for key, value in views.neutral("").items() if key not in {"photo", "where"}}
    every = [
        {key: each[key] for key in plain if each.get(key, plain[key]) != plain[key]}
        for each in (*changes, *further)
    ]
    return list({json.dumps(each): each for each in every}.values())


class _Photo:
    """Computes the states of one photo, from several threads."""

    def __init__(self, bench: Bench, entry: Entry, name: str) -> None:
        self.bench, self.entry, self.plain = bench, entry, views.neutral(name) | {"where": -1}
        self.untouched = bench.view(entry.photo, self.plain, None, entry.label)
        self.pixels = self.untouched.source.pixels
        self.cell = min(CELL, max(self.pixels.shape))
        self.without = lru_cache(64)(self._without)

    def look(self, settings: Settings) -> View:
        if settings == self.plain:
            return self.untouched
        return self.bench.view(self.entry.photo, settings, self.untouched, self.entry.label)

    def _without(self, settings: tuple[tuple[str, Any], ...]) -> View:
        view = self.look(dict(settings))
        return replace(view, photo=view.source)  # without pixels of its own

    def row(self, changed: Settings) -> _Row:
        """Return what a reply is made from, and an image of what the page does not paint by itself."""
        view = self.look(self.plain | changed)
        shown, seen = replies.shown(view)
        heat = shown["where"]
        if heat is not None:
            cells = np.frombuffer(seen, np.uint8)[view.seen.size :] // 32 * 36
            heat = None if heat["waits"] else heat | {"cells": cells.tolist()}
        prepared = view.preprocessing != self.bench.trained
        painted = changed.keys() <= set(MAIN)
        picture = Image.fromarray(view.seen if prepared else view.photo.pixels).resize((self.cell, self.cell))
        row = {key: shown[key] for key in ("tensor", "path", "about", "input")} | {
            "settings": changed,
            "bars": [_bar(bar) for bar in shown["bars"]],
            "answer": views.answer(replace(view, label=None)),
            "top": view.top,
            "because": why.because(view, lambda other: self.without(tuple(other.items())))
            | {"settings": None},
            "where": heat,
            "prepared": prepared,
        }
        return row, None if painted else np.asarray(picture)

    def content(self, wanted: Sequence[Settings], steps: Steps[None]) -> dict[str, Any]:
        """Return all that the page has of the photo."""
        found, cells = list[dict[str, Any]](), [np.zeros((self.cell, self.cell, 3), np.uint8)]
        with ThreadPoolExecutor(self.bench.classifier.side_by_side()[1]) as pool:
            for row, cell in pool.map(self.row, wanted):
                found.append(row | {"cell": None if cell is None else len(cells)})
                cells += [] if cell is None else [cell]
                steps.advance()
        photo = Image.fromarray(self.pixels)
        photo.thumbnail((SIDE, SIDE))
        files = [
            encoded(image, "WEBP", quality=quality, lossless=max(photo.size) <= LOSSLESS)
            for image, quality in ((photo, 75), (np.concatenate(cells), 20))
        ]
        return {
            "label": "" if self.entry.label is None else self.untouched.names[self.entry.label],
            "size": photo.size,
            "box": _box(self.bench.trained, self.pixels),
            "files": files,
            "columns": {key: [row[key] for row in found] for key in found[0]},
        }


def _bar(bar: Mapping[str, Any]) -> list[Any]:
    texts = [bar[key] for key in ("text", "ghostText", "calibratedText")]
    return [bar["index"], *texts, *([bar["name"]] if bar["index"] < 0 else [])]


def _box(trained: Preprocessing, pixels: Pixels) -> list[float]:
    """Return left, top, width and height of the model input in a photo, as shares of its sides.

    Ramps from black to white say where it is, in the middle third, where nothing is padded.
    """
    lines = []
    for axis in (1, 0):
        ramp = np.linspace(0, 255, pixels.shape[axis]).astype(np.uint8)
        picture = np.broadcast_to(np.expand_dims(ramp, (1 - axis, 2)), pixels.shape)
        seen = trained.image(trained.apply(Photo.from_array(picture)))
        line = np.median(seen, axis=(1 - axis, 2)) / 255
        middle = slice(len(line) // 3, len(line) - len(line) // 3)
        lines.append(np.polyfit(np.linspace(0, 1, len(line))[middle], line[middle], 1))
    return np.transpose(lines)[::-1].ravel().round(4).tolist()


def _packed(value: Any) -> str:
    """Return JSON, deflated and in base 64, which holds nothing that HTML would read."""
    text = json.dumps(value, separators=(",", ":"), default=lambda file: b64encode(file).decode())
    block = b64encode(zlib.compress(text.encode(), 9)).decode()
    return f'<script type="text/plain">{block}</script>'


def document(
    bench: Bench, shelf: Shelf, tries: Mapping[str, Settings], start: Settings, progress: Progress
) -> str:
    """Return the page of these photos, which begins with a state; `tries` are computed, too."""
    tries = {name: one for name, one in tries.items() if one["photo"] in shelf}
    start = (start if start["photo"] in shelf else views.neutral(next(iter(shelf)))) | {"where": None}
    further = [start, *tries.values()]
    wanted = {name: states(bench, [one for one in further if one["photo"] == name]) for name in shelf}
    total = sum(map(len, wanted.values()))
    with Steps[None]((), "Predicting", "state", progress, total=total) as steps:
        photos = [
            _packed(_Photo(bench, shelf[name], name).content(some, steps)) for name, some in wanted.items()
        ]
    panel = replies.panel(bench, shelf, 0)
    told = panel | {
        "tries": list(tries.items()),
        "sliders": [
            spec | {"step": coarse(PARAMETERS[spec["key"]]), "snaps": True}
            for spec in panel["sliders"]
            if not PARAMETERS[spec["key"]].of
        ],
        "ahead": {"keys": [], "places": 1},
        "alone": True,
        "marks": views.MARKS,
        "start": start,
    }
    source = bench.classifier.source
    parts = {"style": page.style("explorer") + page.style("table"), "script": page.joined("table")}
    hashes = {
        f"{key}_hash": b64encode(sha256(text.encode()).digest()).decode() for key, text in parts.items()
    }
    return Template(page.read("table.html")).substitute(
        parts | hashes,
        name=escape(bench.classifier.name),
        digest="" if source is None else f", SHA-256 {source.digest}",
        date=datetime.now(UTC).date(),
        version=version("classifier-investigation-kit"),
        data="\n".join([_packed(told), *photos]),
    )
