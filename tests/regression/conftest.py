"""A folder of cases on real photos."""

from dataclasses import replace
from shutil import copytree

import pytest

import kit
from kit.regression import cases as folders

NAMES = ("espresso.jpg", "ladybird.jpg", "hens.jpg")


def edited(folder, **changes):
    """Change the first case of a folder, and return its name."""
    path = folders.case_files(folder)[0]
    folders.write_case(path, replace(folders.read_case(path), **changes))
    return path.stem


@pytest.fixture(scope="session")
def three():
    """Photos that the network predicts correctly, and not by far."""
    return [kit.samples.photo(name) for name in NAMES]


@pytest.fixture(scope="session")
def pinned(tmp_path_factory, classifier, three):
    """A folder with a case of each, and one that is perturbed; for those who only read it."""
    folder = tmp_path_factory.mktemp("pinned")
    for photo in three:
        kit.pin(folder, classifier, photo)
    dim = kit.Perturbation(brightness=0.4, noise=10)
    kit.pin(folder, classifier, three[0], perturbation=dim, name="dim")
    return folder


@pytest.fixture
def cases(tmp_path, pinned):
    """A copy of it."""
    return copytree(pinned, tmp_path / "cases")
