"""Weights are read without Keras, and as far as their file holds them."""

import io
import zipfile

import h5py
import pytest

from kit.classifier.architecture import Layer, flat_numbers, layers_of, weights_in
from tests.refusals import refused

DECLARED = [
    # Eight bytes each.
    (
        {"shape": (20_000,), "dtype": "f8", "chunks": (4_000,), "compression": "gzip"},
        "20000 values of float64",
    ),
    # Many variable-length texts may all point at the same megabyte.
    ({"data": ["a", "b"], "dtype": h5py.string_dtype()}, "values of object"),
    (None, ""),
]


@pytest.mark.parametrize(("values", "flaw"), DECLARED)
def test_weights_that_declare_more_than_their_file_holds_are_refused(
    tmp_path, values, flaw
):
    buffer = io.BytesIO()
    if values is not None:
        with h5py.File(buffer, "w") as file:
            file.create_dataset("layers/dense/vars/0", **values)
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as file:
        file.writestr("model.weights.h5", buffer.getvalue() or b"no HDF5")
    with refused(f"weights of Keras in 'a.keras': .*{flaw}"):
        weights_in(tmp_path / "a.keras")


def test_numbers_are_read_as_keras_writes_them_and_only_finite_ones():
    assert flat_numbers(3).tolist() == [3]
    for value in ({"config": {"value": [[1, 2]]}}, {"value": [1, 2]}):
        assert flat_numbers(value).tolist() == [1, 2]
    for value in ([1, float("inf")], [], "text"):
        assert flat_numbers(value) is None


def test_a_layer_has_its_name_its_mode_and_the_numbers_that_it_is_called_with():
    calls = [{"args": [{}, 255, True]}, {"kwargs": {"training": True}}]
    config = {"class_name": "Divide", "name": "half", "inbound_nodes": calls}
    assert layers_of(config) == (Layer("half", "Divide", {}, (255.0,), training=True),)
