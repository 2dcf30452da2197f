"""The pytest plugin: off it does nothing, on it reports by case and keeps what came out."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from PIL import Image

import kit
from kit import samples
from kit.regression import cases as folders

BOOKS = Path(__file__).parents[2] / "notebooks" / "regression"
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "KIT_"))}


@pytest.fixture
def books(tmp_path):
    """A copy of the notebook with its cases."""
    return Path(shutil.copytree(BOOKS, tmp_path / "regression"))


@pytest.fixture
def broken(books):
    """The same, with a case that is prepared in another way than when it was made."""
    return changed(
        books, preprocessing=samples.classifier("efficientnet_lite0").preprocessing.replace(scaling="0..1")
    )


def changed(books, **fields):
    path = books / "cases" / "espresso.json"
    folders.overwrite(path, replace(folders.read(path), **fields))
    return books


def run(folder, *options):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--nbval",
        "--nbval-current-env",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, *options, "check_cases.ipynb"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=ENVIRONMENT,
    )
    return done.returncode, done.stdout + done.stderr


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_without_the_option_nothing_is_reported_or_written(broken):
    before = files(broken)
    code, told = run(broken)
    assert code == 1
    assert "cases that moved" not in told
    assert files(broken) == before


def test_what_holds_is_green_and_the_executed_notebook_is_kept(books):
    code, told = run(books, "--kit")
    assert code == 0, told
    assert "cases that moved" not in told
    kept = books / "kit-artefacts"
    (report,) = kept.glob("cases-*.json")
    assert json.loads(report.read_text())["holds"] is True
    assert not list(kept.glob("*.png"))
    book = json.loads((kept / "check_cases.ipynb").read_text())
    assert "6 cases of efficientnet_lite0" in json.dumps(book["cells"][-1]["outputs"])


def test_a_case_that_moved_is_reported_by_name_and_step_and_kept(broken, tmp_path):
    code, told = run(broken, "--kit", "--kit-artefacts", str(tmp_path / "kept"))
    assert code == 1
    summary = told[told.index("cases that moved") :]
    (line,) = [each for each in summary.splitlines() if each.startswith("espresso: ")]
    assert "MOVED" in line
    assert "the pixels are scaled otherwise" in line
    assert "volleyball: " not in summary
    assert f"pictures and executed notebooks: {tmp_path / 'kept'}" in summary
    (kept,) = (tmp_path / "kept").rglob("*.png")
    assert kept.name == "espresso.png"
    with Image.open(kept) as image:
        assert image.size == (3 * 224 + 16, 224 + 16)
    book = json.loads((tmp_path / "kept" / "check_cases.ipynb").read_text())
    (error,) = [each for each in book["cells"][-1]["outputs"] if each["output_type"] == "error"]
    assert "CasesMovedError" in "".join(error["traceback"])


def test_what_moved_is_accepted_and_the_next_run_is_green(broken):
    changed(broken, expected=kit.Expected(never="goldfish"))
    code, told = run(broken, "--kit-update")
    assert code == 0, told
    assert "espresso: MOVED" in told, "told before it is accepted"
    code, told = run(broken, "--kit")
    assert code == 0, told


def test_pictures_in_html_are_not_compared_but_the_words_beside_them_are(tmp_path):
    html = '<img alt="a cat" src="data:image/png;base64,AAAA"><p>beside it</p>'
    cell = nbformat.v4.new_code_cell(execution_count=1)
    for stored, code in ((html.replace("AAAA", "BBBB"), 0), (html.replace("beside", "below"), 1)):
        cell.source = f"from IPython.display import HTML\nHTML({html!r})"
        text = "<IPython.core.display.HTML object>"
        cell.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": text, "text/html": stored})]
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "check_cases.ipynb")
        assert run(tmp_path)[0] == code


def test_on_two_processes_a_notebook_stays_whole_and_the_summary_is_there_once(broken):
    code, told = run(broken, "--kit", "-n", "2")
    assert code == 1
    assert told.count("cases that moved") == 1
    assert told.count("\nespresso: MOVED") == 1
    assert "NameError" not in told
    assert (broken / "kit-artefacts" / "check_cases.ipynb").exists()
    assert list((broken / "kit-artefacts").glob("cases-*/espresso.png"))
