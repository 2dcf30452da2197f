import copy
import pickle
import unicodedata

import numpy as np
import pytest
from PIL import Image

import kit
from kit import samples
from kit._checking import (
    built,
    first_line,
    integers,
    known,
    meant,
    number,
    parsed,
    printable,
    whole,
)


def test_an_attribute_of_another_library_is_answered_with_the_name_here():
    classifier = samples.classifier("fashion_mnist")
    photo = samples.photo("cat.jpg")
    for value, wrong, answer in [
        (classifier, "classes", "Classifier.classes; did you mean 'class_names'?"),
        (
            classifier,
            "explain",
            "Classifier.explain; did you mean 'kit.diagnose(classifier, photos)'?",
        ),
        (classifier, "device", "Classifier.device"),
        (photo, "numpy", "Photo.numpy; did you mean 'pixels'?"),
        (
            classifier.predict(photo),
            "df",
            "Predictions.df; did you mean 'to_dataframe'?",
        ),
    ]:
        with pytest.raises(AttributeError) as refused:
            getattr(value, wrong)
        assert str(refused.value) == f"there is no {answer}"


def test_a_function_says_what_it_takes_and_travels_to_other_processes():
    classifier = samples.classifier("fashion_mnist")
    for function, options, message in [
        (kit.sweep, {"n_jobs": 2}, "received 'n_jobs'; did you mean 'executor'?"),
        (
            kit.mistakes,
            {"labels": None},
            "received a call with missing a required argument: 'photos'",
        ),
        (kit.Classifier.load, {"labels": []}, "'labels'; did you mean 'class_names'?"),
        (classifier.using, {"scaling": 1}, "'scaling'; did you mean 'preprocessing'?"),
        (
            kit.Preprocessing,
            {"rescale": 1},
            "received 'rescale'; did you mean 'scaling'?",
        ),
    ]:
        with pytest.raises(TypeError) as refused:
            function(classifier, **options)
        assert str(refused.value).startswith(f"Expected {function.__qualname__}(")
        assert str(refused.value).endswith(message)
    assert pickle.loads(pickle.dumps(kit.sweep)) is kit.sweep  # noqa: S301 (its own)


SIDES = {"names": ("height", "width"), "low": 1, "high": 9}
NO_JSON = "Expected a case as JSON, received text that is not"
REFUSED = [
    (number, ("x", True), "Expected x as a number, received True"),
    (number, ("x", "1"), "Expected x as a number, received '1'"),
    (number, ("x", np.nan), "Expected a finite x, received nan"),
    (number, ("x", 10**400, 0.5), f"Expected x within 0.5..inf, received 1{'0' * 29}"),
    (number, ("x", 1.5, 0, 1), "Expected x within 0..1, received 1.5"),
    (number, ("x", -0.5, 0, 1), "Expected x within 0..1, received -0.5"),
    (whole, ("x", 4, 1, 3), "Expected x as a whole number 1..3, received 4"),
    (whole, ("x", 0, 1, None), "Expected x as a whole number not below 1, received 0"),
    (whole, ("x", 1.5, 1, 3), "Expected x as a whole number 1..3, received 1.5"),
    (
        whole,
        ("x", True, 1, 3),
        "Expected x as a whole number 1..3, received True",
    ),
    (
        integers,
        ("size", (1, 2, 3), *SIDES.values()),
        "Expected size as whole numbers (height, width), received (1, 2, 3)",
    ),
    (
        integers,
        ("size", (9, 10), *SIDES.values()),
        "Expected width of the size as a whole number 1..9, received 10",
    ),
    (
        integers,
        ("size", (True, 1), *SIDES.values()),
        "Expected height of the size as a whole number 1..9, received True",
    ),
    (known, ("sign", 1, "ab"), "Expected the sign out of a, b; received 1"),
    # A word that begins so is nearer than one that is spelled nearly so.
    (
        known,
        ("sign", "cof", ["corn", "coffee mug"]),
        "Expected the sign out of corn, coffee mug; received 'cof'; did you mean 'coffee mug'?",
    ),
    (
        known,
        ("sign", "TIMSE", [*map(str, range(49)), "times"]),
        "Expected the sign out of 50 names; received 'TIMSE'; did you mean 'times'?",
    ),
    (meant, ("sign", "-", "ab"), "Expected the sign out of a, b; received '-'"),
    (
        meant,
        ("sign", "x.", ["x", "X"]),
        "Expected the sign out of x, X; received 'x.'; did you mean 'X'?",
    ),
    (parsed, ("a case", "1"), "Expected a case as a JSON object, received 1"),
    (
        parsed,
        ("a case", "-"),
        f"{NO_JSON} (Expecting value: line 1 column 1 (char 0))",
    ),
    (built, (complex, "a sum", [1]), "Expected a sum as a JSON object, received [1]"),
]


@pytest.mark.parametrize(("check", "arguments", "message"), REFUSED)
def test_what_does_not_fit_is_refused_in_one_whole_line(check, arguments, message):
    with pytest.raises((TypeError, ValueError)) as refused:
        check(*arguments)
    assert str(refused.value) == message


def test_what_fits_is_given_back_as_what_is_asked_for():
    for value in (np.float32(0.5), 0, 1):
        assert (number("x", value, 0, 1), type(number("x", value))) == (value, float)
    assert (whole("x", 85.0, 85, 85), type(whole("x", np.uint8(3), 0, None))) == (
        85,
        int,
    )
    assert integers("size", 9, **SIDES) == (9, 9)
    assert meant("sign", "Plus!", ["plus", "times"]) == "plus"
    # An umlaut in two characters, as a Mac names files.
    assert meant("label", "Schlu\u0308ssel", ["Mutter", "Schlüssel"]) == "Schlüssel"


SAME = [
    ({"size": 96}, {"size": (96, 96)}),
    ({"size": np.array([96, 64])}, {"size": (96, 64)}),
    ({"fill": 255}, {"fill": (255, 255, 255)}),
    ({"scaling": 1 / 255}, {"scaling": "0..1"}),
    ({"scaling": "[-1, 1]"}, {"scaling": "-1..1"}),
    ({"scaling": None}, {"scaling": "0..255"}),
    ({"scaling": 1 / 128}, {"scaling": kit.Scaling(128)}),
    ({"channels": "L"}, {"channels": "gray"}),
    ({"layout": "NCHW"}, {"layout": "channels_first"}),
    ({"filter": Image.Resampling.LANCZOS}, {"filter": "lanczos"}),
    ({"cast": np.uint8}, {"cast": "uint8"}),
    ({"fit": "stretch"}, {"fit": "squash"}),
]


@pytest.mark.parametrize(("called", "same"), SAME)
def test_a_value_that_is_called_otherwise_is_the_same(called, same):
    assert kit.Preprocessing(**called) == kit.Preprocessing(**same)


def test_a_column_of_paths_and_a_call_are_predictions(tmp_path):
    classifier = samples.classifier("fashion_mnist")
    photos = samples.photos("fashion_mnist")[:2]
    for photo in photos:
        Image.fromarray(photo.pixels).save(tmp_path / f"{photo.name}.png")
    paths = sorted(map(str, tmp_path.iterdir()))
    expected = classifier.predict(photos).probabilities
    for column in (np.array(paths), np.array(paths, object)):
        assert (classifier(column).probabilities == expected).all()
    tensor = classifier.preprocessing(photos[0])
    assert (classifier.predict_tensors(tensor) == expected[:1]).all()


def test_what_guides_is_copied_and_pickled_as_before():
    value = kit.Preprocessing((8, 8), scaling="0..1")
    assert copy.deepcopy(value) == value
    assert not hasattr(value, "_repr_html_")
    classifier = samples.classifier("fashion_mnist")
    other = pickle.loads(pickle.dumps(classifier))  # noqa: S301 (its own)
    assert other.class_names == classifier.class_names


TEXTS = [
    ("Expected this:;.\n\nand more", "Expected this"),
    ("", "ValueError"),
    ("x" * 301, "x" * 300),
    ("\x1b]0;title\x07 \u202eback", "?]0;title? ?back"),
    (
        "Exception encountered when calling A\nException encountered when calling B\n\x1b[1mToo large\x1b[0m",
        "Too large",
    ),
    (
        'in user code:\n\n    File "a.py", line 1\n\n    ValueError: Too large\n',
        "ValueError: Too large",
    ),
]


@pytest.mark.parametrize(("text", "line"), TEXTS)
def test_of_an_exception_the_line_that_says_what_is_wrong_is_told(text, line):
    assert first_line(ValueError(text)) == line


# Turns the direction of what follows, as if a file had another ending.
TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_a_name_is_one_line_of_any_text():
    assert printable("caf\u00e9 \U0001f408.jpg") == "caf\u00e9 \U0001f408.jpg"
    assert printable("a\nb\x1b[2J\u2028\udcff") == "a?b?[2J??"
    for character in map(chr, range(1 << 16)):
        is_shown = (
            unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"}
            and unicodedata.bidirectional(character) not in TURNING
            and character not in "?\ufffe\uffff"  # the last two of which XML has not
        )
        assert (printable(character) != "?") == is_shown
