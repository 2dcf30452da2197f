"""Photos under the explorer's settings, without a widget."""

import os
import re
import shutil
import subprocess

import pytest

from kit import samples
from kit.explorer.bench import Bench, Entry
from kit.explorer.settings import complete_settings


class Look:
    """Views of the labelled photos through one bench."""

    def __init__(self, bench, photos, labels):
        self.bench = bench
        self._known = {
            photo.name: Entry(photo, label)
            for photo, label in zip(photos, labels, strict=True)
        }

    def at(self, settings):
        """View for complete settings."""
        return self.bench.view_beside_untouched(
            self._known[settings["photo"]], settings
        )

    def __call__(self, name="espresso.jpg", **changed):
        """View of a photo with what is changed about it."""
        return self.at(complete_settings(changed, list(self._known), name))


@pytest.fixture(scope="session")
def look(classifier, photos, labels):
    return Look(Bench(classifier, classifier.preprocessing), photos, labels)


@pytest.fixture(scope="session")
def espresso():
    return samples.photo("espresso.jpg")


@pytest.fixture(scope="session")
def node():
    """Node.js, from the release on whose tests are part of it."""
    program = shutil.which("node")
    version = "none"
    if program:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False
        )
        version = done.stdout.strip()
        if done.returncode == 0 and int(re.findall(r"\d+", version)[0]) >= 18:
            return program
    reason = f"the tests of the explorer's page need node 18 or later, found {version}; install Node.js"
    if os.environ.get("KIT_REQUIRE_NODE") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
