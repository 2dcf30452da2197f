import os
import stat

import pytest

from kit import samples
from kit.classifier import loading, store
from kit.classifier.loading import known, private, prune, remember
from kit.classifier.store import Archive

CONTRACT = {"name": "small", "members": {"kit/model.tflite": {"size": 1, "sha256": "0" * 64}}}


def opened(path, digest="a" * 64, **changes):
    return Archive(path / "small.keras", digest, CONTRACT | changes)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_record_holds_for_these_weights_and_this_contract_alone(tmp_path):
    assert not known(opened(tmp_path), tmp_path / "cache")
    remember(opened(tmp_path), tmp_path / "cache")
    assert known(opened(tmp_path), tmp_path / "cache")
    assert not known(opened(tmp_path, "b" * 64), tmp_path / "cache")
    assert not known(opened(tmp_path, head="logits"), tmp_path / "cache")
    other = {"kit/model.tflite": {"size": 1, "sha256": "1" * 64}}
    assert not known(opened(tmp_path, members=other), tmp_path / "cache")


def test_a_record_holds_for_one_user_alone(tmp_path):
    remember(opened(tmp_path), tmp_path / "mine")
    remember(opened(tmp_path, "b" * 64), tmp_path / "yours")
    for record in (tmp_path / "mine").glob("*.known"):
        record.rename(tmp_path / "yours" / record.name)
    assert not known(opened(tmp_path), tmp_path / "yours")
    (tmp_path / "yours" / "key").write_bytes(b"")
    assert not known(opened(tmp_path, "b" * 64), tmp_path / "yours")


def test_others_are_shut_out(tmp_path):
    if os.name == "nt":
        pytest.skip("Windows keeps the folders of users apart by itself")
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o755)
    remember(opened(tmp_path), folder)
    assert mode(folder) == 0o700
    assert {mode(entry) for entry in folder.iterdir()} == {0o600}
    entry = store.write_members(folder / "entry.zip", "a" * 64, CONTRACT, {}).path
    assert mode(entry) == 0o600


def test_a_folder_that_is_a_link_is_not_used(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    try:
        (tmp_path / "cache").symlink_to(tmp_path / "elsewhere")
    except OSError:
        pytest.skip("this system does not let its users make links")
    with pytest.raises(NotADirectoryError, match="a cache folder of one's own"):
        private(tmp_path / "cache")
    remember(opened(tmp_path), tmp_path / "cache")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_pruning_removes_links_and_not_what_they_point_to(tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    precious = tmp_path / "precious.zip"
    precious.write_bytes(b"kept")
    try:
        (folder / "a.zip").symlink_to(precious)
        (folder / "b.zip").symlink_to(tmp_path / "nowhere")
    except OSError:
        pytest.skip("this system does not let its users make links")
    (folder / "c.zip").write_bytes(b"")
    os.utime(folder / "c.zip", (2e9, 2e9))
    prune(folder, "*.zip", 1)
    assert [entry.name for entry in folder.iterdir()] == ["c.zip"]
    assert precious.read_bytes() == b"kept"


def test_writing_to_the_cache_replaces_a_link_and_not_what_it_points_to(tmp_path):
    precious = tmp_path / "precious"
    precious.write_bytes(b"kept")
    try:
        (tmp_path / "entry.zip").symlink_to(precious)
    except OSError:
        pytest.skip("this system does not let its users make links")
    store.write_members(tmp_path / "entry.zip", "a" * 64, CONTRACT, {})
    assert precious.read_bytes() == b"kept"
    assert not (tmp_path / "entry.zip").is_symlink()


def test_the_oldest_records_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "KEPT", 2)
    for age, letter in enumerate("cba"):
        remember(opened(tmp_path, letter * 64), tmp_path / "cache")
        for record in (tmp_path / "cache").glob("*.known"):
            os.utime(record, (min(1000 + age, record.stat().st_mtime),) * 2)
    assert [known(opened(tmp_path, letter * 64), tmp_path / "cache") for letter in "cba"] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("name", [*samples.CLASSIFIERS, *samples.CHECKPOINTS.values()])
def test_bundled_files_are_known_to_everybody(name, tmp_path):
    assert known(samples.classifier(name).source, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_key_of_another_length_or_a_link_is_made_anew(tmp_path):
    for number, spoilt in enumerate(
        (lambda key: key.write_bytes(b""), lambda key: key.symlink_to("/dev/zero"))
    ):
        folder = private(tmp_path / str(number))
        try:
            spoilt(folder / "key")
        except OSError:
            pytest.skip("this system does not let its users make links")
        assert not known(opened(tmp_path), folder)
        remember(opened(tmp_path), folder)
        assert known(opened(tmp_path), folder)
        assert (folder / "key").lstat().st_size == 32
