"""The table of steps: every field belongs to a step, and many pictures run as one by one."""

from dataclasses import fields

import numpy as np
import pytest

from kit.images import Photo
from kit.preprocessing import Preprocessing
from kit.preprocessing.operations import run
from kit.preprocessing.pipeline import PIPELINE, TO_SIZE, TO_TENSOR

PHOTOS = [
    Photo.from_array(np.random.default_rng(seed).integers(0, 256, (30 + seed, 40, 3), dtype=np.uint8))
    for seed in range(3)
]


def test_every_field_is_read_by_one_step():
    read = [name for operation in PIPELINE for name in operation.fields]
    assert sorted([*read, "notes"]) == sorted(part.name for part in fields(Preprocessing))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"channels": "gray", "filter": "tf_nearest"},
        {"channels": "bgr", "scaling": "caffe", "invert": True},
        {"channels": "gray_rgb", "layout": "reshaped", "cast": "uint8"},
        {"layout": "channels_first", "scaling": "imagenet", "thumbnail": (10, 10)},
        {"layout": "transposed", "filter": "tf_bilinear", "scaling": "0..1"},
    ],
)
def test_after_resizing_many_pictures_run_as_one_by_one_and_are_not_changed(changes):
    preprocessing = Preprocessing((12, 18), **changes)
    resized = np.stack([run(TO_SIZE, preprocessing, photo) for photo in PHOTOS])
    before = resized.copy()
    expected = np.concatenate([preprocessing.apply(photo) for photo in PHOTOS])
    np.testing.assert_array_equal(run(TO_TENSOR, preprocessing, resized), expected)
    np.testing.assert_array_equal(resized, before)


def test_a_cause_belongs_to_one_step():
    causes = [cause for operation in PIPELINE for choice in operation.choices for cause in choice.causes]
    assert len(set(causes)) == len(causes)
