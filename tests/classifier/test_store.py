import hashlib
import io
import json
import os
import re
import stat
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from kit.classifier import store
from kit.classifier.store import STATISTICS as MEMBER, arrays_in
from tests.networks import rewritten
from tests.refusals import refused

CONTRACT = {"name": "small", "class_names": ["cat", "dog"], "preprocessing": None}
STATISTICS = {"novelty": {"rows": np.arange(6.0).reshape(2, 3), "count": np.array(7)}}


def replaced(source, target, **changes):
    return rewritten(source, target, changes.get)


@pytest.fixture
def saved(tmp_path):
    """A zip with the members of a Keras archive, without Keras, and what the kit adds."""
    source, target = tmp_path / "plain.keras", tmp_path / "saved.keras"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("model.weights.h5", b"weights" * 40)
        file.writestr("metadata.json", b"{}")
        file.writestr("config.json", b'{"class_name": "Sequential"}')
    store.write_model(source, target, CONTRACT, STATISTICS)
    return target


def test_statistics_come_back_and_are_replaced_as_a_whole(saved):
    found = store.read_model(saved)
    assert found.flaw == ""
    (part, arrays), *others = found.statistics.items()
    read = {name: array.tolist() for name, array in arrays.items()}
    assert (part, others) == ("novelty", [])
    assert read == {"rows": [[0, 1, 2], [3, 4, 5]], "count": 7}
    store.write_model(saved, saved, CONTRACT | {"name": "renamed"})
    again = store.read_model(saved)
    assert (again.contract["name"], again.statistics) == ("renamed", {})
    with zipfile.ZipFile(saved) as file:
        packed = file.getinfo("model.weights.h5").compress_type
    assert packed == zipfile.ZIP_DEFLATED


@pytest.mark.parametrize(
    "features",
    [
        np.full((5, 2), -np.inf),
        np.array([[1.0, np.nan]]),
        np.zeros(4),
        np.zeros((5, 0)),
    ],
)
def test_statistics_that_nothing_can_be_computed_from_are_not_used(saved, features):
    rows = np.array([np.nan])
    statistics = {"profile": {"features": features}, "properties": {"rows": rows}}
    store.write_model(saved, saved, CONTRACT, statistics)
    flaw = "has no usable profile/features: save the file again with training="
    found = store.read_model(saved)
    assert (found.statistics, found.flaw) == ({}, flaw)


def test_members_before_the_start_of_the_file_and_odd_ones_are_damage(saved):
    content = saved.read_bytes()
    flags = content.index(b"PK\1\2") + 8
    last = content.rindex(b"PK\1\2") + 42
    odd = [
        {-3: 255},  # where the list of members begins
        {flags: 1},
        {7: 8, 30: 255},  # a name that is no UTF-8
        {flags + 2: zipfile.ZIP_BZIP2},  # packed as Keras packs none
        dict.fromkeys(range(last, last + 4), 0),  # two members in one place
    ]
    for changes in odd:
        changed = bytearray(content)
        for place, value in changes.items():
            changed[place] = value
        saved.write_bytes(changed)
        with refused("damaged, would fill"):
            store.read_model(saved)


@pytest.mark.parametrize(
    ("member", "content", "flaw"),
    [
        ("model.weights.h5", b"other", "belongs to other weights"),
        (MEMBER, b"PK\x03\x04", "cannot be read (File is not a zip file)"),
    ],
)
def test_statistics_that_do_not_belong_to_the_file_are_not_used(
    tmp_path, saved, member, content, flaw
):
    found = store.read_model(
        replaced(saved, tmp_path / "other.keras", **{member: content})
    )
    assert (found.statistics, found.flaw) == ({}, flaw)
    assert found.contract["class_names"] == ["cat", "dog"]


def test_what_is_larger_than_a_limit_is_not_read(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "MOST_BYTES", 9)
    assert store.read_model(saved).flaw == "takes more than 9 bytes"
    monkeypatch.setattr(store, "_MAX_SHIPPED", 4)
    (tmp_path / "net.tflite").write_bytes(b"large")
    with refused(r"at most 4 bytes, received 'net.tflite' of 5"):
        store.read_model(tmp_path / "net.tflite")


def test_the_sha256_of_the_file_is_compared(saved):
    right = hashlib.sha256(saved.read_bytes()).hexdigest()
    assert (
        store.read_model(saved, sha256=f" {right.upper()}\n").contract["name"]
        == "small"
    )
    with refused(
        r"Expected 'saved.keras' with SHA-256 0000, received [0-9a-f]{64}",
    ):
        store.read_model(saved, sha256="0000")


WRONG = [
    (
        b"[1, 2]",
        "^Expected an object in kit/contract.json of 'o.keras', received something else; save it again$",
    ),
    (b"[" * 100_000, "Expected an object"),
    (b"[" + b"[]," * (1 << 22) + b"[]]", "Expected an object"),
    (
        {"format": 99},
        "^Expected sound values in kit/contract.json of 'o.keras', received others; save it again$",
    ),
    ({"class_names": [1]}, "Expected sound values"),
    ({"preprocessing": 3}, "Expected sound values"),
    ({"name": None}, "Expected sound values"),
    ({"temperature": 10**400}, "Expected sound values"),
    ({"temperature": 0}, "Expected sound values"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_a_contract_with_wrong_content_is_refused_in_one_line(
    tmp_path, saved, change, message
):
    if isinstance(change, dict):
        change = json.dumps(dict(store.read_model(saved).contract) | change).encode()
    with refused(message):
        store.read_model(
            replaced(saved, tmp_path / "o.keras", **{store.CONTRACT: change})
        )


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_file_that_was_changed_anywhere_is_opened_or_refused_in_one_line(
    tmp_path, saved, data
):
    content = bytearray(saved.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["byte", "cut", "word"]))
        if kind == "cut":
            del content[max(place, 8) :]
        elif kind == "byte":
            content[place] = data.draw(st.integers(0, 255))
        else:
            content[place : place + 4] = data.draw(
                st.sampled_from([bytes(4), b"\xff" * 4, b"\x7f" * 4])
            )
    (tmp_path / "changed.keras").write_bytes(content)
    told = "Expected"
    try:
        found = store.read_model(tmp_path / "changed.keras")
        told += found.flaw
        found.config()
    except (OSError, ValueError) as error:
        told = str(error)
    assert told.startswith("Expected")
    assert "\n" not in told


def test_what_a_file_states_counts_before_what_teachable_machine_usually_does(tmp_path):
    (tmp_path / "labels.txt").write_text("0 cat\n1 dog\n")
    model = store.Archive(tmp_path / "net.tflite", "")
    said = {"class_names": None, "preprocessing": {"size": 9}}
    stated = {"name": "net", **said, "class_names": ("cat", "dog")}
    assert store.as_stated(model, said).contract == stated


FORMATS = [
    (
        "a;b\n #.h5",
        b"\x89HDF\r\n\x1a\n",
        r"; make one: python -m kit import OLD\.h5 NEW\.keras$",
    ),
    (
        "a.zip",
        b"PK",
        r"Expected a .keras, .tflite or .onnx file, received 'a.zip'; unpack it first$",
    ),
    (
        "a.keras",
        b"\x89HDF\r\n\x1a\n",
        r"received 'a.keras', an .h5 file; make one: python -m kit import OLD\.h5 NEW\.keras$",
    ),
    ("a.keras", b"not a zip at all", "damaged, would fill"),
    (
        "a.keras",
        b"PK\x05\x06" + bytes(18),
        r"Expected a Keras archive, received 'a.keras', which is none; make it with model.save\('….keras'\)$",
    ),
]


@pytest.mark.parametrize(("name", "content", "message"), FORMATS)
def test_other_formats_are_refused_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with refused(message):
        store.read_model(tmp_path / name)


def test_a_folder_and_a_missing_or_remote_file_are_refused(tmp_path):
    for path in (
        tmp_path,
        tmp_path / "none.keras",
        "hf://someone/model",
        "https://example.org/model.keras",
    ):
        with pytest.raises(
            FileNotFoundError,
            match=r"^Expected an existing local model file, received .*; check it$",
        ):
            store.read_model(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", "{}")
        file.writestr("model.weights.h5", bytes(32 << 20))
    (tmp_path / "bomb.keras").write_bytes(buffer.getvalue())
    with refused(
        r"received 'bomb.keras', which is damaged, would fill the memory, or is no zip; copy it again$",
    ):
        store.read_model(tmp_path / "bomb.keras")


@pytest.mark.skipif(
    os.name == "nt", reason="Windows keeps the files of users apart by itself"
)
def test_a_file_that_is_replaced_keeps_its_permissions_and_old_drafts_go(
    tmp_path, saved
):
    saved.chmod(0o600)
    left, of_another = tmp_path / ".kit-draft-old", tmp_path / ".kit-draft-new"
    for draft in (left, of_another):
        draft.touch()
    os.utime(left, (0, 0))
    store.write_model(saved, saved, CONTRACT)
    assert [left.exists(), of_another.exists()] == [False, True]
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path, saved):
    link = tmp_path / "link.keras"
    try:
        link.symlink_to(saved)
    except OSError:
        pytest.skip("this system does not let its users make links")
    store.write_model(saved, link, CONTRACT | {"name": "renamed"})
    assert link.is_symlink()
    assert store.read_model(saved).contract["name"] == "renamed"


# What is not believed


DECLARED = [
    ((1 << 37,), "|u1", zipfile.ZIP_STORED, "cannot be read"),
    ((2,), "|O", zipfile.ZIP_STORED, "cannot be read"),
    ((2,), "<U9", zipfile.ZIP_STORED, "is not stored as it is"),
    ((2,), "|u1", zipfile.ZIP_DEFLATED, "is not stored as it is"),
]


@pytest.mark.parametrize(("shape", "kind", "method", "message"), DECLARED)
def test_arrays_that_declare_more_than_there_is_are_refused(
    shape, kind, method, message
):
    header, buffer = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": kind, "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("a.npy", header.getvalue() + b"ab" * 500)
    with refused(message):
        arrays_in(buffer.getvalue())


# Writing


def test_a_folder_that_cannot_be_written_to_ends_in_one_line_without_a_hidden_name(
    tmp_path, saved
):
    target = tmp_path / "none" / "saved.keras"
    to = re.escape(repr(str(target)))
    message = f"^Expected to write {to}, received: .*; free space, or choose another name or folder$"
    with pytest.raises(FileNotFoundError, match=message):
        store.write_model(saved, target, CONTRACT)
    store.write_model(
        saved, tmp_path / f"{'x' * 249}.keras", CONTRACT
    )  # 255 bytes, as many as a name may have
