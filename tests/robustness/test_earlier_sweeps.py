"""Sweeps that an earlier version wrote open with their rows, and go on where it was interrupted."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import kit

DATA = Path(__file__).parents[1] / "data"
GRID = {"brightness": [0.3, 1.0, 1.8], "noise": [0, 80]}
PHOTOS, LABELS = (kind("fashion_mnist")[:3] for kind in (kit.samples.photos, kit.samples.labels))


@pytest.fixture(scope="module")
def fresh(fashion):
    return kit.sweep(fashion, PHOTOS, GRID, labels=LABELS, progress=False)


def same(received, expected):
    assert (received.perturbations, received.photos) == (expected.perturbations, expected.photos)
    np.testing.assert_array_equal(received.tops, expected.tops)
    np.testing.assert_allclose(received.confidences, expected.confidences, atol=1e-6)
    assert received.flips == expected.flips


def test_a_finished_one_has_the_rows_of_one_that_is_made_now(fresh):
    same(kit.robustness.Sweep.from_parquet(DATA / "earlier_sweep.parquet"), fresh)


def test_an_interrupted_one_is_finished(fresh, fashion, tmp_path):
    journal = tmp_path / "sweep.parquet.partial"
    shutil.copy(DATA / "earlier_interrupted.parquet.partial", journal)
    path = tmp_path / "sweep.parquet"
    same(kit.sweep(fashion, PHOTOS, GRID, labels=LABELS, path=path, progress=False), fresh)
    assert not journal.exists()
