"""What a test run tells the kernels of notebooks, and the reports that they leave."""

import json
from pathlib import Path

import pytest

from kit.regression import environment


@pytest.mark.parametrize(("value", "folder"), [(None, None), ("", None), ("kept", "kept")])
def test_the_environment_names_a_folder_for_what_moved(monkeypatch, value, folder):
    monkeypatch.delenv(environment.ARTEFACTS, raising=False)
    if value is not None:
        monkeypatch.setenv(environment.ARTEFACTS, value)
    assert environment.artefacts() == folder


@pytest.mark.parametrize(("value", "accepted"), [(None, False), ("", False), ("0", False), ("1", True)])
def test_only_a_one_accepts_what_moved(monkeypatch, value, accepted):
    monkeypatch.delenv(environment.UPDATE, raising=False)
    if value is not None:
        monkeypatch.setenv(environment.UPDATE, value)
    assert environment.updating() is accepted


def test_a_folder_has_one_report_however_it_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in (Path("cases"), Path("../") / tmp_path.name / "cases", tmp_path / "cases"):
        environment.report(tmp_path / "kept", place, {})
    assert len(environment.reports(tmp_path / "kept")) == 1


def test_only_reports_and_their_pictures_are_removed(tmp_path):
    mine = [tmp_path / "cases-mine.json", tmp_path / "cases-mine" / "one.png", tmp_path / "other.json"]
    pictures = environment.report(tmp_path, tmp_path / "cases", {})
    for file in (*mine, pictures / "moved.png", pictures / "notes.txt"):
        file.parent.mkdir(exist_ok=True)
        file.write_text("{}")
    environment.clear(tmp_path)
    left = {file for file in tmp_path.rglob("*") if file.is_file()}
    assert left == {*mine, pictures / "notes.txt"}


def test_folders_of_one_name_have_a_report_each_and_the_last_one_counts(tmp_path):
    kept = tmp_path / "made" / "kept"
    places = [tmp_path / "a" / "cases", tmp_path / "b" / "cases"]
    for number, place in enumerate([*places, places[0]]):
        environment.report(kept, place, {"told": f"näher {number}"})
    (kept / "other.json").write_text("{}")
    reports = environment.reports(kept)
    assert len(reports) == 2
    assert all(path.name.startswith("cases-cases-") for path in reports)
    told = {json.loads(path.read_text(encoding="utf-8"))["told"] for path in reports}
    assert told == {"näher 1", "näher 2"}
    assert "näher" in reports[0].read_text(encoding="utf-8"), "as people read it"
