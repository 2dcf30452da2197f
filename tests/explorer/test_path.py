"""The way of a picture, as a row of chips, and the sliders."""

import pytest

from kit import faults, samples
from kit.explorer import replies
from kit.explorer.explorer import Explorer
from kit.explorer.view import MAIN, Bench, neutral
from kit.perturbation import PARAMETERS
from tests.explorer.page import ask, deliver, listen, panel

IDLE = ("exif", "alpha", "depth")
ORDER = [
    *("file", "exif", "alpha", "depth", "photograph", "perturbation", "thumbnail", "filter", "fit"),
    *("channels", "polarity", "scaling", "cast", "layout", "tensor", "probabilities"),
]


@pytest.fixture(scope="module")
def special():
    return {photo.name: photo for photo in samples.photos("special")}


def test_chips_stand_in_the_order_in_which_the_steps_run(classifier):
    chips = replies.chips(classifier.preprocessing, "as in training")
    assert [chip["key"] for chip in chips] == ORDER
    steps = [chip["key"] for chip in chips if "options" in chip]
    assert steps == list(faults.STEPS)


def test_chips_offer_every_alternative_and_what_is_usual_first(classifier):
    trained = classifier.preprocessing
    for chip in replies.chips(trained, "as in training"):
        if "options" in chip:
            others = faults.alternatives(trained, chip["key"])
            assert chip["options"] == [["", "as in training"], *([one.name, one.title] for one in others)]
            assert all(one.origin in chip["hint"] for one in others)


def test_a_step_without_an_alternative_has_no_chip(fashion):
    chips = replies.chips(fashion.preprocessing, "as in training")
    assert "channels" not in [chip["key"] for chip in chips]
    assert "scaling" in [chip["key"] for chip in chips]


def test_sliders_offer_every_parameter():
    sliders = replies.sliders()
    assert [slider["key"] for slider in sliders] == list(PARAMETERS)
    folded = [slider["section"] for slider in sliders if slider["group"] == "more"]
    groups = ["Scene", "Weather", "Lens", "Light", "Sensor", "File"]
    assert sorted(folded, key=groups.index) == folded  # groups stay together
    assert {slider["key"] for slider in sliders if slider["group"] == "main"} == set(MAIN)


def test_nothing_is_marked_as_changed_on_an_untouched_photograph(look):
    told = replies.values(look(), look.names, ())
    assert list(told) == sorted(told, key=list(told).index)
    assert not [key for key, chip in told.items() if chip["changed"]]
    assert told["perturbation"]["value"] == "none"
    assert told["photograph"]["value"] == "512 × 341"
    assert told["tensor"]["value"] == "224×224×3"
    assert told["probabilities"]["value"] == "espresso"


@pytest.mark.parametrize(
    ("changed", "marked"),
    [
        ({"channels": "channels_swapped"}, {"channels", "tensor"}),
        ({"noise": 5}, {"perturbation", "tensor"}),
        ({"scaling": "missing_scaling"}, {"scaling", "tensor", "probabilities"}),
        (
            {"filter": "filter_nearest", "cast": "cast_to_uint8"},
            {"filter", "cast", "tensor", "probabilities"},
        ),
        ({"exif": "exif_ignored"}, {"exif"}),
        ({"seed": 4}, set()),
    ],
)
def test_what_is_changed_is_marked_and_what_follows_where_it_differs(look, changed, marked):
    told = replies.values(look(**changed), look.names, ())
    assert {key for key, chip in told.items() if chip["changed"]} == marked


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ({"noise": 5}, "Noise"),
        ({"noise": 5, "seed": 3}, "Noise"),
        ({"noise": 5, "blur": 1, "flip_vertical": True}, "3 changes"),
        ({"occlusion_x": 0.1}, "none"),
    ],
)
def test_perturbations_are_named_or_counted(look, changed, value):
    assert replies.values(look(**changed), look.names, ())["perturbation"]["value"] == value


def test_values_are_words_without_underscores(look):
    for changed in (
        {},
        {"filter": "filter_tf_bilinear", "scaling": "double_scaling", "layout": "transposed"},
    ):
        told = replies.values(look(**changed), look.names, ())
        assert not [chip["value"] for chip in told.values() if "_" in chip["value"] or not chip["value"]]


def test_steps_that_a_file_does_not_need_are_greyed_with_a_reason(look, espresso, classifier):
    idle = replies.idle_steps(espresso, classifier.preprocessing)
    assert idle == IDLE
    told = replies.values(look(), look.names, idle)
    assert {key for key, chip in told.items() if chip["idle"]} == set(IDLE)
    assert told["exif"] == {
        "value": "no tag",
        "changed": False,
        "idle": "This file has no orientation tag, or none that turns it.",
    }


@pytest.mark.parametrize("step", IDLE)
def test_the_sample_of_a_step_is_a_file_on_which_it_acts(step, special, classifier):
    name = replies.OF_FILES[step][-1]
    assert replies.idle_steps(special[name], classifier.preprocessing) == tuple(s for s in IDLE if s != step)
    shown = Bench(classifier, classifier.preprocessing).view(special[name], neutral(name))
    chip = replies.values(shown, classifier.class_names, replies.idle_steps(special[name], shown.trained))[
        step
    ]
    assert (chip["idle"], chip["changed"]) == ("", False)
    assert chip["value"] not in {"none", "no tag", "8 bit"}


@pytest.mark.parametrize(
    ("step", "name"), [("exif", "exif.jpg"), ("alpha", "alpha.webp"), ("depth", "depth16.png")]
)
def test_a_chip_shows_the_sample_of_its_step(classifier, photos, step, name):
    explorer = listen(Explorer(classifier, photos[:2]))
    chip = next(chip for chip in panel(explorer)["path"] if chip["key"] == step)
    assert chip["sample"] == name
    message, _ = ask(explorer, kind="sample", request="a.1", step=step)
    assert (message["kind"], message["request"], message["settings"]["photo"]) == ("view", "a.1", name)
    assert message["path"][step]["idle"] == ""
    assert explorer.photo.name == name


def test_a_sample_is_added_once_and_keeps_what_was_chosen(classifier, photos):
    explorer = listen(Explorer(classifier, photos[:2]))
    explorer.settings = {"exif": "exif_ignored"}
    upright = explorer.photo.size
    deliver(explorer, kind="sample", step="exif")
    ignored = explorer.photo.size
    explorer.settings = explorer.settings | {"exif": ""}
    assert explorer.photo.size == ignored[::-1]
    assert upright == photos[0].size
    explorer.settings = {"photo": photos[0].name}
    deliver(explorer, kind="sample", step="exif")
    assert explorer.settings["photo"] == "exif.jpg"
    told = [(row["name"], row["added"]) for row in panel(explorer)["photos"]]
    assert told == [(photos[0].name, False), (photos[1].name, False), ("exif.jpg", True)]
