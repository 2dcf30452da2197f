"""The explorer's "why?": the cause of what is shown, and the settings that put it right."""

import pytest

from kit.explorer import view, why
from kit.explorer.explorer import Explorer
from tests.explorer.page import deliver, listen

CHOSEN = {"channels": "channels_swapped", "scaling": "range_0_1", "photo": "espresso.jpg"}


@pytest.fixture
def explorer(classifier, photos, labels):
    return listen(Explorer(classifier, photos, labels=labels))


def ask(explorer, **settings):
    explorer.settings = settings
    explorer.sent.clear()
    deliver(explorer, kind="why", request="a.1")
    return [content for content, _ in explorer.sent]


def test_two_faults_are_named_and_one_click_puts_both_right(explorer):
    *progress, because = ask(explorer, **CHOSEN)
    assert [message["kind"] for message in progress] == ["asking"] * len(progress)
    assert progress
    assert because["kind"] == "because"
    assert "wrong range" in because["headline"]
    assert "channel order" in because["headline"]
    assert because["apply"] == view.neutral("espresso.jpg")
    assert explorer.diagnosis.fix() == explorer.classifier.preprocessing


def test_a_right_pipeline_is_not_accused(explorer):
    because = ask(explorer, photo="otter.jpg")[-1]
    assert because["headline"].casefold() == explorer.diagnosis.conclusion
    assert explorer.diagnosis.best is None
    assert because["headline"].startswith(("No fault is found", "No loud fault is found"))
    assert because["apply"] is None


def test_a_dark_picture_is_named_and_has_no_setting_to_apply(explorer):
    because = ask(explorer, photo="wall_clock.jpg", brightness=0.1)[-1]
    assert because["headline"].startswith("The cause: dark")
    assert because["apply"] is None


def test_only_the_faults_that_matter_are_put_back(classifier):
    trained = classifier.preprocessing
    settings = view.neutral("cat.jpg") | {"exif": "exif_ignored", "channels": "channels_swapped", "noise": 4}
    right = trained.replace(decoding=view.preprocessing_of(settings, trained).decoding)
    assert why.remedy(settings, trained, right) == settings | {"channels": ""}


def test_a_fix_that_no_setting_gives_is_not_offered(classifier):
    trained = classifier.preprocessing
    assert why.remedy(view.neutral("cat.jpg"), trained, trained.replace(scaling="caffe")) is None


def test_another_preprocessing_shares_the_network_and_leaves_the_classifier_alone(classifier):
    before = classifier.preprocessing
    other = classifier.using(before.replace(channels="bgr"))
    assert other.engine is classifier.engine
    assert (classifier.preprocessing, other.preprocessing.channels) == (before, "bgr")
    with pytest.raises(ValueError, match="224"):
        classifier.using(before.replace(size=(32, 32)))
