import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from kit.classifier import loading, store
from kit.classifier.child import ask
from kit.classifier.engines import LiteEngine
from kit.classifier.first_layers import FirstLayers
from kit.classifier.loading import convert
from tests import networks


def test_a_network_is_compiled_in_another_process_where_keras_is_loaded_too(plain_file, monkeypatch):
    monkeypatch.setattr(loading, "load_keras", None)
    compiled, first_layers = convert(store.read(plain_file))
    assert compiled.data is not None
    assert FirstLayers.from_bytes(first_layers).widths == (8,)


def test_a_file_that_is_replaced_while_it_is_compiled_leaves_nothing(plain_file, tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    path.write_bytes(plain_file.read_bytes())
    first = store.read(path)
    networks.small(seed=8).save(path)
    with pytest.raises(ValueError, match=r"Expected the network in 'model.keras' as it was loaded"):
        convert(first)
    # As a callback does that saves after every epoch: while the copy is opened.
    second, opened = store.read(path), []

    def replacing(module, copy, *given, **options):
        networks.small(seed=9).save(path)
        opened.append(copy)
        return ask(module, copy, *given, **options)

    monkeypatch.setattr(loading, "ask", replacing)
    compiled, _ = convert(second)
    batch = networks.tensors(1)
    rows = LiteEngine(compiled.data, threads=1).predict(batch)
    assert rows == pytest.approx(np.asarray(networks.small(seed=8)(batch)), abs=1e-6)
    assert opened[0] != path


def test_where_keras_is_not_loaded_it_stays_so(plain_file, tmp_path):
    """In a process of its own, as this one has Keras; that one starts a third, which compiles."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from kit import Classifier\n"
        "from kit.classifier import loading\n"
        "loading.cache_folder = lambda: Path(sys.argv[2])\n"
        "first, second = Classifier.load(sys.argv[1]), Classifier.load(sys.argv[1])\n"
        "print(first, first.notes == second.notes, 'keras' in sys.modules, 'tensorflow' in sys.modules)\n"
    )
    command = [sys.executable, "-c", script, plain_file, tmp_path / "cache"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout == (
        "Classifier('plain', 28x28x1 -> 3 classes, LiteRT, preprocessing unknown) True False False\n"
    ), result.stderr
    shown = re.split(r"[\r\n]+", result.stderr)
    assert {line.partition(":")[0].strip() for line in shown} <= {"", "Compiling 'plain.keras'"}
    entry = store.read_members(
        tmp_path / "cache" / f"{store.read(plain_file).digest}.zip", store.read(plain_file).digest
    )
    assert entry.member(store.COMPILED)
    # While TensorFlow was there.
    assert FirstLayers.from_bytes(entry.member(store.FIRST_LAYERS)).widths == (8,)


@pytest.mark.parametrize(
    ("declared", "instead"),
    [
        (b'"units": 3', b'"units": 500000000'),
        # Keras builds a layer for the input that it was once built for, whatever it is given.
        (
            b'"build_config": {"input_shape": [null, 1352]}',
            b'"build_config": {"input_shape": [null, 500000000]}',
        ),
    ],
)
def test_layers_of_a_size_that_fills_the_memory_end_in_one_line(plain_file, tmp_path, declared, instead):
    """20 KB that declare half a billion units: a process of its own meets its limit, though Keras is here."""
    rewritten(plain_file, tmp_path / "units.keras", declared, instead)
    with pytest.raises(
        ValueError, match=r"received 'units.keras': OOM when .*, or save the network anew"
    ) as caught:
        convert(store.read(tmp_path / "units.keras"))
    assert "\n" not in str(caught.value)


def rewritten(source, target, old, new):
    with zipfile.ZipFile(source) as whole, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in whole.namelist():
            content = whole.read(name)
            assert name != "config.json" or old in content
            copy.writestr(name, content.replace(old, new) if name == "config.json" else content)


def test_a_file_that_only_says_it_has_layers_of_ones_own_stays_out(plain_file, tmp_path, monkeypatch):
    for name, said in {"mine": b'"registered_name": "Mine>Dense"', "os": b'"registered_name": "x>y"'}.items():
        path = tmp_path / f"{name}.keras"
        rewritten(plain_file, b'"registered_name": null', said)
        monkeypatch.setattr(loading, "ask", lambda *given, **options: {"error": "Expected another file"})
        custom = [{"module": name, "class_name": "Dense", "registered_name": "Mine>Dense"}]
        with pytest.raises(ValueError, match="Expected another file"):
            convert(store.read(path), custom=custom)
