import pytest

from kit import samples
from kit.classifier.conversion import compile_lite
from kit.classifier.numpy_engine import foreign_operations
from tests import networks


def test_bundled_networks_are_arithmetic_alone():
    assert foreign_operations(samples.classifier("fashion_mnist").compiled) == ()


def test_tables_that_pixels_index_are_named():
    keras = networks.imported_keras()
    entry = keras.Input((4, 4, 1))
    places = keras.ops.cast(keras.layers.Flatten()(entry) * 9, "int32")
    model = keras.Model(entry, keras.ops.take(keras.ops.sin(keras.ops.arange(16.0)), places))
    assert {"CAST", "GATHER"} <= set(foreign_operations(compile_lite(model)))


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\xff" * 64])
def test_other_bytes_are_refused(data):
    with pytest.raises(ValueError, match="Expected a compiled network, received other bytes"):
        foreign_operations(data)
