"""Names of people and machines are taken out of texts, and nothing else."""

import platform
from pathlib import Path

import pytest

from kit.workshop.personal import anonymous


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


def test_the_home_folder_becomes_a_tilde(anna):
    assert anonymous(f"no file {anna}/kit/cat.jpg") == "no file ~/kit/cat.jpg"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Anna at annas-laptop, a.example", "(user) at (machine), (user)"),
        ("on Annas-Laptop.local.", "on (machine)."),
        ("a banana, susanna and annabel", "a banana, susanna and annabel"),
        ("C:" + r"\Users\Ben B\kit", "C:" + r"\Users\(user) B\kit"),
        ("the square root of 4", "the square root of 4"),
    ],
)
def test_names_are_taken_out_where_they_are_words(text, kept):
    assert anonymous(text) == kept


def test_people_of_other_homes_are_not_named(anna):
    assert anonymous(anna.replace("anna.example", "ben") + "/x.py") == "/home/(user)/x.py"


def test_root_names_nobody(monkeypatch):
    for name in ("USER", "LOGNAME"):
        monkeypatch.setenv(name, "root")
    assert anonymous("root = 2") == "root = 2"
