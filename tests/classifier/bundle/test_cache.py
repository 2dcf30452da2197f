import os
import zipfile

import pytest

from kit.classifier import archive
from kit.classifier.bundle import cache
from kit.classifier.runtime.compiled import Compiled

DIGEST = "a" * 64
FOUND = Compiled("softmax", (28, 28, 1), 3, b"compiled form", 1e-7)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    place = tmp_path / "cache"
    monkeypatch.setattr(cache, "folder", lambda: place)
    return place


def test_the_folder_is_the_users_own():
    assert cache.folder().parent.name == "classifier-investigation-kit"


def test_what_was_put_comes_back(folder):
    assert cache.get(DIGEST) is None
    cache.put(DIGEST, FOUND)
    assert cache.get(DIGEST) == FOUND
    assert cache.get("b" * 64) is None


def test_a_network_that_cannot_be_compiled_is_remembered(folder):
    failed = Compiled("softmax", (28, 28, 1), 3, reason="LiteRT has no operation FFT2D")
    cache.put(DIGEST, failed)
    assert cache.get(DIGEST) == failed


@pytest.mark.parametrize("content", [b"", b"foreign", b"PK\x05\x06" + bytes(18)])
def test_damaged_and_foreign_entries_are_ignored_and_rewritten(folder, content):
    folder.mkdir()
    (folder / f"{DIGEST}.zip").write_bytes(content)
    assert cache.get(DIGEST) is None
    cache.put(DIGEST, FOUND)
    assert cache.get(DIGEST) == FOUND


def test_an_entry_under_the_wrong_name_is_ignored(folder):
    cache.put(DIGEST, FOUND)
    (folder / f"{DIGEST}.zip").rename(folder / f"{'b' * 64}.zip")
    assert cache.get("b" * 64) is None


def test_an_entry_without_its_compiled_form_is_ignored(folder):
    cache.put(DIGEST, FOUND)
    entry = folder / f"{DIGEST}.zip"
    with zipfile.ZipFile(entry) as file:
        contract = file.read(archive.CONTRACT)
    with zipfile.ZipFile(entry, "w") as file:
        file.writestr(archive.CONTRACT, contract)
    assert cache.get(DIGEST) is None


def test_a_contract_with_wrong_content_is_ignored(folder):
    folder.mkdir()
    contract = {"name": "", "class_names": [], "preprocessing": None, **FOUND.to_contract(), "head": "none"}
    archive.write_members(folder / f"{DIGEST}.zip", DIGEST, contract, {})
    assert cache.get(DIGEST) is None


def test_a_folder_that_cannot_be_written_to_is_no_failure(folder):
    # A file in its place: refuses everyone, the administrator too.
    folder.write_bytes(b"")
    cache.put(DIGEST, FOUND)
    assert cache.get(DIGEST) is None


def test_the_oldest_entries_make_room(folder, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 2)
    for age, letter in enumerate("cba"):
        cache.put(letter * 64, FOUND)
        os.utime(folder / f"{letter * 64}.zip", (1000 + age, 1000 + age))
    cache.put("d" * 64, FOUND)
    assert sorted(entry.name[0] for entry in folder.iterdir()) == ["a", "d"]


def test_a_member_is_added_to_an_entry_and_leaves_it_as_it_was(folder):
    cache.put_member(DIGEST, archive.TAPS, b"taps")
    assert cache.member(DIGEST, archive.TAPS) is None  # no entry to add it to
    cache.put(DIGEST, FOUND)
    cache.put_member(DIGEST, archive.TAPS, b"taps")
    assert cache.member(DIGEST, archive.TAPS) == b"taps"
    assert cache.get(DIGEST) == FOUND
    cache.put_member(DIGEST, archive.TAPS, b"")
    assert cache.member(DIGEST, archive.TAPS) == b""
