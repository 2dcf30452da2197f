"""Each form of a file that somebody made goes through the process that inspects it, without TensorFlow."""

import struct
from dataclasses import replace

import pytest

from kit.classifier import conversion, inspection, store
from kit.classifier.first_layers import FirstLayers
from kit.classifier.inspection import inspect
from tests import networks


@pytest.fixture(scope="module")
def other():
    """The compiled form of the same architecture with other weights."""
    return conversion.compile_lite(networks.small(seed=8))


def forged(source, target, contract=None, **members):
    """A file with other members and digests that fit, as anybody can make it."""
    opened = store.read(source)
    kept = {name: opened.member(name) for name in opened.contract["members"]}
    changed = {getattr(store, name): data for name, data in members.items()}
    store.write(source, target, {**opened.contract, **(contract or {})}, kept | changed)
    return store.read(target)


def test_a_sound_file_has_no_flaws(small_file, plain_file):
    assert inspect(store.read(small_file)) == {}
    assert inspect(store.read(plain_file)) == {}


def test_each_form_is_compared_with_the_weights(small_file, tmp_path, other):
    first_layers = FirstLayers.from_bytes(store.read(small_file).member(store.FIRST_LAYERS))
    odd = FirstLayers(first_layers.compiled, (4, 4), first_layers.means, first_layers.variances)
    flaws = inspect(forged(small_file, tmp_path / "a.keras", COMPILED=other, FIRST_LAYERS=odd.to_bytes()))
    assert flaws.keys() == {store.COMPILED, store.FIRST_LAYERS}
    assert flaws[store.COMPILED].startswith("differs from its weights by ")
    assert flaws[store.FIRST_LAYERS] == "differ from its weights"


def test_what_the_contract_says_of_the_network_is_compared(small_file, tmp_path):
    for number, contract in enumerate(({"head": "logits"}, {"output_count": 4})):
        flaws = inspect(forged(small_file, tmp_path / f"{number}.keras", contract))
        assert flaws == {store.COMPILED: "is of another shape than the file says"}


def test_a_form_that_crashes_does_so_elsewhere(small_file, tmp_path):
    """Offsets that lead out of the file; the format has its root at the fourth byte."""
    data = bytearray(networks.small_compiled())
    root = struct.unpack_from("<I", data)[0]
    for at in range(root + 4, root + 40, 4):
        struct.pack_into("<I", data, at, 0x7FFFFFF0)
    flaws = inspect(forged(small_file, tmp_path / "a.keras", COMPILED=bytes(data)))
    assert store.COMPILED in flaws


def test_a_network_that_numpy_does_not_know_is_not_vouched_for(tmp_path):
    from kit import Classifier  # noqa: PLC0415 (only here)

    keras = networks.imported_keras()
    layers = [
        keras.layers.Resizing(8, 8),
        keras.layers.Flatten(),
        keras.layers.Dense(3, activation="softmax"),
    ]
    Classifier(keras.Sequential([keras.Input((28, 28, 1)), *layers]), networks.GREY).save(
        tmp_path / "a.keras"
    )
    flaws = inspect(store.read(tmp_path / "a.keras"))
    assert set(flaws.values()) == {"cannot be checked without TensorFlow (a layer 'Resizing' of float32)"}


def test_a_file_that_was_replaced_is_refused(small_file, plain_file, tmp_path):
    path = tmp_path / "a.keras"
    path.write_bytes(small_file.read_bytes())
    opened = store.read(path)
    path.write_bytes(plain_file.read_bytes())
    with pytest.raises(ValueError, match=r"Expected the network in 'a.keras' as it was loaded"):
        inspect(opened)


def test_a_process_that_does_not_end_is_a_flaw(small_file, monkeypatch):
    monkeypatch.setattr(inspection, "SECONDS", 0.05)
    flaws = inspect(store.read(small_file))
    assert set(flaws.values()) == {"could not be inspected (no end after 0 s)"}


def test_averages_that_are_not_those_of_the_weights_are_a_flaw(small_file, tmp_path):
    """A diagnosis holds pictures against them; here every mean is higher by one."""
    first_layers = FirstLayers.from_bytes(store.read(small_file).member(store.FIRST_LAYERS))
    assert first_layers.source == "batchnorm"
    lies = replace(first_layers, means=first_layers.means + 1).to_bytes()
    assert inspect(forged(small_file, tmp_path / "a.keras", FIRST_LAYERS=lies)) == {
        store.FIRST_LAYERS: "differ from its weights"
    }


def test_memory_that_grows_with_a_power_of_the_number_of_pictures_is_a_flaw(small_file, tmp_path):
    """Four gigabytes for 64 pictures, which is as many as run at once, and four bytes for one."""
    tensorflow = pytest.importorskip("tensorflow")

    def answered(x):
        many = count = tensorflow.shape(x)[0]
        for _ in range(4):
            many = many * count
        largest = tensorflow.reshape(tensorflow.reduce_max(x), (1, 1))
        padded = tensorflow.pad(largest, tensorflow.stack([(0, 0), tensorflow.stack([0, many])]))
        rows = tensorflow.reduce_mean(x, (1, 2, 3))[:, None] * tensorflow.ones((1, 3))
        return tensorflow.nn.softmax(rows + tensorflow.reduce_max(padded))

    shape = tensorflow.TensorSpec((None, 28, 28, 1), tensorflow.float32)
    concrete = tensorflow.function(answered, input_signature=[shape]).get_concrete_function()
    compiled = tensorflow.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()
    flaws = inspect(forged(small_file, tmp_path / "a.keras", COMPILED=compiled))
    # Before what it answers is looked at, which would be a flaw too.
    assert flaws[store.COMPILED].startswith(("does not run", "could not be inspected"))
