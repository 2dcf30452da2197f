"""Writes down what Python makes of pixels and says of states: ``python -m tests.page.record``.

Tests of the page hold its own results against these files, and tests of the kit hold the files against it.
"""

import json
import math
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from itertools import product
from pathlib import Path

import numpy as np

import kit
from kit import samples
from kit.explorer import export, page
from kit.explorer.bench import Bench, Entry
from kit.explorer.replies import generator_state, view_message
from kit.explorer.settings import neutral
from kit.explorer.shelf import Shelf
from kit.explorer.why import explain_changes
from kit.images.photo import Photo
from kit.perturbation import Perturbation
from kit.perturbation.physics import add_field, brightness, noise_field
from tests.pictures import LEVELS

DATA = Path(__file__).parent / "data"
FILE = DATA / "pixels.json"
HEIGHT, WIDTH = 24, 32
SEED = 5
PERTURBED = (
    {},
    *({"brightness": factor} for factor in (0, 3, 0.35, 1.85)),
    *({"noise": deviation} for deviation in (1, 13, 100)),
    {"brightness": 0.35, "noise": 13},
    {"brightness": 1.37, "noise": 23},
    {"brightness": 3, "noise": 100},
)
"""Settings of the sliders of a page, alone and together."""
STEPS = (*range(-32768, 32768, 331), *range(-40, 41), 400, -5200, -5760, 12461)
"""Of a field of noise, the far ends included; the last ones show whether each rounding to float32 is made."""
FACTORS = (
    *(i / 100 for i in range(301)),
    *(3 * i / 211 for i in range(212)),
    1e-30,
    math.nextafter(1, 2),
)
"""Of a brightness: places of the slider, uneven ones, and a neighbour of what changes nothing."""
DEVIATIONS = (
    *range(1, 101),
    *(100 * i / 41 for i in range(1, 41)),
    1e-9,
    2.794,
    76.8,
    92.8,
)


def recorded():
    """What the file has to hold."""
    (photo,) = (
        each for each in samples.photos("photographs") if each.name == "dahlia.jpg"
    )
    # A part with all 256 levels.
    pixels = np.ascontiguousarray(photo.pixels[200 : 200 + HEIGHT, 280 : 280 + WIDTH])
    crop = Photo.from_array(pixels, "crop")
    levels, steps = (
        np.repeat(LEVELS, len(STEPS)),
        np.tile(np.array(STEPS, np.int16), LEVELS.size),
    )
    content = {
        "height": HEIGHT,
        "width": WIDTH,
        "pixels": _text(pixels),
        "field": _text(noise_field(SEED, pixels.size)),
        "neutral": neutral("crop") | {"seed": SEED},
        "perturbed": [
            [changes, _text(Perturbation(**changes, seed=SEED).apply(crop).pixels)]
            for changes in PERTURBED
        ],
        # Of all levels, and of all levels with all steps; a digest, since they are millions.
        "brightness": [
            [factor, _digest(brightness(LEVELS, factor))] for factor in FACTORS
        ],
        "steps": STEPS,
        "noise": [
            [deviation, _digest(add_field(levels, deviation, steps))]
            for deviation in DEVIATIONS
        ],
    }
    lines = (
        f"{json.dumps(name)}: {json.dumps(value)}" for name, value in content.items()
    )
    return "{" + ",\n".join(lines) + "}\n"


def _text(array):
    return b64encode(array.tobytes()).decode()


def _digest(pixels):
    return sha256(pixels.tobytes()).hexdigest()[:8]


SIZES = (1, 1), (7, 300), (60, 90), (97, 30), (225, 223)
"""Heights and widths of photos that are prepared; the sides of their tensors are `TARGET`."""
TARGET = 32, 40


def grain(height, width):
    """A photo of pseudo-random numbers, which the page makes as well: uint8 (height, width, 3)."""
    numbers = []
    number = height
    for _ in range(3 * height * width):
        number = (number * 1_103_515_245 + 12_345) % 2**31
        numbers.append(number >> 16 & 255)
    return np.array(numbers, np.uint8).reshape(height, width, 3)


def pipelines():
    """Preprocessings in which each step is done in each way, and some steps together."""
    base = kit.Preprocessing(
        size=TARGET, fill=(10, 200, 30), scaling="imagenet", pillow=13
    )
    square = base.replace(size=(24, 24))
    return [
        *(
            base.replace(
                filter=name, fit=fit, crop_fraction=0.875 if "crop" in fit else 1
            )
            for name, fit in product(page.FILTERS, kit.preprocessing.resizing.FITS)
        ),
        base.replace(filter="bicubic", pillow=12),
        *(
            base.replace(
                channels=channels,
                filter=name,
                scaling=scaling,
                invert=scaling == "0..1",
                cast="uint8" if scaling == "0..255" else None,
            )
            for channels, name, scaling in product(
                ("rgb", "bgr", "gray", "gray_rgb"),
                ("bilinear", "tf_bilinear"),
                ("0..255", "0..1", "lite"),
            )
        ),
        base.replace(channels="bgr", scaling="caffe"),
        *(base.replace(layout=layout) for layout in kit.preprocessing.pipeline.LAYOUTS),
        *(base.replace(thumbnail=size) for size in ((8, 10), (20, 6))),
        *(
            fault.apply(square)
            for name, fault in kit.preprocessing.faults.CATALOGUE.items()
            if name not in export.FAULTS_NOT_ON_PAGES
        ),
    ]


def prepared():
    """Digests of tensors, with what a network sees in them, and of noise fields."""
    photos = {size: Photo.from_array(grain(*size)) for size in SIZES}
    base = export.fields_for_page(pipelines()[0]) | {"shrinks": 13}
    cases = []
    for size, steps in product(SIZES, pipelines()):
        tensor = steps.apply(photos[size])
        seen = steps.image(tensor)
        plain = export.fields_for_page(steps) | {"shrinks": 13}
        changes = {name: value for name, value in plain.items() if value != base[name]}
        digest = sha256(np.ascontiguousarray(tensor).tobytes() + seen.tobytes())
        cases.append([size, changes, digest.hexdigest()[:12]])
    seeds = {seed: generator_state(seed) for seed in (0, 1, 7, 2**40 + 1)}
    fields = {
        seed: sha256(noise_field(seed, 100_000).tobytes()).hexdigest()[:12]
        for seed in seeds
    }
    lines = ",\n".join(map(json.dumps, cases))
    head = json.dumps({"steps": base, "seeds": seeds, "fields": fields})
    return f'{head[:-1]}, "cases": [\n{lines}\n]}}\n'


PROBABILITIES = {
    (): {281: 0.6, 282: 0.25, 285: 0.0004, 9: 0.1},
    ("noise",): {282: 0.7, 281: 0.2995},
    ("brightness",): {285: 0.99951, 281: 0.0001},
    ("scaling",): {285: 0.5, 281: 0.4},
    ("brightness", "scaling"): {285: 0.9, 282: 0.05, 281: 0.03, 7: 0.02},
    ("exif",): {281: 0.6, 282: 0.25, 285: 0.0004, 9: 0.1},
    ("exif", "scaling"): {285: 0.5, 281: 0.4},
    ("fit",): {282: 0.55, 281: 0.3},
    ("layout",): {281: 0.39, 282: 0.3},
    ("dimmer",): {282: 0.51, 281: 0.49},
    ("grain",): {281: 0.45, 282: 0.35},
    ("dimmer", "grain"): {282: 0.9, 281: 0.05},
    ("shade",): {281: 0.5, 282: 0.4},
    ("shade", "grain"): {282: 0.8, 281: 0.1},
    ("noise", "scaling"): {281: 0.6},
    ("noise", "channels"): {285: 0.6, 281: 0.3},
    ("channels",): {281: 0.8, 282: 0.1},
    ("brightness", "channels"): {281: 0.25, 282: 0.2},
}
"""By what is changed, probabilities of classes by index; those of all others are 0."""
CHANGES = {
    "brightness": ("brightness", 0.5),
    "dimmer": ("brightness", 0.75),
    "shade": ("brightness", 0.9),
    "noise": ("noise", 30.0),
    "grain": ("noise", 5.0),
    "exif": ("exif", "exif_ignored"),
    "scaling": ("scaling", "range_0_1"),
    "fit": ("fit", "fit_squash"),
    "channels": ("channels", "channels_swapped"),
    "layout": ("layout", "transposed"),
}
"""What each of them sets."""
NOVEL = ("fit",)
"""Of this state the images are unlike the training images."""


def said():
    """What is said of states whose probabilities are given."""
    classifier = samples.classifier("efficientnet_lite0")
    bench = Bench.of(classifier)
    cat = samples.photo("cat.jpg")
    shelf = Shelf()
    name = shelf.add(cat)
    start = neutral(name)

    def look(settings):
        keys = tuple(
            name for name, (key, value) in CHANGES.items() if settings[key] == value
        )
        row = np.zeros(1000, np.float32)
        for index, share in PROBABILITIES[keys].items():
            row[index] = share
        view = replace(
            bench.compute_view(Entry(cat), settings),
            probabilities=row,
            reference=None if settings == start else look(start),
            label=label,
        )
        vars(view)["novel"] = keys == NOVEL
        return view

    states = []
    for keys, label in product(PROBABILITIES, (None, 282)):
        changed = dict(CHANGES[name] for name in keys)
        view = look(start | changed)
        message, _ = view_message(view)
        changes, _ = explain_changes(view, look)
        states.append(
            {
                "changes": changed,
                "label": "" if label is None else classifier.class_names[label],
                "row": PROBABILITIES[keys],
                "novel": keys == NOVEL,
                "shown": {
                    key: message[key] for key in ("answer", "bars", "path", "verdict")
                },
                "because": changes,
            }
        )
    contents = export.Contents(bench, shelf, {}, start)
    panel = export._panel_of_page(contents) | {"photos": []}
    lines = ",\n".join(map(json.dumps, states))
    return f'{{"panel": {json.dumps(panel)},\n"states": [\n{lines}\n]}}\n'


FILES = {"pixels.json": recorded, "prepare.json": prepared, "texts.json": said}
"""What writes each file."""

if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    for file_name, write in FILES.items():
        (DATA / file_name).write_text(write(), encoding="utf-8")
