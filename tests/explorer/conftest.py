"""Photos under the explorer's settings, without a widget."""

from functools import cache

import pytest

from kit import samples
from kit.explorer import view
from kit.explorer.view import Bench


class Look:
    """Views of the labelled photos through one bench."""

    def __init__(self, bench, photos, labels):
        self.bench = bench
        self.names = bench.classifier.class_names
        self._known = {
            photo.name: (photo, label)
            for photo, label in zip(photos, labels, strict=True)
        }
        self.untouched = cache(self.untouched)

    def untouched(self, name):
        photo, label = self._known[name]
        return self.bench.view(photo, view.neutral(name), None, label)

    def at(self, settings):
        """View for complete settings."""
        photo, label = self._known[settings["photo"]]
        return self.bench.view(photo, settings, self.untouched(photo.name), label)

    def __call__(self, name="espresso.jpg", **changed):
        """View of a photo with what is changed about it."""
        settings = view.checked(changed, list(self._known), name)
        return (
            self.at(settings)
            if settings != view.neutral(name)
            else self.untouched(name)
        )


@pytest.fixture(scope="session")
def look(classifier, photos, labels):
    return Look(Bench(classifier, classifier.preprocessing), photos, labels)


@pytest.fixture(scope="session")
def espresso():
    return samples.photo("espresso.jpg")
