"""Folders and the names of the account and the machine are taken out of texts, and nothing else."""

import platform
import sys
from pathlib import Path

import pytest

from kit.workshop.personal import anonymous, anonymous_code, anonymous_name


@pytest.fixture(autouse=True)
def anna(monkeypatch):
    """Anna Example, at home on a machine of hers."""
    home = str(Path("/") / "home" / "anna.example")
    for name, value in {
        "HOME": home,
        "USER": "anna",
        "LOGNAME": "anna",
        "JUPYTERHUB_USER": "a.example",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(platform, "node", lambda: "Annas-Laptop.local")
    return home


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Anna at annas-laptop, a.example", "(user) at (machine), (user)"),
        ("on Annas-Laptop.local.", "on (machine)."),
        ("a banana, susanna and annabel", "a banana, susanna and annabel"),
        ("00_anna_2 of jupyter_anna", "00_(user)_2 of jupyter_(user)"),
        ("the square root of 4", "the square root of 4"),
    ],
)
def test_names_are_taken_out_where_they_are_words(text, kept):
    assert anonymous(text) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("no file /var/home/anna.example/kit/cat.jpg.", "no file (path)/cat.jpg."),
        ("/homes/anna2/x, /nfs/users/ben and /export/home2/ben", "(path), (path) and (path)"),
        ("~/thesis/secret/cat.jpg, ~ben/cat.jpg", "(path)/cat.jpg, (path)/cat.jpg"),
        ("/Volumes/Ben's Stick/a.jpg then 3/4", "(path)/a.jpg then 3/4"),
        ("'/Volumes/Ben B'", "'(path)'"),
        ("PATH=/data/ben/bin:/srv/ben", "PATH=(path):(path)"),
        (r"c:\users\Ben B\a.jpg and D:/data/x/b.png", "(path)/a.jpg and (path)/b.png"),
        (r"[Errno 2] 'C:\\data\\Ben B\\my cat.jpg'", "[Errno 2] '(path)/my cat.jpg'"),
        (r"\\srv-ben\share\a.txt", "(path)/a.txt"),
        ("file:///data/ben/anna_1.jpg", "(path)/(user)_1.jpg"),
        ("a/b, 3/4, ~3/4, </b></i>, https://example.com/a/b.jpg", None),
    ],
)
def test_of_a_path_the_name_of_its_file_is_left(text, kept):
    assert anonymous(text) == (kept or text)


def test_a_short_name_is_left_where_it_may_be_something_else(monkeypatch):
    for name in ("USER", "LOGNAME", "JUPYTERHUB_USER"):
        monkeypatch.setenv(name, "max")
    assert anonymous("Max took np.max(x) and max_3") == "(user) took np.max(x) and max_3"
    assert anonymous("/data/max_3.jpg") == "(path)/(user)_3.jpg"
    assert anonymous_name("00_explore_max.ipynb") == "00_explore_(user).ipynb"
    assert anonymous_code('sort = {"by": "max"}  # max') == 'sort = {"by": "max"}  # max'


def test_code_runs_as_before():
    source = 'anna = [\n  "/data/ben/a.jpg",  # Anna\n  f"{anna} of anna"]; x = np.anna(r"\\d") / y/z'
    kept = 'anna = [\n  "(path)/a.jpg",  # (user)\n  f"{anna} of (user)"]; x = np.anna(r"\\d") / y/z'
    assert anonymous_code(source) == kept.replace(
        "{anna}", "{anna}" if sys.version_info >= (3, 12) else "{(user)}"
    )


def test_what_is_not_python_is_a_text():
    assert anonymous_code("!ls /nfs/ben\nanna") == "!ls (path)\n(user)"
    assert anonymous_code("(" * 100_000) == "(" * 100_000


def test_root_names_nobody(monkeypatch):
    for name in ("USER", "LOGNAME"):
        monkeypatch.setenv(name, "root")
    assert anonymous("root = 2") == "root = 2"
