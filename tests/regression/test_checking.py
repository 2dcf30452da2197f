"""Which step moved an answer: sixteen ways to break one, each found and named."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image, ImageFile

import kit
from kit import samples
from kit.regression import cases as folders
from kit.regression.result import CasesMovedError
from tests.forms import copy_of


def moved(folder, classifier, **options):
    return kit.check_cases(folder, classifier, progress=False, **options)


def steps(result):
    return {one.step for one in result.moved}


def test_what_did_not_change_holds_with_the_same_text(cases, classifier):
    first = moved(cases, classifier)
    assert first.holds
    with ThreadPoolExecutor(2) as executor:
        again = moved(cases, classifier, executor=executor)
    assert again.text() == first.text()
    assert "5 cases of efficientnet_lite0: 5 hold." in first.text()
    assert "espresso, by far" in first.text()


CHANGES = {
    "filter": ({"filter": "nearest"}, "resize"),
    "aliased": ({"filter": "tf_bilinear"}, "resize"),
    "fit": ({"fit": "squash", "crop_fraction": 1.0}, "resize"),
    "crop": ({"crop_fraction": 1.0}, "resize"),
    "channels": ({"channels": "bgr"}, "channels"),
    "grey": ({"channels": "gray_rgb"}, "channels"),
    "inverted": ({"invert": True}, "invert"),
    "range": ({"scaling": "0..1"}, "scale"),
    "unscaled": ({"scaling": ()}, "scale"),
    "cast": ({"cast": "uint8"}, "cast"),
    "transposed": ({"layout": "transposed"}, "layout"),
    "thumbnail": ({"thumbnail": (56, 56)}, "thumbnail"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_preprocessing_that_changes_is_red_and_named(cases, classifier, name):
    changes, step = CHANGES[name]
    result = moved(cases, classifier.using(classifier.preprocessing.replace(**changes)))
    assert not result.holds
    assert steps(result) == {step}
    assert all(" before, " in one.told and one.told.endswith(" now)") for one in result.moved), "what changed"
    assert moved(cases, classifier).holds, "undone, it is green"


def test_which_settings_changed_is_told_where_the_case_knows_them(cases, classifier):
    other = classifier.using(classifier.preprocessing.replace(scaling="0..1"))
    told = "the pixels are scaled otherwise (scaling: lite, (x − 127) / 128 before, 0..1 now)"
    assert {one.told for one in moved(cases, other).moved} == {told}
    for path in folders.paths(cases):
        case = folders.read(path)
        assert case.observed.preprocessing == classifier.preprocessing
        folders.overwrite(path, replace(case, observed=replace(case.observed, preprocessing=None)))
    assert {one.told for one in moved(cases, other).moved} == {"the pixels are scaled otherwise"}


def test_class_names_that_are_rotated_are_named(cases, classifier):
    names = list(classifier.class_names)
    rotated = kit.Classifier.load(classifier.source.path, class_names=names[1:] + names[:1])
    result = moved(cases, rotated)
    assert len(result.moved) == 5
    assert steps(result) == {"class_names"}


def test_weights_of_one_layer_scaled_by_five_percent_are_another_network(tmp_path, fashion, clothes):
    folder = tmp_path / "cases"
    for photo in clothes[:30]:
        kit.pin(folder, fashion, photo)
    model = copy_of(fashion)
    layer = next(one for one in model.layers if one.get_weights())
    layer.set_weights([1.05 * array for array in layer.get_weights()])
    kit.Classifier(model, fashion.preprocessing, fashion.class_names).save(tmp_path / "scaled.keras")
    result = moved(folder, kit.Classifier.load(tmp_path / "scaled.keras"))
    assert steps(result) <= {"weights"}
    other = moved(folder, samples.classifier("fashion_mnist_5000"))
    assert steps(other) == {"weights"}


def test_pillows_filter_that_changes_is_the_resize(cases, classifier, monkeypatch):
    resize = Image.Image.resize
    monkeypatch.setattr(
        Image.Image,
        "resize",
        lambda self, size, *_rest, **named: resize(self, size, Image.Resampling.BOX, box=named.get("box")),
    )
    result = moved(cases, classifier)
    assert not result.holds
    assert steps(result) == {"resize"}


def test_a_decoder_that_changes_is_the_decoding(cases, classifier, monkeypatch):
    load = ImageFile.ImageFile.load

    def darker(self):
        loaded = load(self)
        if self.mode == "RGB" and not getattr(self, "darkened", False):
            self.darkened = True
            self.im = self.im.point([value // 2 for _ in range(3) for value in range(256)], None)
        return loaded

    monkeypatch.setattr(ImageFile.ImageFile, "load", darker)
    result = moved(cases, classifier)
    assert not result.holds
    assert steps(result) == {"decode"}


def test_the_same_tensor_with_another_answer_is_the_engine(cases, classifier, monkeypatch):
    predict = type(classifier).predict_tensors

    def blurred(self, tensors):
        rows = predict(self, tensors)
        return (0.8 * rows + 0.2 / rows.shape[1]).astype(np.float32)

    monkeypatch.setattr(type(classifier), "predict_tensors", blurred)
    assert steps(moved(cases, classifier)) == {"engine"}


def test_a_perturbation_that_does_something_else_is_named(cases, classifier, monkeypatch):
    monkeypatch.setattr(
        kit.Perturbation,
        "apply",
        lambda self, photo: replace(photo, pixels=255 - photo.pixels) if self.noise else photo,
    )
    result = moved(cases, classifier)
    assert [(one.name, one.step) for one in result.moved] == [("dim", "perturb")]


def test_a_small_move_within_the_tolerance_holds_and_a_label_that_falls_does_not(cases, classifier):
    bilinear = classifier.using(classifier.preprocessing.replace(filter="bilinear"))
    path = folders.paths(cases)[0]
    case = folders.read(path)
    change = next(one.change for one in moved(cases, bilinear).cases if one.name == case.name)
    assert change > 0
    for tolerance, state in ((change * 0.9, "moved"), (min(change * 1.1, 1), "holds")):
        folders.overwrite(path, replace(case, tolerance=tolerance))
        assert next(one.state for one in moved(cases, bilinear).cases if one.name == case.name) == state
    never = replace(
        case, tolerance=1.0, expected=kit.Expected(least={case.observed.top[0]: case.observed.top[1] - 1e-4})
    )
    folders.overwrite(path, never)
    grey = classifier.using(classifier.preprocessing.replace(channels="gray_rgb"))
    assert next(one for one in moved(cases, grey).cases if one.name == case.name).broken


def test_a_fault_that_is_kept_is_told_and_not_red(tmp_path, classifier, photos):
    (ladybird,) = [photo for photo in photos if photo.name == "ladybird.jpg"]
    wrong = classifier.preprocessing.replace(channels="bgr", scaling="0..1")
    kit.pin(tmp_path, classifier, ladybird, "ladybug", fault=wrong, name="ladybird")
    result = moved(tmp_path, classifier)
    assert (
        result.text().splitlines()[1]
        == "  ladybird: holds: ladybug, by far; with the fault that is kept it is pinwheel"
    )


def test_what_is_known_to_fail_is_told_and_what_holds_by_now_as_well(tmp_path, classifier, photos):
    (cat,) = [photo for photo in photos if photo.name == "cat.jpg"]
    path = kit.pin(tmp_path, classifier, cat, "tiger cat", name="cat")
    result = moved(tmp_path, classifier)
    assert (result.holds, result.cases[0].state) == (True, "failing")
    case = folders.read(path)
    folders.overwrite(
        path, replace(case, expected=kit.Expected(classes=("Egyptian cat",)), observed=case.observed)
    )
    assert moved(tmp_path, classifier).cases[0].state == "fixed"


def test_cases_of_other_platforms_are_left_out(tmp_path, classifier, four):
    kit.pin(tmp_path, classifier, four[0], platforms=("no such system",))
    result = moved(tmp_path, classifier)
    assert (result.holds, result.cases[0].state) == (True, "skipped")


def test_red_is_one_paragraph(cases, classifier):
    other = classifier.using(classifier.preprocessing.replace(scaling="0..1"))
    with pytest.raises(CasesMovedError) as raised:
        moved(cases, other, raise_on_moved=True)
    assert "\n" not in str(raised.value)
    assert "the pixels are scaled otherwise" in str(raised.value)
    assert all(len(line) <= 100 for line in raised.value._render_traceback_())


def test_what_moved_is_kept_as_a_picture(cases, classifier, tmp_path):
    other = classifier.using(classifier.preprocessing.replace(channels="bgr"))
    result = moved(cases, other, artefacts=tmp_path / "kept")
    for one in result.moved:
        with Image.open(tmp_path / "kept" / f"{one.name}.png") as image:
            assert image.size == (3 * 224 + 16, 224 + 16)
    assert not list(cases.glob("*.png"))
    with pytest.raises(ValueError, match="Expected another folder for artefacts than that of the cases"):
        moved(cases, classifier, artefacts=cases)


def test_what_moved_can_be_accepted(cases, classifier):
    other = classifier.using(classifier.preprocessing.replace(filter="nearest"))
    result = moved(cases, other, update=True)
    assert "accepted: " in result.text()
    assert result.holds
    assert moved(cases, other).holds
    assert not moved(cases, classifier).holds


def test_the_report_can_be_read_by_machines(cases, classifier):
    other = classifier.using(classifier.preprocessing.replace(scaling="0..1"))
    result = moved(cases, other)
    suite = ET.fromstring(result.junit())  # noqa: S314 - our own
    assert int(suite.get("tests")) == 5
    assert int(suite.get("failures")) == len(result.moved) == len(suite.findall("testcase/failure"))
    told = result.to_dict()
    assert told["holds"] is False
    assert {case["step"] for case in told["cases"]} == {"scale"}
    assert "<td" in result._repr_html_()


def test_the_bundled_classifier_that_cases_name_is_opened(cases):
    assert kit.check_cases(cases, progress=False).holds


def test_a_folder_that_is_none_is_refused(tmp_path, classifier):
    with pytest.raises(FileNotFoundError, match="Expected a folder of cases"):
        moved(tmp_path / "nothing", classifier)
    for chosen in (classifier, None):
        with pytest.raises(ValueError, match=r"Expected cases in .*, received none; make one with kit\.pin"):
            kit.check_cases(tmp_path, chosen, progress=False)


def test_a_fault_is_tried_on_the_picture_as_it_is_perturbed(tmp_path, fashion, clothes):
    black, inverted = kit.Perturbation(brightness=0), fashion.preprocessing.replace(invert=True)
    answers = [fashion.probabilities(clothes[:50], each, inverted).argmax(axis=1) for each in (black, None)]
    place = int((answers[0] != answers[1]).argmax())
    kit.pin(tmp_path, fashion, clothes[place], perturbation=black, fault=inverted, name="black")
    (one,) = moved(tmp_path, fashion).cases
    named = [f"with the fault that is kept it is {fashion.class_names[each[place]]}" for each in answers]
    assert [each in one.told for each in named] == [True, False]


def test_what_is_none_of_the_classes_has_to_be_told_as_that(tmp_path, novelty, clothes, photos):
    knowing = novelty.attached()
    kit.pin(tmp_path, knowing, photos[0], kit.Expected(novel=True), name="cat")
    kit.pin(tmp_path, knowing, clothes[0], kit.Expected(novel=False), name="boot")
    assert [one.state for one in moved(tmp_path, knowing).cases] == ["holds", "holds"]
    case = folders.read(tmp_path / "boot.json")
    folders.overwrite(tmp_path / "boot.json", replace(case, perturbation=kit.Perturbation(noise=80)))
    (boot,) = moved(tmp_path, knowing).moved
    assert boot.broken == ("it is told as none of the classes",)


def test_an_accepted_case_is_one_of_the_network_that_it_was_accepted_for(tmp_path, fashion, clothes):
    other = samples.classifier("fashion_mnist_5000")
    rows = [each.probabilities(clothes[:50]) for each in (fashion, other)]
    photo = clothes[int(np.abs(rows[0] - rows[1]).max(axis=1).argmax())]
    kit.pin(tmp_path, fashion, photo, kit.Expected(most={"Bag": 1}), name="one")
    assert moved(tmp_path, other, update=True).holds
    case = folders.read(tmp_path / "one.json")
    assert (case.classifier, case.weights) == (other.name, other.source.digest)
    assert steps(moved(tmp_path, fashion)) == {"weights"}


def test_names_that_are_rotated_hide_no_other_step(cases, classifier):
    names = list(classifier.class_names)
    rotated = kit.Classifier.load(classifier.source.path, class_names=names[1:] + names[:1])
    both = rotated.using(rotated.preprocessing.replace(scaling="0..1"))
    assert "scale" in steps(moved(cases, both))


def test_the_classifier_is_the_one_that_the_first_readable_case_names(cases):
    (cases / "0.json").write_text("{}", encoding="utf-8")
    result = kit.check_cases(cases, progress=False)
    assert result.classifier == "efficientnet_lite0"
    assert [one.name for one in result.moved] == ["0"]


def test_a_fault_that_no_longer_goes_wrong_is_told(tmp_path, classifier, photos):
    (ladybird,) = [photo for photo in photos if photo.name == "ladybird.jpg"]
    mild = classifier.preprocessing.replace(filter="bilinear")
    kit.pin(tmp_path, classifier, ladybird, "ladybug", fault=mild, name="ladybird")
    assert (
        moved(tmp_path, classifier).cases[0].told
        == "with the fault that is kept it is ladybug: no longer wrong"
    )


def test_an_expectation_that_held_is_never_given_up(tmp_path, fashion, clothes):
    kit.pin(tmp_path, fashion, clothes[0], name="one")
    inverted = fashion.using(fashion.preprocessing.replace(invert=True))
    for _ in range(2):
        (one,) = moved(tmp_path, inverted, update=True).moved
        assert one.words.startswith("MOVED: it is ")
        assert "; not accepted, since what is expected does not hold" in one.words
    other = kit.Classifier.load(fashion.source.path, class_names=[f"new {each}" for each in range(10)])
    case = folders.read(tmp_path / "one.json")
    wrong = kit.Expected(classes=tuple({"Coat", "Bag"} - {case.observed.top[0]}))
    failing = replace(case, expected=wrong, observed=replace(case.observed, held=False))
    folders.overwrite(tmp_path / "one.json", failing)
    assert moved(tmp_path, fashion).cases[0].state == "failing"
    assert not moved(tmp_path, other, update=True).holds, "no class is left that could be right"


CLOSE = {
    "a share to its last digit": lambda names, row: {"least": {names[0]: float(row[0])}},
    "an order of small ones": lambda names, row: {"order": (names[-2], names[-1])},
    "a small one": lambda names, row: {"least": {names[-1]: float(row[-1]) * 0.9}},
    "at most a small one": lambda names, row: {"most": {names[-1]: float(row[-1]) * 1.1}},
}


@pytest.mark.parametrize("close", CLOSE.values(), ids=CLOSE)
def test_what_held_by_less_than_is_kept_held_all_the_same(tmp_path, fashion, clothes, close):
    row = fashion.probabilities(clothes[0])[0]
    ranked = row.argsort()[::-1]
    expected = kit.Expected(**close([fashion.class_names[each] for each in ranked], row[ranked]))
    path = kit.pin(tmp_path, fashion, clothes[0], expected, tolerance=1.0, name="one")
    assert not folders.read(path).known_to_fail
    assert moved(tmp_path, fashion).cases[0].state == "holds"
    inverted = fashion.using(fashion.preprocessing.replace(invert=True))
    (one,) = moved(tmp_path, inverted, update=True).cases
    assert one.state == ("moved" if one.broken else "holds")


def test_a_class_that_is_misspelt_in_a_case_is_red(tmp_path, fashion, clothes):
    path = kit.pin(tmp_path, fashion, clothes[0], name="one")
    folders.overwrite(path, replace(folders.read(path), expected=kit.Expected("Ankle bot")))
    (one,) = moved(tmp_path, fashion, update=True).moved
    assert one.broken == ("the classifier has no class 'Ankle bot'; did you mean 'Ankle boot'?",)


def test_a_network_that_answers_no_numbers_is_red_and_never_accepted(tmp_path, fashion, clothes):
    model = copy_of(fashion)
    model.set_weights([np.full_like(array, np.nan) for array in model.get_weights()])
    broken = kit.Classifier(model, fashion.preprocessing, fashion.class_names)
    kit.pin(tmp_path, fashion, clothes[0], kit.Expected(most={"Bag": 1}), tolerance=1.0, name="one")
    for _ in range(2):
        (one,) = moved(tmp_path, broken, update=True, artefacts=tmp_path / "kept").moved
        assert one.broken == ("its probabilities are no numbers",)
    with pytest.raises(ValueError, match="Expected probabilities, received what is no number"):
        kit.pin(tmp_path, broken, clothes[0])


def test_a_fault_that_the_network_cannot_be_given_turns_nothing_red(tmp_path, fashion, clothes):
    small = fashion.preprocessing.replace(size=(20, 20))
    path = kit.pin(tmp_path, fashion, clothes[0], name="one")
    folders.overwrite(path, replace(folders.read(path), fault=small))
    (one,) = moved(tmp_path, fashion).cases
    assert (one.state, one.told) == ("holds", "the fault that is kept is none that this network can be given")


def test_what_is_accepted_is_what_was_seen_from_then_on(tmp_path, classifier, four):
    path = kit.pin(tmp_path / "cases", classifier, four[0], kit.Expected(most={"tabby": 1}), name="one")
    folders.overwrite(path, replace(folders.read(path), tolerance=1e-6))
    other = classifier.using(classifier.preprocessing.replace(fit="letterbox", crop_fraction=1.0))
    seen = path.parent / "seen" / "one.png"
    before = seen.read_bytes()
    assert moved(path.parent, other, update=True).cases[0].accepted
    assert seen.read_bytes() != before
    assert folders.read(path).observed.preprocessing == other.preprocessing


def test_a_setting_that_changed_is_told_where_the_traces_are_too_coarse(tmp_path, fashion):
    stripes = np.tile(np.array([[[0], [255]], [[255], [0]]], np.uint8).repeat(3, axis=2), (14, 14, 1))
    turned = stripes.copy()
    turned[:, ::2] = 0
    kit.pin(tmp_path, fashion, turned, kit.Expected(most={"Bag": 1}), tolerance=1e-6, name="one")
    other = fashion.using(fashion.preprocessing.replace(layout="transposed"))
    (one,) = moved(tmp_path, other).moved
    assert one.told == "the axes come in another order (layout: channels_last before, transposed now)"


def test_networks_in_no_file_are_not_said_to_have_the_same_weights(tmp_path, fashion, clothes):
    networks = [
        kit.Classifier(copy_of(fashion), fashion.preprocessing, fashion.class_names) for _ in range(2)
    ]
    networks[1].model.set_weights([1.5 * array for array in networks[1].model.get_weights()])
    other = kit.Classifier(networks[1].model, fashion.preprocessing, fashion.class_names)
    photo = next(
        each
        for each in clothes[:50]
        if np.abs(networks[0].probabilities(each) - other.probabilities(each)).max() > 0.05
    )
    kit.pin(tmp_path, networks[0], photo, name="one")
    assert steps(moved(tmp_path, other)) == {"answer"}


def test_what_holds_by_now_is_green_however_far_its_probabilities_moved(tmp_path, fashion, clothes):
    wrong = fashion.using(fashion.preprocessing.replace(invert=True))
    right = fashion.class_names[int(fashion.probabilities(clothes[0]).argmax())]
    kit.pin(tmp_path, wrong, clothes[0], right, name="one")
    before = wrong.class_names[int(wrong.probabilities(clothes[0]).argmax())]
    result = moved(tmp_path, fashion)
    assert result.holds
    told = f"holds by now: was {before}, is {right}; accept it with update=True, or --update"
    assert result.cases[0].words == told
    assert moved(tmp_path, fashion, update=True).cases[0].words.endswith("and is accepted")
    assert moved(tmp_path, fashion).cases[0].state == "holds"


def test_what_holds_by_now_is_accepted_as_it_is_and_what_fails_is_left(tmp_path, fashion, clothes):
    right, wrong = fashion.preprocessing, fashion.preprocessing.replace(invert=True)
    answer = fashion.class_names[int(fashion.probabilities(clothes[0]).argmax())]
    for name, preprocessing in (("mended", wrong), ("failing", wrong)):
        kit.pin(tmp_path, fashion, clothes[0], answer, preprocessing=preprocessing, name=name)
    path = tmp_path / "mended.json"
    before = folders.read(path)
    assert before.known_to_fail
    # Since then it is prepared rightly, and within what a probability may move.
    folders.overwrite(path, replace(before, preprocessing=right, tolerance=1.0))
    assert {one.name: one.state for one in moved(tmp_path, fashion).cases} == {
        "mended": "fixed",
        "failing": "failing",
    }
    result = moved(tmp_path, fashion, update=True)
    assert [(one.name, one.accepted) for one in result.cases] == [("failing", False), ("mended", True)]
    assert {one.name: one.state for one in moved(tmp_path, fashion).cases} == {
        "mended": "holds",
        "failing": "failing",
    }
    assert folders.read(path).observed.top[0] == answer


def test_a_case_that_cannot_be_run_on_this_classifier_is_red_in_one_line(cases, fashion):
    result = moved(cases, fashion)
    assert [one.state for one in result.cases] == ["moved"] * 5
    assert not any(one.accepted for one in moved(cases, fashion, update=True).cases)
    bare = moved(cases, kit.Classifier(copy_of(fashion)), update=True)
    assert bare.headline().endswith(": 5 cannot be run.")
    assert all("Expected a classifier with a known preprocessing" in one.words for one in bare.moved)
    assert all("\n" not in one.words for one in result.cases)
    path = folders.paths(cases)[0]
    folders.overwrite(path, replace(folders.read(path), classifier="no such network"))
    with pytest.raises(ValueError, match="no such network"):
        kit.check_cases(cases, progress=False)
