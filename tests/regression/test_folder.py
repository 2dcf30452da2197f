"""Folders of cases: whole files or none, whoever writes and whoever is killed."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import kit
from kit.regression import folder as folders

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
    assert states.count("unreadable") + states.count("holds") == 5
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
    assert [one.state for one in result.cases].count("unreadable") == 1


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
