import errno
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

from kit.classifier import store
from kit.classifier.store import arrays_in, replacing, weights_in

CONTRACT = {"name": "small", "class_names": ["cat", "dog"], "preprocessing": None}


def network(path, weights=b"weights" * 40, **others):
    """Zip with the members of a Keras archive, without Keras."""
    members = {
        "metadata.json": b"{}",
        "config.json": b'{"class_name": "Sequential"}',
        "model.weights.h5": weights,
    }
    with zipfile.ZipFile(path, "w") as file:
        for name, content in (members | others).items():
            file.writestr(name, content)
    return path


def rewritten(source, target, **changes):
    """Copy of a zip with some members replaced."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, changes.get(name, old.read(name)))
    return target


@pytest.fixture
def saved(tmp_path):
    source = network(tmp_path / "plain.keras")
    target = tmp_path / "saved.keras"
    store.write(source, target, CONTRACT, {store.COMPILED: bytes(range(256)) * 5 + b"end"})
    return target


def test_a_member_comes_back_byte_for_byte(saved):
    assert store.read(saved).member(store.COMPILED) == bytes(range(256)) * 5 + b"end"


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 1027])
def test_members_of_any_length_come_back(tmp_path, size):
    content = os.urandom(size)
    store.write(network(tmp_path / "a.keras"), tmp_path / "b.keras", CONTRACT, {"kit/x": content})
    assert store.read(tmp_path / "b.keras").member("kit/x") == content


def test_the_planes_hold_every_fourth_byte(saved):
    with zipfile.ZipFile(saved) as file:
        assert file.read("kit/model.tflite.plane1")[:4] == bytes([1, 5, 9, 13])


def test_only_planes_that_shrink_are_deflated(tmp_path):
    words = b"".join(os.urandom(3) + b"\x3d" for _ in range(5000))
    store.write(network(tmp_path / "a.keras"), tmp_path / "b.keras", CONTRACT, {"kit/x": words})
    with zipfile.ZipFile(tmp_path / "b.keras") as file:
        methods = [file.getinfo(f"kit/x.plane{index}").compress_type for index in range(4)]
    assert methods == [zipfile.ZIP_STORED] * 3 + [zipfile.ZIP_DEFLATED]


def test_what_the_network_consists_of_is_copied_unchanged(tmp_path, saved):
    with zipfile.ZipFile(tmp_path / "plain.keras") as old, zipfile.ZipFile(saved) as new:
        for name in old.namelist():
            assert new.read(name) == old.read(name)


def test_the_same_content_makes_the_same_file(tmp_path, saved):
    store.write(
        tmp_path / "plain.keras",
        tmp_path / "again.keras",
        CONTRACT,
        {store.COMPILED: bytes(range(256)) * 5 + b"end"},
    )
    assert (tmp_path / "again.keras").read_bytes() == saved.read_bytes()


def test_writing_anew_drops_the_members_of_before(tmp_path, saved):
    store.write(saved, saved, CONTRACT | {"name": "renamed"}, {})
    opened = store.read(saved)
    assert opened.contract["name"] == "renamed"
    assert opened.member(store.COMPILED) is None
    assert not [name for name in zipfile.ZipFile(saved).namelist() if "plane" in name]


def test_the_digest_covers_names_sizes_and_contents(tmp_path):
    total = hashlib.sha256()
    config, weights = b'{"class_name": "Sequential"}', b"weights" * 40
    total.update(b"config.json\x0028\x00" + config + b"model.weights.h5\x00280\x00" + weights)
    assert store.read(network(tmp_path / "plain.keras")).digest == total.hexdigest()


def test_the_digest_is_blind_to_the_date_and_to_extra_members(tmp_path, saved):
    other = network(tmp_path / "later.keras", **{"metadata.json": b'{"date_saved": "later"}'})
    assert store.read(other).digest == store.read(saved).digest


def test_the_digest_sees_assets(tmp_path):
    with_asset = network(tmp_path / "asset.keras", **{"assets/words.txt": b"cat"})
    assert store.read(with_asset).digest != store.read(network(tmp_path / "plain.keras")).digest


def test_members_of_other_weights_are_refused(tmp_path, saved):
    opened = store.read(rewritten(saved, tmp_path / "other.keras", **{"model.weights.h5": b"other"}))
    assert not opened.tied
    assert opened.member(store.COMPILED) is None


def test_a_damaged_member_is_refused(tmp_path, saved):
    with zipfile.ZipFile(saved) as file:
        plane = bytearray(file.read("kit/model.tflite.plane2"))
    plane[7] ^= 1
    opened = store.read(rewritten(saved, tmp_path / "o.keras", **{"kit/model.tflite.plane2": bytes(plane)}))
    assert opened.tied
    assert opened.member(store.COMPILED) is None


def test_a_member_with_a_missing_or_longer_plane_is_refused(tmp_path, saved):
    longer = rewritten(saved, tmp_path / "longer.keras", **{"kit/model.tflite.plane0": b"x" * 9999})
    assert store.read(longer).member(store.COMPILED) is None
    assert store.read(saved).member("kit/none") is None


def test_the_sha256_of_the_file_is_compared(saved):
    right = hashlib.sha256(saved.read_bytes()).hexdigest()
    assert store.read(saved, sha256=right.upper()).tied
    with pytest.raises(ValueError, match=r"Expected 'saved.keras' with SHA-256 0000, received [0-9a-f]{64}"):
        store.read(saved, sha256="0000")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.h5", b"\x89HDF\r\n\x1a\n", "HDF5.*convert it: python -m kit import a.h5 NEW.keras"),
        ("a.keras", b"\x89HDF\r\n\x1a\n", "HDF5"),
        ("a.weights.h5", b"\x89HDF\r\n\x1a\n", "holds weights without a network.*load_weights"),
        ("a.zip", b"PK", r"named ….keras, received 'a.zip'"),
        ("a.keras", b"not a zip at all", "damaged or no zip"),
        ("a.keras", b"", "damaged or no zip"),
    ],
)
def test_other_formats_are_refused_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        store.read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_folder_and_a_missing_or_remote_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"received the folder '.*'; name a file in it"):
        store.read(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ValueError, match="SavedModel"):
        store.read(tmp_path)
    for path in (tmp_path / "none.keras", "hf://someone/model", "https://example.org/model.keras"):
        with pytest.raises(FileNotFoundError, match="existing local"):
            store.read(path)


def test_a_zip_that_is_no_keras_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as file:
        file.writestr("readme.txt", "hello")
    with pytest.raises(ValueError, match=r"received 'a.keras' with readme.txt"):
        store.read(tmp_path / "a.keras")


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_refused(tmp_path, saved, part):
    content = saved.read_bytes()
    (tmp_path / "cut.keras").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ValueError, match="damaged"):
        store.read(tmp_path / "cut.keras")


def test_a_flipped_bit_in_the_weights_is_found(tmp_path, saved):
    content = bytearray(saved.read_bytes())
    content[content.index(b"weightsweights")] ^= 1
    (tmp_path / "flipped.keras").write_bytes(content)
    with pytest.raises(ValueError, match="damaged content"):
        store.read(tmp_path / "flipped.keras")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", "{}")
        file.writestr("model.weights.h5", bytes(200 << 20))
    (tmp_path / "bomb.keras").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="fills the memory"):
        store.read(tmp_path / "bomb.keras")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (b"[1, 2]", "Expected an object in kit/contract.json of 'o.keras', received list"),
        (b"{not json", "Expected JSON in kit/contract.json"),
        (b"\xff\xfe", "Expected JSON"),
        (b"[" * 100_000, "Expected JSON"),
        ({"format": 99}, "Expected 'format' as 1"),
        ({"class_names": "cat"}, "Expected 'class_names' as texts"),
        ({"class_names": [1]}, "Expected 'class_names' as texts"),
        ({"preprocessing": 3}, "Expected 'preprocessing' as an object or null"),
        ({"weights_sha256": "abc"}, "Expected 'weights_sha256' as a digest"),
        (
            {"members": {"kit/model.tflite": {"size": -1, "sha256": "0" * 64}}},
            "'members' as sizes and digests",
        ),
        ({"name": None}, "Expected 'name' as a text"),
        ({"temperature": 10**400}, "Expected 'temperature' as a number from 1e-6 to 1e6"),
        ({"temperature": 1e-300}, "Expected 'temperature' as a number from 1e-6 to 1e6"),
    ],
)
def test_a_contract_with_wrong_content_is_refused_in_one_line(tmp_path, saved, change, message):
    if isinstance(change, dict):
        change = json.dumps(dict(store.read(saved).contract) | change).encode()
    with pytest.raises(ValueError, match=message) as caught:
        store.read(rewritten(saved, tmp_path / "o.keras", **{store.CONTRACT: change}))
    assert "\n" not in str(caught.value)


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, saved):
    before = saved.read_bytes()

    def interrupted():
        with replacing(saved) as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert saved.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain.keras", "saved.keras"]


def test_a_link_stays_a_link(tmp_path, saved):
    link = tmp_path / "link.keras"
    try:
        link.symlink_to(saved)
    except OSError:
        pytest.skip("this system does not let its users make links")
    store.write(saved, link, CONTRACT | {"name": "renamed"}, {})
    assert link.is_symlink()
    assert store.read(saved).contract["name"] == "renamed"


def test_members_alone_are_found_by_their_digest(tmp_path):
    entry, digest = tmp_path / "entry.zip", "a" * 64
    store.write_members(entry, digest, CONTRACT, {"kit/x": b"content"})
    assert store.read_members(entry, digest).member("kit/x") == b"content"
    assert store.read_members(entry, "b" * 64) is None
    assert store.read_members(tmp_path / "none.zip", digest) is None
    entry.write_bytes(entry.read_bytes()[:50])
    assert store.read_members(entry, digest) is None


def test_repr_is_short_and_without_a_path(saved):
    assert repr(store.read(saved)).startswith("Archive('saved.keras', digest='")


# What is not believed


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_that_keras_does_not_write_are_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.keras", "w", method) as file:
        for name in ("config.json", "model.weights.h5"):
            file.writestr(name, b"{}" * 100)
    with pytest.raises(
        ValueError, match=r"'a.keras' with 'config.json' compressed in another way; make it with"
    ):
        store.read(tmp_path / "a.keras")


def test_encrypted_members_are_refused(tmp_path, saved):
    content = bytearray(saved.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "secret.keras").write_bytes(content)
    with pytest.raises(ValueError, match=r"stored or deflated, received 'secret.keras' with .* encrypted"):
        store.read(tmp_path / "secret.keras")


def test_json_that_takes_gigabytes_when_parsed_is_refused(tmp_path, saved):
    huge = b"[" + b"[]," * (1 << 22) + b"[]]"
    with zipfile.ZipFile(tmp_path / "b.keras", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", huge)
        file.writestr("model.weights.h5", b"")
    assert (tmp_path / "b.keras").stat().st_size < 1 << 16
    with pytest.raises(ValueError, match=r"Expected at most 8388608 bytes of config.json in 'b.keras'"):
        store.read(tmp_path / "b.keras").config()
    store.write(saved, tmp_path / "c.keras", CONTRACT, {store.PROPERTIES: huge, "kit/x": huge})
    assert store.read(tmp_path / "c.keras").member(store.PROPERTIES) is None
    assert store.read(tmp_path / "c.keras").member("kit/x") == huge


def test_arrays_come_back():
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(6.0).reshape(2, 3), b=np.array(7))
    found = arrays_in(buffer.getvalue())
    assert found["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["b"] == 7


@pytest.mark.parametrize(
    ("shape", "kind", "method", "message"),
    [
        ((1 << 37,), "|u1", zipfile.ZIP_STORED, "declares more than it holds"),
        ((2,), "|O", zipfile.ZIP_STORED, "declares more than it holds"),
        ((2,), "|u1", zipfile.ZIP_DEFLATED, "is not stored as it is"),
    ],
)
def test_arrays_that_declare_more_than_there_is_are_refused(shape, kind, method, message):
    header, buffer = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": kind, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("a.npy", header.getvalue() + b"ab" * 500)
    with pytest.raises(ValueError, match=message):
        arrays_in(buffer.getvalue())


def test_weights_that_declare_more_than_their_file_holds_are_refused(tmp_path):

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("layers/dense/vars/0", (1 << 36,), "u1", chunks=(1 << 20,), compression="gzip")
    with pytest.raises(
        ValueError, match=r"'a.keras' as Keras writes them, .* declares more values than it holds"
    ):
        weights_in(network(tmp_path / "a.keras", buffer.getvalue()))
    with pytest.raises(ValueError, match=r"'b.keras' as Keras writes them, received others"):
        weights_in(network(tmp_path / "b.keras", b"no HDF5"))


# Writing


def test_drafts_of_killed_saves_are_cleared_by_the_next_one(tmp_path, saved):
    script = (
        "import os, sys\n"
        "from kit.classifier.store import replacing\n"
        "with replacing(sys.argv[1]) as stream: stream.write(b'half'); stream.flush(); os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", script, saved], check=False)
    subprocess.run([sys.executable, "-c", script, saved.with_name("other.keras")], check=False)
    assert len(list(tmp_path.glob(".*.tmp"))) == 2
    with replacing(saved) as one, replacing(saved) as other:
        one.write(b"one")
        other.write(b"other")
        # Of the two killed saves, that of the other file stays; that of somebody who still writes too.
        assert len(list(tmp_path.glob(".saved*.tmp"))) == 2
    assert [draft.name[:6] for draft in tmp_path.glob(".*.tmp")] == [".other"]
    assert saved.read_bytes() == b"one"


def test_a_folder_that_cannot_be_written_to_ends_in_one_line_without_a_hidden_name(tmp_path, saved):
    target = tmp_path / "none" / "saved.keras"
    with pytest.raises(FileNotFoundError) as caught:
        store.write(saved, target, CONTRACT, {})
    assert str(caught.value) == (
        "Expected to write 'saved.keras', received: No such file or directory; nothing was changed, so free"
        " space or choose another folder"
    )
    assert caught.value.errno == errno.ENOENT


def test_values_without_a_fixed_size_are_refused_before_they_are_read(tmp_path):
    """Many variable-length texts may all point at the same megabyte."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_dataset("layers/extra/vars/0", data=["a", "b"], dtype=h5py.string_dtype())
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as file:
        file.write(tmp_path / "w.h5", "model.weights.h5")
    with pytest.raises(ValueError, match="values of the kind object, which have no fixed size"):
        weights_in(tmp_path / "a.keras")


def test_a_table_of_contents_of_a_hundred_thousand_is_not_read(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as file:
        for number in range(100_000):
            file.writestr(f"{number:05}", b"")
    monkeypatch.setattr(zipfile.ZipFile, "infolist", None)  # of one that was read
    with pytest.raises(ValueError, match=r"received 'a.keras', which is damaged or no zip"):
        store.read(tmp_path / "a.keras")


def test_two_members_of_one_name_are_refused(tmp_path, saved):
    (tmp_path / "a.keras").write_bytes(saved.read_bytes())
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "a.keras", "a") as file:
        file.writestr("config.json", b"{}")
    with pytest.raises(ValueError, match=r"with 'config.json' twice"):
        store.read(tmp_path / "a.keras")


def test_a_folder_named_like_a_member_is_refused(tmp_path, saved):
    """It cannot be unpacked."""
    (tmp_path / "a.keras").write_bytes(saved.read_bytes())
    with zipfile.ZipFile(tmp_path / "a.keras", "a") as file:
        file.writestr("config.json/", b"")
    with pytest.raises(ValueError, match=r"with 'config.json/' twice"):
        store.read(tmp_path / "a.keras")


def test_names_of_a_file_are_told_in_one_line_that_a_shell_can_be_given(tmp_path):
    file = tmp_path / "a;b\n #.h5"
    file.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(ValueError, match=r"kit import 'a;b\? #.h5' NEW.keras$"):
        store.read(file)
