"""Preprocessing as JSON: that of the kit and the formats of others, with other values, keys and depths."""

import numpy as np

from kit import Preprocessing, faults
from tests.hostile.mutations import as_text, changed
from tests.pictures import scene

DOCUMENTED = (ValueError, TypeError, OSError)
FORMATS = (
    {
        "do_resize": True,
        "size": {"shortest_edge": 256},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": 224,
    }
    | {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5, 0.4, 0.3]}
    | {"image_std": [0.2, 0.2, 0.2], "image_processor_type": "ViTImageProcessor"},
    {"architecture": "resnet50", "num_classes": 1000, "pretrained_cfg": {"input_size": [3, 224, 224]}}
    | {"interpolation": "bicubic", "crop_pct": 0.875, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]},
    {"module": "keras_hub.src.models", "class_name": "ImageConverter", "config": {"image_size": [224, 224]}}
    | {"scale": [0.01, 0.01, 0.01], "offset": [-1.0, -1.0, -1.0], "interpolation": "bilinear"},
)


def _known():
    base = Preprocessing((8, 9), scaling="0..1")
    for each in (base, *(fault.apply(base) for fault in faults.CATALOGUE.values())):
        yield each.to_dict()
    yield from FORMATS


KNOWN = tuple(_known())


def corpus(count, seed):
    for number in range(count):
        random = np.random.default_rng([seed, number])
        tree = KNOWN[int(random.integers(len(KNOWN)))]
        yield f"{number:06}.json", as_text(changed(tree, random), random)


def open_one(path):
    """Open it as the kit's own and as a file of another library, and prepare a picture with it."""
    text = path.read_bytes().decode(errors="surrogateescape")
    refused = []
    for way in (lambda: Preprocessing.from_json(text), lambda: Preprocessing.from_config(path)):
        try:
            steps = way()
        except DOCUMENTED as error:
            if "\n" in str(error):
                raise
            refused.append(error)
            continue
        assert Preprocessing.from_json(steps.to_json()) == steps
        assert all("\n" not in line for line in steps.describe())
        if steps.size is None or max(steps.size) <= 500:
            assert steps.apply(scene()).dtype == np.float32
    if len(refused) == 2:
        raise refused[0]
