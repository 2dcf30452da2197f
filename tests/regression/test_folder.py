"""Folders of cases: whole files or none, whoever writes and whoever is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

import kit
from kit.regression import cases as folders
from tests.pictures import file_of

PIN = """
import sys
import numpy as np
import kit
network, photos = kit.samples.classifier("fashion_mnist"), kit.samples.photos("fashion_mnist")
print("ready", flush=True)
for number in range(int(sys.argv[2])):
    print(kit.pin(sys.argv[1], network, photos[number % 50], name="case").name, flush=True)
"""


def test_a_folder_has_the_cases_and_each_picture_once(cases, four):
    assert len(folders.paths(cases)) == 5
    kept = sorted(path.name for path in (cases / "pictures").iterdir())
    assert len(kept) == 4, "the same picture is kept once"
    assert {path.suffix for path in (cases / "pictures").iterdir()} == {".jpg"}
    assert not list(cases.glob(".*"))


def test_a_name_that_is_taken_gets_a_number(cases, classifier, four):
    names = [kit.pin(cases, classifier, four[0], name="Strange: näme/../x").name for _ in range(3)]
    assert names == ["strange-näme-..-x.json", "strange-näme-..-x-2.json", "strange-näme-..-x-3.json"]
    assert len(folders.paths(cases)) == 8


def test_an_array_is_kept_as_a_picture(tmp_path, fashion, clothes):
    path = kit.pin(tmp_path, fashion, clothes[0])
    assert folders.read(path).picture.endswith(".png")
    (one,) = kit.check_cases(tmp_path, fashion, progress=False).cases
    assert one.state == "holds"


def test_a_picture_that_is_gone_or_another_is_told_and_the_others_run(cases, classifier):
    first, second = sorted((cases / "pictures").iterdir())[:2]
    first.unlink()
    second.write_bytes(second.read_bytes() + b"x")
    result = kit.check_cases(cases, classifier, progress=False)
    states = [one.state for one in result.cases]
    assert states.count("unusable") + states.count("holds") == 5
    assert states.count("holds") >= 2
    for one in result.moved:
        assert "Expected the picture" in one.told
        assert "\n" not in one.told


def test_a_case_damaged_anywhere_is_one_clear_line_and_the_others_run(cases, classifier):
    path = folders.paths(cases)[0]
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(200):
        place = int(rng.integers(len(whole)))
        damages = [b"", b"\xff", b"{", b'"', b"9", b"null", whole[place : place + 40] * 2]
        damage = damages[int(rng.integers(len(damages)))]
        path.write_bytes(whole[:place] + damage + (b"" if rng.random() < 0.2 else whole[place + 1 :]))
        try:
            case = folders.read(path)
        except ValueError as error:
            assert str(error).startswith(path.name)  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert isinstance(case, kit.Case)
    path.write_bytes(whole[: len(whole) // 2])
    result = kit.check_cases(cases, classifier, progress=False)
    assert [one.state for one in result.cases].count("holds") == 4
    assert [one.state for one in result.cases].count("unusable") == 1


@pytest.mark.skipif(os.name != "posix", reason="makes pipes with names")
def test_a_pipe_is_not_waited_for(cases):
    path = folders.paths(cases)[0]
    case = folders.read(path)
    (cases / case.picture).unlink()
    os.mkfifo(cases / case.picture)
    with pytest.raises(ValueError, match=r"received none \(no such file\)"):
        folders.photo_of(cases, case)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="Expected a file, received something else"):
        folders.read(path)


@pytest.mark.skipif(os.name != "posix", reason="kills processes with SIGKILL")
def test_what_was_acknowledged_is_there_however_two_processes_are_killed(tmp_path):
    script = tmp_path / "pins.py"
    script.write_text(PIN)
    folder = tmp_path / "cases"
    rng = np.random.default_rng(7)
    acknowledged = set()
    for _ in range(3):
        command = [sys.executable, str(script), str(folder), "500"]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        for one in running:
            assert one.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.3, 1.5))
        for one in running:
            one.send_signal(signal.SIGKILL)
        for one in running:
            acknowledged |= {
                line.strip() for line in one.communicate()[0].splitlines() if line.endswith(".json")
            }
    assert len(acknowledged) > 10
    there = {path.name for path in folders.paths(folder)}
    assert acknowledged <= there
    for path in folders.paths(folder):
        case = folders.read(path)
        assert (folder / case.picture).exists()
    assert len({json.loads(path.read_text())["name"] for path in folders.paths(folder)}) == len(there)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("2026-01-31", "Cat photo.", "", "tabby, cat"), "2026-01-31-cat-photo-tabby-cat"),
        (("--.--", "..."), "case"),
        ((), "case"),
        (("x" * 200,), "x" * 80),
        (("x" * 79, "y"), "x" * 79),  # no dash at the end
    ],
)
def test_names_are_good_for_files_everywhere(words, name):
    assert folders.name_for(*words) == name


def test_a_picture_is_kept_as_the_file_that_it_came_from_or_else_as_a_png(tmp_path, cat):
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    for image_format, ending in (("JPEG", "jpg"), ("TIFF", "tif"), ("PNG", "png"), ("WEBP", "webp")):
        data = file_of(Image.fromarray(pixels), image_format)
        assert folders.picture_of(kit.load_image(data)) == (data, ending)
    data, ending = folders.picture_of(kit.Photo.from_array(pixels))
    assert ending == "png"
    np.testing.assert_array_equal(kit.load_image(data).pixels, pixels)
    place, digest = folders.keep_picture(tmp_path, cat)
    assert digest == sha256(cat.file).hexdigest()
    assert place == f"pictures/{digest[:16]}.jpg"
    (tmp_path / place).write_bytes(b"there already")
    assert folders.keep_picture(tmp_path, cat) == (place, digest)
    assert (tmp_path / place).read_bytes() == b"there already"


def test_a_file_is_written_over_another_and_no_draft_is_left(tmp_path):
    target = tmp_path / "made" / "x.json"
    for data in (b"first", b"second"):
        folders.write(target, data)
        assert target.read_bytes() == data
    assert list(target.parent.iterdir()) == [target]
    assert os.name != "posix" or target.stat().st_mode & 0o777 == 0o644, "others of a team read it"
    with pytest.raises(OSError, match="directory"):
        folders.write(tmp_path, b"where a folder is")
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}.*"))


def test_a_name_that_is_taken_gets_a_number_where_a_file_system_has_no_links(cases, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    path = folders.paths(cases)[0]
    case, before = folders.read(path), path.read_bytes()
    assert folders.keep(cases, case).name == f"{case.name}-2.json"
    assert folders.keep(cases, case).name == f"{case.name}-3.json"
    assert folders.read(cases / f"{case.name}-3.json") == replace(case, name=f"{case.name}-3")
    assert path.read_bytes() == before
    assert not list(cases.glob(".*"))


def test_no_more_than_two_megabytes_are_read_of_a_case(cases):
    path = folders.paths(cases)[0]
    whole = path.read_bytes()
    path.write_bytes(whole + b" " * (folders.CASE_BYTES - len(whole)))
    assert folders.read(path).name == path.stem
    path.write_bytes(b" " * folders.CASE_BYTES + whole)
    with pytest.raises(ValueError, match="received text that is not"):
        folders.read(path)


def test_cases_are_the_json_files_of_a_folder_that_are_not_hidden(tmp_path):
    for name in ("b.json", "a.json", ".draft.json", "notes.txt"):
        (tmp_path / name).write_text("{}")
    assert [path.name for path in folders.paths(tmp_path)] == ["a.json", "b.json"]
    with pytest.raises(ValueError, match=r"^nothing.json: No such file or directory$"):
        folders.read(tmp_path / "nothing.json")
