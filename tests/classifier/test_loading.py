"""What a network is opened from: bundled, known to this user, or compiled once in a process of its own."""

import gc
import json
import os
import stat
import time
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Event

import numpy as np
import pytest

from kit import samples
from kit.classifier import loading, store
from kit.classifier.loading import cache_folder, keep, restore
from kit.classifier.network import Compiled
from tests import networks
from tests.project import python
from tests.refusals import refused


@cache
def small():
    return Compiled("softmax", (28, 28, 1), 3, networks.small_compiled(), 1e-7)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def converted(folder, monkeypatch):
    """Files that were compiled through TensorFlow; the real thing is tested below."""
    files = []

    def convert(opened, preprocessing, early):
        files.append(opened.path.name)
        time.sleep(0.05)
        return small()

    monkeypatch.setattr(loading, "compile_apart", convert)
    return files


def keras_file(
    path, config='{"class_name": "Sequential", "config": {}}', weights=b"weights"
):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", config)
        file.writestr("model.weights.h5", weights)
    return store.read_model(path)


def test_a_file_is_compiled_once_whatever_it_is_called(tmp_path, converted):
    first = restore(keras_file(tmp_path / "plain.keras"))
    second = restore(keras_file(tmp_path / "copy.keras"))
    assert converted == ["plain.keras"]
    assert first.compiled.data == second.compiled.data == small().data
    other = keras_file(tmp_path / "other.keras", weights=b"others")
    with ThreadPoolExecutor(8) as pool:  # Windows has no such lock
        third = [*pool.map(restore, [other] * (1 if os.name == "nt" else 8))]
    assert converted == ["plain.keras", "other.keras"]
    assert {network.compiled.data for network in third} == {small().data}
    gone = weakref.ref(other)
    del other, third
    gc.collect()
    assert gone() is None


def test_bars_come_first_and_a_failure_is_raised_where_the_compiled_form_is_needed(
    tmp_path, monkeypatch
):
    failing = Event()

    def convert(opened, preprocessing, early):
        early.set_result(
            (
                ["softmax", [28, 28, 1], 3],
                # As where its process ends meanwhile.
                lambda tensors: (
                    failing.set()
                    if len(tensors) > 2
                    else np.full((len(tensors), 3), 1 / 3)
                ),
            )
        )
        failing.wait(30)
        raise ValueError("Expected a process, received none")

    monkeypatch.setattr(loading, "compile_apart", convert)
    network = restore(keras_file(tmp_path / "plain.keras"))
    assert (network.about.class_count, network.about.data) == (3, None)
    assert network.about.input_shape == (28, 28, 1)
    assert network.predict(np.zeros((2, 28, 28, 1), np.float32), early=True).shape == (
        2,
        3,
    )
    for early in (True, False):
        with pytest.raises(
            ValueError, match="Expected a process, received none"
        ) as raised:
            network.predict(np.zeros((3, 28, 28, 1), np.float32), early=early)
        # Its lines are those of this time alone.
        lines = [entry.lineno for entry in raised.traceback]
        assert len(lines) == len({*lines})


OPENING = """
import sys, time
from pathlib import Path
from kit.classifier import loading, store
from kit.classifier.network import Compiled
path, folder = Path(sys.argv[1]), Path(sys.argv[2])
loading.cache_folder = lambda: folder / "cache"
def convert(opened, preprocessing, early):
    with open(folder / "compiled.txt", "a") as file:
        file.write("once ")
    if not early.done():
        early.set_result((["softmax", [28, 28, 1], 3], print))
    time.sleep(0.5)
    return Compiled.read(folder / "entry.zip")
loading.compile_apart = convert
print(loading.restore(store.read_model(path)).compiled)
"""
IMPORTING = """
import threading
threading.Thread(target=__import__, args=("keras",)).start()
while "keras" not in sys.modules:
    pass
"""


@pytest.mark.parametrize("content", [b"foreign", None])
def test_what_is_damaged_in_the_cache_or_cannot_run_is_made_anew(
    tmp_path, converted, folder, content
):
    opened = keras_file(tmp_path / "plain.keras")
    keep(opened, Compiled("softmax", (28, 28, 1), 3, b"no network", 1e-7))
    if content is not None:
        (folder / f"{opened.digest}.zip").write_bytes(content)
    for _ in range(2):
        assert restore(opened).compiled.data == small().data
    assert converted == ["plain.keras"]


def test_where_nothing_can_be_kept_a_network_opens_all_the_same(
    tmp_path, converted, folder, monkeypatch
):
    def homeless(*_args, **_options):
        raise RuntimeError("could not determine the home directory")

    folder.write_bytes(
        b""
    )  # a file in its place refuses everyone, the administrator too
    monkeypatch.setattr("platformdirs.user_cache_path", homeless)
    for place in (lambda: folder, cache_folder):
        monkeypatch.setattr(loading, "cache_folder", place)
        assert restore(keras_file(tmp_path / "plain.keras")).compiled == small()
    assert converted == ["plain.keras"] * 2


@pytest.mark.skipif(
    os.name == "nt", reason="Windows keeps the folders of users apart by itself"
)
def test_the_folder_is_closed_to_others_and_one_that_they_can_write_to_is_not_used(
    tmp_path, converted, monkeypatch
):
    monkeypatch.setattr(loading, "cache_folder", cache_folder)
    monkeypatch.setattr(
        "platformdirs.user_cache_path", lambda *_given, **_options: tmp_path / "shared"
    )
    opened = keras_file(tmp_path / "plain.keras")
    keep(opened, small())
    (folder,) = (tmp_path / "shared").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (kept,) = folder.iterdir()
    restore(opened)
    assert converted == []
    folder.chmod(0o720)
    restore(opened)
    folder.chmod(0o702)
    restore(keras_file(tmp_path / "other.keras", weights=b"other"))
    assert converted == ["plain.keras", "other.keras"]
    assert [*folder.iterdir()] == [kept]


def test_where_users_have_no_numbers_as_on_windows_modes_say_nothing(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "platformdirs.user_cache_path", lambda *_given, **_options: tmp_path
    )
    folder = cache_folder()
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.delattr(os, "getuid", raising=False)
    assert cache_folder() == folder


def test_what_was_kept_first_makes_room(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(loading, "CACHED", 2)
    files = [
        keras_file(tmp_path / f"{name}.keras", weights=name.encode()) for name in "abc"
    ]
    for age, opened in enumerate(files[:2]):
        keep(opened, small())
        os.utime(folder / f"{opened.digest}.zip", (1000 + age, 1000 + age))
    others = {"thesis.zip", "photos.zip", f"{'g' * 64}.zip"}
    for name in others:  # as where the folder is a link to one of somebody's own
        (folder / name).touch()
        os.utime(folder / name, (0, 0))
    keep(files[2], small())
    kept = {f"{file.digest}.zip" for file in files[1:]}
    assert {entry.name for entry in folder.iterdir()} == kept | others


LOSS = {
    "module": "builtins",
    "class_name": "function",
    "config": "my_loss",
    "registered_name": "function",
}


def test_a_network_with_layers_that_are_registered_here_is_compiled_here(
    tmp_path, converted, monkeypatch
):
    described = []
    monkeypatch.setattr(loading, "load_keras", lambda path: path.name)
    monkeypatch.setattr(
        loading,
        "compile_model",
        lambda model, _preprocessing: described.append(model) or small(),
    )
    layer = {
        "module": None,
        "class_name": "Spectrum",
        "registered_name": "Mine>Spectrum",
    }
    config = {"class_name": "Sequential", "config": {"layers": [layer]}}
    with networks.imported_keras().saving.custom_object_scope(
        {"Mine>Spectrum": object, "my_loss": abs}
    ):
        restore(keras_file(tmp_path / "own.keras", json.dumps(config)))
        # Or with a function of one's own in a layer of Keras.
        active = json.dumps({"config": {"activation": LOSS}})
        restore(keras_file(tmp_path / "active.keras", active))
        assert (described, converted) == (["own.keras", "active.keras"], [])
        # A loss is no layer of the network.
        trained = {
            "class_name": "Sequential",
            "config": {},
            "compile_config": {"loss": LOSS},
        }
        restore(keras_file(tmp_path / "trained.keras", json.dumps(trained)))
    restore(keras_file(tmp_path / "own.keras", json.dumps(config)))
    assert converted == ["trained.keras", "own.keras"]


def test_a_network_opens_while_another_thread_imports_keras(tmp_path):
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "__init__.py").write_text(
        "import time; time.sleep(0.5); from keras import saving"
    )
    (tmp_path / "keras" / "saving.py").write_text("get_registered_object = print")
    keras_file(tmp_path / "plain.keras")
    small().write(tmp_path / "entry.zip")
    script = f"import sys; sys.path.insert(0, sys.argv[2]){OPENING}".replace(
        "print(", IMPORTING + "print("
    )
    assert "Compiled(head=" in python(script, tmp_path / "plain.keras", tmp_path).stdout


@pytest.mark.skipif(os.name == "nt", reason="needs fork")
@pytest.mark.parametrize(
    ("fork", "printed", "compiled"),
    [("os.fork()", 4, "once "), ("os.fork() and os._exit(0)", 2, "once once ")],
)
def test_a_process_that_is_forked_while_a_network_is_compiled_takes_what_is_kept(
    tmp_path, fork, printed, compiled
):
    """Or compiles it, once its parent has ended."""
    keras_file(tmp_path / "plain.keras")
    small().write(tmp_path / "entry.zip")
    script = OPENING.replace(
        "print(loading",
        "import os; network, _ = loading.restore(store.read_model(path)), "
        + fork
        + "\n"
        "print(network.compiled, loading",
    )
    ended = python(script, tmp_path / "plain.keras", tmp_path, timeout=60)
    assert ended.stdout.count("Compiled(head=") == printed, ended.stderr
    assert (tmp_path / "compiled.txt").read_text() == compiled


@pytest.mark.parametrize("name", [*samples.CLASSIFIERS, *samples.CHECKPOINTS.values()])
def test_bundled_networks_are_compiled_for_everybody(name):
    entry = loading.BUNDLED / f"{samples.classifier(name).source.digest}.zip"
    assert Compiled.read(entry).data == samples.classifier(name).network.compiled.data


# In a process of its own


def test_a_process_of_its_own_compiles_while_this_one_loads_no_tensorflow(
    plain_file, tmp_path
):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from kit import Classifier\n"
        "from kit.classifier import loading\n"
        "loading.cache_folder = lambda: Path(sys.argv[2])\n"
        "first, tensors = Classifier.load(sys.argv[1]), np.zeros((1, 28, 28, 1), np.float32)\n"
        "early, pending = first.predict_tensors(tensors, early=True), first.network.about.data is None\n"
        "print(pending, abs(early - first.predict_tensors(tensors)).max() < 1e-5)\n"
        "second = Classifier.load(sys.argv[1])\n"
        "print(first, first.notes == second.notes, first.first_layers, 'keras' in sys.modules)\n"
    )
    result = python(script, plain_file, tmp_path / "cache")
    assert result.stdout == (
        "True True\nClassifier('plain', 28x28x1 -> 3 classes, LiteRT, preprocessing unknown) True"
        " FirstLayers(widths=(8,)) False\n"
    ), result.stderr
    assert "Opening 'plain.keras': " in result.stderr


def test_a_file_that_is_replaced_while_it_is_compiled_leaves_nothing(
    tmp_path, folder, monkeypatch
):
    opened = keras_file(tmp_path / "plain.keras")
    asked = lambda *_given, **_options: (
        keras_file(tmp_path / "plain.keras", weights=b"new") and {}
    )
    monkeypatch.setattr(loading, "run_apart", asked)
    with refused(r"Expected the network in 'plain.keras' as it was loaded"):
        restore(opened)
    assert not list(folder.glob("*.zip"))
