import os
import zipfile

import pytest

from kit.classifier import loading, store
from kit.classifier.conversion import Compiled
from kit.classifier.first_layers import FirstLayers
from kit.classifier.loading import (
    _cache_first_layers,
    _entry,
    cache,
    cache_folder,
    cached,
    restore,
    restore_first_layers,
    unchanged,
    vouch,
)
from tests import networks

SMALL = Compiled("softmax", (28, 28, 1), 3, b"", 1e-7)
DIGEST = "a" * 64
FOUND = Compiled("softmax", (28, 28, 1), 3, b"compiled form", 1e-7)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def converted(folder, monkeypatch):
    """Files that were compiled through TensorFlow; the real thing is tested elsewhere."""
    files = []

    def convert(opened, preprocessing, *, custom):
        files.append(opened.path.name)
        return Compiled("softmax", (28, 28, 1), 3, networks.small_compiled(), 1e-7), None

    monkeypatch.setattr(loading, "convert", convert)
    return files


def keras_file(path, config=b'{"class_name": "Sequential", "config": {}}'):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", config)
        file.writestr("model.weights.h5", b"weights")
    return path


def saved(tmp_path, data, **changes):
    """A file as `Classifier.save` writes it, with a record."""
    contract = {"name": "small", "class_names": [], "preprocessing": None, **SMALL.to_contract(), **changes}
    source, target = keras_file(tmp_path / "plain.keras"), tmp_path / "saved.keras"
    vouch(store.write(source, target, contract, {store.COMPILED: data} if data else {}))
    return target


def test_the_compiled_form_in_the_file_comes_first(tmp_path, converted):
    found = restore(store.read(saved(tmp_path, networks.small_compiled())))
    assert found.compiled.data == networks.small_compiled()
    assert found.engine.input_shape == (28, 28, 1)
    assert (found.notes, converted) == ((), [])


def test_a_plain_file_is_compiled_once(tmp_path, converted):
    opened = store.read(keras_file(tmp_path / "plain.keras"))
    first, second = restore(opened), restore(opened)
    assert converted == ["plain.keras"]
    assert first.compiled == second.compiled
    assert (first.notes, second.notes) == ((), ())


def test_the_cache_goes_by_content_and_not_by_name(tmp_path, converted):
    restore(store.read(keras_file(tmp_path / "plain.keras")))
    restore(store.read(keras_file(tmp_path / "copy.keras")))
    assert converted == ["plain.keras"]


def test_what_is_in_the_cache_but_cannot_run_is_made_anew(tmp_path, converted, folder):
    opened = store.read(keras_file(tmp_path / "plain.keras"))
    cache(opened.digest, Compiled("softmax", (28, 28, 1), 3, b"nonsense", 1e-7))
    assert restore(opened).engine is not None
    assert converted == ["plain.keras"]
    assert cached(opened.digest)[0].data == networks.small_compiled()


def test_a_compiled_form_that_cannot_run_is_made_anew_with_a_note(tmp_path, converted):
    found = restore(store.read(saved(tmp_path, b"nonsense")))
    assert found.engine is not None
    assert found.notes == ("the compiled form in the file is damaged, so the network was compiled anew",)


def test_a_compiled_form_of_other_weights_is_refused_with_a_note(tmp_path, converted):
    source = saved(tmp_path, networks.small_compiled())
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(tmp_path / "other.keras", "w") as new:
        for name in old.namelist():
            new.writestr(name, b"retrained" if name == "model.weights.h5" else old.read(name))
    found = restore(store.read(tmp_path / "other.keras"))
    assert converted == ["other.keras"]
    assert found.engine is not None
    assert found.notes == (
        "the compiled form in the file belongs to other weights, so the network was compiled anew",
    )


def test_a_network_that_cannot_be_compiled_is_not_tried_again(tmp_path, converted):
    found = restore(store.read(saved(tmp_path, None, reason="LiteRT has no operation Svd")))
    assert (found.engine, found.notes, converted) == (None, (), [])
    assert found.compiled.reason == "LiteRT has no operation Svd"


@pytest.mark.parametrize(
    "layer",
    [
        '{"module": null, "class_name": "Spectrum", "registered_name": "Mine>Spectrum"}',
        '{"module": "my_layers", "class_name": "Spectrum", "registered_name": null}',
    ],
)
def test_networks_with_custom_layers_are_not_cached(tmp_path, converted, folder, layer):
    config = f'{{"class_name": "Sequential", "config": {{"layers": [{layer}]}}}}'.encode()
    opened = store.read(keras_file(tmp_path / "plain.keras", config))
    restore(opened)
    restore(opened)
    assert converted == ["plain.keras"] * 2
    assert not list(folder.glob("*.zip"))


def test_a_loss_of_ones_own_is_no_layer_of_the_network(tmp_path, converted, folder):
    loss = (
        '{"module": "builtins", "class_name": "function", "config": "my_loss", "registered_name": "function"}'
    )
    config = f'{{"class_name": "Sequential", "config": {{}}, "compile_config": {{"loss": {loss}}}}}'.encode()
    opened = store.read(keras_file(tmp_path / "plain.keras", config))
    restore(opened)
    restore(opened)
    assert converted == ["plain.keras"]


def test_a_contract_that_is_not_understood_ends_in_one_line(tmp_path, converted):
    path = saved(tmp_path, networks.small_compiled(), head="softmaxx")
    with pytest.raises(ValueError, match=r"in kit/contract.json of 'saved.keras', received 'softmaxx'"):
        restore(store.read(path))


SHAPE = (28, 28, 1)


@pytest.fixture
def asked():
    """Models whose first layers were compiled."""
    return []


@pytest.fixture
def model(asked):
    def give():
        asked.append(networks.small())
        return asked[-1]

    return give


def test_first_layers_in_the_file_come_first(tmp_path, folder, model, asked):
    source = saved(tmp_path, networks.small_compiled())
    contract = store.read(source).contract
    store.write(
        source,
        tmp_path / "measured.keras",
        contract,
        {store.FIRST_LAYERS: FirstLayers(b"x", (8,)).to_bytes()},
    )
    assert restore_first_layers(store.read(tmp_path / "measured.keras"), model, SHAPE, (28, 28)).widths == (
        8,
    )
    assert asked == []


def test_first_layers_of_a_plain_file_are_made_once(tmp_path, folder, model, asked):
    opened = store.read(keras_file(tmp_path / "plain.keras"))
    cache(opened.digest, SMALL)
    first, second = (restore_first_layers(opened, model, SHAPE, (28, 28)) for _ in range(2))
    assert (first.widths, second.widths, len(asked)) == ((8,), (8,), 1)
    assert first.compiled == second.compiled


def test_a_network_without_such_layers_is_not_asked_again(tmp_path, folder, asked):
    opened = store.read(keras_file(tmp_path / "plain.keras"))
    cache(opened.digest, SMALL)
    keras = networks.imported_keras()

    def give():
        asked.append(keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()]))
        return asked[-1]

    assert [restore_first_layers(opened, give, SHAPE, None) for _ in range(2)] == [None, None]
    assert len(asked) == 1


def test_a_file_that_was_replaced_is_refused(tmp_path):
    opened = store.read(keras_file(tmp_path / "plain.keras"))
    assert unchanged(opened) is opened
    keras_file(tmp_path / "plain.keras", b'{"class_name": "Functional", "config": {}}')
    with pytest.raises(ValueError, match=r"Expected the network in 'plain.keras' as it was loaded"):
        unchanged(opened)


# The cache


def test_the_folder_is_the_users_own():
    assert cache_folder().parent.name == "classifier-investigation-kit"


def test_what_was_put_comes_back(folder):
    assert cached(DIGEST) is None
    cache(DIGEST, FOUND)
    assert cached(DIGEST) == (FOUND, None)
    assert cached("b" * 64) is None


def test_a_network_that_cannot_be_compiled_is_remembered(folder):
    failed = Compiled("softmax", (28, 28, 1), 3, reason="LiteRT has no operation FFT2D")
    cache(DIGEST, failed)
    assert cached(DIGEST) == (failed, None)


@pytest.mark.parametrize("content", [b"", b"foreign", b"PK\x05\x06" + bytes(18)])
def test_damaged_and_foreign_entries_are_ignored_and_rewritten(folder, content):
    folder.mkdir()
    (folder / f"{DIGEST}.zip").write_bytes(content)
    assert cached(DIGEST) is None
    cache(DIGEST, FOUND)
    assert cached(DIGEST) == (FOUND, None)


def test_an_entry_under_the_wrong_name_is_ignored(folder):
    cache(DIGEST, FOUND)
    (folder / f"{DIGEST}.zip").rename(folder / f"{'b' * 64}.zip")
    assert cached("b" * 64) is None


def test_an_entry_without_its_compiled_form_is_ignored(folder):
    cache(DIGEST, FOUND)
    entry = folder / f"{DIGEST}.zip"
    with zipfile.ZipFile(entry) as file:
        contract = file.read(store.CONTRACT)
    with zipfile.ZipFile(entry, "w") as file:
        file.writestr(store.CONTRACT, contract)
    assert cached(DIGEST) is None


def test_a_contract_with_wrong_content_is_ignored(folder):
    folder.mkdir()
    contract = {"name": "", "class_names": [], "preprocessing": None, **FOUND.to_contract(), "head": "none"}
    store.write_members(folder / f"{DIGEST}.zip", DIGEST, contract, {})
    assert cached(DIGEST) is None


def test_a_folder_that_cannot_be_written_to_is_no_failure(folder):
    # A file in its place: refuses everyone, the administrator too.
    folder.write_bytes(b"")
    cache(DIGEST, FOUND)
    assert cached(DIGEST) is None


def test_the_oldest_entries_make_room(folder, monkeypatch):
    monkeypatch.setattr(loading, "CACHED", 2)
    for age, letter in enumerate("cba"):
        cache(letter * 64, FOUND)
        os.utime(folder / f"{letter * 64}.zip", (1000 + age, 1000 + age))
    cache("d" * 64, FOUND)
    assert sorted(entry.name[0] for entry in folder.glob("*.zip")) == ["a", "d"]


def test_first_layers_are_added_to_an_entry_and_leave_it_as_it_was(folder):
    _cache_first_layers(DIGEST, b"layers")
    assert _entry(DIGEST) is None  # no entry to add it to
    cache(DIGEST, FOUND)
    _cache_first_layers(DIGEST, b"layers")
    assert _entry(DIGEST).member(store.FIRST_LAYERS) == b"layers"
    assert cached(DIGEST) == (FOUND, None)
    _cache_first_layers(DIGEST, b"")
    assert _entry(DIGEST).member(store.FIRST_LAYERS) == b""


def test_first_layers_are_inspected_where_no_compiled_form_stands_beside_them(tmp_path, folder, converted):
    """Nobody's record, and averages that the weights of the same file contradict."""
    source, target = tmp_path / "source.keras", tmp_path / "alone.keras"
    networks.small().save(source)
    first_layers = FirstLayers((b"no network"), (4,)).to_bytes()
    contract = {"name": "small", "class_names": [], "preprocessing": None, **SMALL.to_contract()}
    store.write(source, target, contract, {store.FIRST_LAYERS: first_layers})
    found = restore(store.read(target))
    assert found.source.refused.keys() == {store.FIRST_LAYERS}
    assert found.source.member(store.FIRST_LAYERS) is None


def test_a_user_without_a_home_has_a_cache_folder_all_the_same(monkeypatch):
    def nowhere(*_args, **_options):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("platformdirs.user_cache_path", nowhere)
    assert cache_folder().parent.name.startswith("classifier-investigation-kit")
