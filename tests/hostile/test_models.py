"""The quick form: each kind of hostile file once, opened in one process, which lives and answers in one line.

Networks that are compiled anew come from a cache that this test fills, so that no TensorFlow is started.
"""

import json
import subprocess
import sys
from hashlib import sha256

import pytest

from kit.classifier import loading, store
from kit.classifier.conversion import Compiled
from tests.hostile import models

# Whole files of these kinds have other weights, so that only TensorFlow can open or refuse them.
SLOW = {"_weights", "_config", "_declared", "_weights_plain"}

SCRIPT = """
import json, sys, warnings
from pathlib import Path
from kit.classifier import loading
from tests.hostile import models
loading.cache_folder = lambda: Path(sys.argv[1]) / "cache"
for path in sorted(Path(sys.argv[1]).glob("*.keras")):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            models.open_one(path)
            found = "opened"
        except (ValueError, TypeError, OSError) as error:
            found = str(error)
    print(json.dumps([path.stem, found, len(caught), "tensorflow" in sys.modules]))
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """What this user's kit knows of the bundled networks: their compiled forms and first layers."""
    monkeypatch.setattr(loading, "cache_folder", lambda: tmp_path / "cache")
    for name in models.SOURCES:
        opened = store.read(models.MODELS / f"{name}.keras")
        compiled = Compiled.from_contract(opened.contract, opened.member(store.COMPILED))
        loading.cache(opened.digest, compiled, first_layers=opened.member(store.FIRST_LAYERS))


def opened_in_one_process(folder, files):
    for name, data in files:
        (folder / name).write_bytes(data)
    command = [sys.executable, "-c", SCRIPT, folder]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=models.MODELS.parents[1]
    )
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0, (found[-1:], result.stderr[-500:])
    assert result.stderr == ""
    assert len(found) == len(files)
    return {name: answer for name, *answer in found}


def test_changed_compiled_forms_end_neither_the_process_nor_the_network(tmp_path, cache):
    found = opened_in_one_process(tmp_path, list(models.compiled_corpus(4, seed=1)))
    assert [answer for answer in found.values() if answer != ["opened", 0, False]] == []


def test_whole_files_are_opened_or_refused_in_one_line(tmp_path, cache):
    kinds = len(models.KINDS)
    quick = [make.__name__ not in SLOW for make in models.KINDS]
    files = [each for each, kept in zip(models.corpus(kinds, seed=2), quick, strict=True) if kept]
    found = opened_in_one_process(tmp_path, files)
    refused = [message for message, *_ in found.values() if message != "opened"]
    assert len(refused) >= 5
    assert [message for message in refused if not message.startswith("Expected") or "\n" in message] == []
    assert [answer for answer in found.values() if answer[1:] != [0, False]] == []


def test_the_corpus_is_the_same_every_time():
    for maker, count in ((models.corpus, 2 * len(models.KINDS)), (models.compiled_corpus, 4)):
        for (name, data), (again, same) in zip(maker(count, seed=3), maker(count, seed=3), strict=True):
            assert (name, sha256(data).digest()) == (again, sha256(same).digest())
        assert [data for _, data in maker(4, seed=3)] != [data for _, data in maker(4, seed=4)]
