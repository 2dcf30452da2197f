"""What a learner hands in: answers, settings and cases, and nothing personal."""

import json
import os
import zipfile

import nbformat
import pytest
from PIL import ExifTags, Image

import kit
from kit.__main__ import main
from tests.project import ROOT

PHOTO = ROOT / "data" / "photographs" / "espresso.jpg"


def notebook(*cells):
    """A notebook of code cells, each with what it printed."""
    book = nbformat.v4.new_notebook()
    for source, printed in cells:
        output = nbformat.v4.new_output("stream", name="stdout", text=printed)
        book.cells.append(nbformat.v4.new_code_cell(source, outputs=[output] if printed else []))
    return book


@pytest.fixture
def folder(tmp_path, monkeypatch, classifier):
    """Where Anna worked: two notebooks, and a case of a photograph of hers."""
    monkeypatch.setenv("USER", "anna")
    first = notebook(
        ("import kit", ""),
        ("answer = 0.3\nprint(check(answer))", "a note first\nPassed: Egyptian cat at 0.3.\n"),
        ("answer_2 = 0.5", "Not yet: anna, try brighter."),
        ("answers = 3\nanswered = True", "no answer"),
        ('explorer.settings = {"noise": 20}', ""),
    )
    prose = nbformat.v4.new_markdown_cell("I expect less, says Anna", metadata={"tags": ["answer"]})
    first.cells.append(prose)
    nbformat.write(first, tmp_path / "00_explore.ipynb")
    nbformat.write(notebook(("answer = None", "Open: set answer.")), tmp_path / "01_anna.ipynb")
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Anna's camera"
    with Image.open(PHOTO) as image:
        image.save(tmp_path / "cup.jpg", exif=exif)
    about = {"owner": "Anna Example", "note": "seen by Anna", "cause": "of /data/anna/x"}
    path = kit.pin(tmp_path / "cases", classifier, tmp_path / "cup.jpg", "espresso", name="cup", **about)
    path.write_text(path.read_text().replace('"efficientnet_lite0"', '"net of anna_1, ~/Anna/net.keras"'))
    return tmp_path


def handed_in(folder, capsys):
    """What is told, and the archive unpacked into a folder."""
    assert main(["hand-in", str(folder), "--to", str(folder / "mine.zip")]) == 0
    with zipfile.ZipFile(folder / "mine.zip") as archive:
        archive.extractall(folder / "out")
    return capsys.readouterr().out


def test_answers_settings_and_cases_are_packed_and_told(folder, capsys):
    told = handed_in(folder, capsys)
    assert "answers: 4 (1 not checked, 1 not yet, 1 open, 1 passed)" in told
    assert "settings: 1" in told
    assert "pinned cases: 1" in told
    found = json.loads((folder / "out" / "answers.json").read_text())
    states = [(each["notebook"], each["cell"], each["state"]) for each in found["answers"]]
    assert states == [
        ("00_explore.ipynb", 2, "passed"),
        ("00_explore.ipynb", 3, "not yet"),
        ("00_explore.ipynb", 6, "not checked"),
        ("01_(user).ipynb", 1, "open"),
    ]
    assert found["settings"][0]["source"] == 'explorer.settings = {"noise": 20}'


def test_nothing_personal_is_in_it(folder, capsys):
    handed_in(folder, capsys)
    files = [path for path in (folder / "out").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".jpg", ".txt"}
    assert [path.name for path in files if b"anna" in path.read_bytes().lower()] == []
    with zipfile.ZipFile(folder / "mine.zip") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_an_account_that_is_called_as_a_variable_leaves_code_alone(folder, capsys, monkeypatch):
    monkeypatch.setenv("USER", "explorer")
    handed_in(folder, capsys)
    found = json.loads((folder / "out" / "answers.json").read_text())
    assert found["settings"][0]["source"] == 'explorer.settings = {"noise": 20}'


def test_the_cases_hold_as_before(folder, capsys, classifier):
    handed_in(folder, capsys)
    result = kit.check_cases(folder / "out" / "cases", classifier, progress=False)
    assert (len(result.cases), result.holds) == (1, True)


def test_what_cannot_be_read_is_left_out_and_told(folder, capsys):
    (folder / "broken.ipynb").write_text("no notebook")
    (folder / "cases" / "broken.json").write_text("{}")
    (folder / "cases" / "lost.json").write_text(
        (folder / "cases" / "cup.json").read_text().replace(".jpg", "x.jpg")
    )
    told = [line.strip() for line in handed_in(folder, capsys).splitlines() if "left out" in line]
    assert [line.split(":")[1].split(",")[0].strip() for line in told] == [
        "broken.ipynb",
        "the case broken.json",
        "the case lost.json",
    ]
    assert len(json.loads((folder / "out" / "answers.json").read_text())["left_out"]) == 3


def test_a_notebook_that_cannot_be_read_does_not_stop_the_others(folder, capsys):
    (folder / "deep.ipynb").write_text("[" * 200_000)
    half = notebook(("answer = 1", "Passed"), ("answer = 2", ""))
    half.cells[1].source = "answer = '\ud800'"
    (folder / "half.ipynb").write_text(json.dumps(half))
    told = handed_in(folder, capsys)
    assert "left out: deep.ipynb, which cannot be read as a notebook (RecursionError)" in told
    assert "left out: half.ipynb, which cannot be read as a notebook (UnicodeEncodeError)" in told
    assert "answers: 4 " in told


def test_cases_that_become_the_same_name_are_all_packed(folder, capsys):
    text = (folder / "cases" / "cup.json").read_text()
    for name in ("of-anna", "of-Anna", "of_ANNA"):
        (folder / "cases" / f"{name}.json").write_text(text)
    assert "pinned cases: 4" in handed_in(folder, capsys)
    names = sorted(path.stem for path in (folder / "out" / "cases").glob("*.json"))
    assert names == ["cup", "of--user", "of--user-2", "of_-user"]


@pytest.mark.parametrize("name", ["00_explore.ipynb", "cup.zip", "none/mine.zip"])
def test_no_other_file_is_replaced_and_no_folder_made(folder, capsys, name):
    with zipfile.ZipFile(folder / "cup.zip", "w") as archive:
        archive.write(folder / "cup.jpg")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["hand-in", str(folder), "--to", str(folder / name)]) == 3
    assert "Expected" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert not (folder / "none").exists()


def test_an_earlier_hand_in_is_replaced(folder, capsys):
    handed_in(folder, capsys)
    (folder / "01_anna.ipynb").unlink()
    assert "answers: 3" in handed_in(folder, capsys)


def test_the_same_contents_are_the_same_file(folder, capsys):
    for _ in range(2):
        assert main(["hand-in", str(folder)]) == 0
    assert len(list(folder.glob("hand-in-*.zip"))) == 1
    assert str(next(folder.glob("hand-in-*.zip"))) in capsys.readouterr().out


def test_a_folder_without_answers_is_refused_in_one_line(tmp_path, capsys):
    assert main(["hand-in", str(tmp_path)]) == 3
    assert "Expected a folder with notebooks that have answers" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(folder, capsys):
    (folder / "file").touch()
    assert main(["hand-in", str(folder), "--to", str(folder / "file" / "mine.zip")]) == 3
    told = capsys.readouterr().err
    assert "Expected a folder for mine.zip, received 'file', which is none" in told
    assert os.linesep not in told.strip()
