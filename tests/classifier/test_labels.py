"""Labels by name or by index stand for class indices; names are one for each class."""

from pathlib import Path

import numpy as np
import pytest

from kit.classifier.labels import checked_class_names, label_indices, surprises
from kit.classifier.metadata import names_in
from tests.refusals import refused

NAMES = ("coat", "dress", "bag", "coat", "7")


def test_labels_are_indices_names_or_unknown():
    assert [*label_indices([2, "dress", None, np.int32(4)], NAMES, range(4))] == [
        2,
        1,
        -1,
        4,
    ]
    assert [*label_indices(np.array([0, 3]), NAMES, range(2))] == [0, 3]
    assert [*label_indices(None, NAMES, range(2))] == [-1, -1]
    assert [*label_indices(np.eye(5)[[4, 1]], NAMES, range(2))] == [4, 1]  # one-hot
    with refused("the shape"):
        label_indices(np.eye(5)[[4, 1]] * [[1], [0]], NAMES, range(2))
    # One picture may have its label alone.
    for label in (1, np.int64(1), "dress"):
        assert [*label_indices(label, NAMES, range(1))] == [1]
    # pandas has NaN where nothing is known; case and all but letters and digits count for nothing.
    assert [*label_indices([np.nan, "Dress!", "BAG"], NAMES, range(3))] == [-1, 1, 2]
    # A name that two classes share stands for the first, and one may be a number.
    assert [*label_indices(["coat", "7"], NAMES, range(2))] == [0, 4]
    # Another number is an index, as on the command line.
    assert [*label_indices(["1"], NAMES, range(1))] == [1]
    # But not where names are digits: none of these is 9.
    with refused(r"^Expected the label out of .*; received '2'"):
        label_indices(["2"], ("background", "0", "1"), range(1))


UNFIT = [
    ([0, 1], r"Expected as many labels as images \(1\), received 2$"),
    ([[0, 1, 0, 0, 1]], r"received the shape \(1, 5\); is it a tensor="),
    (print, r"received the shape \(\); is it a tensor=, or a function preprocess=\?"),
    ([5], "Expected a label as a whole number 0..4, received 5"),
    (
        ["dres"],
        "Expected the label out of coat, dress, .* received 'dres'; did you mean 'dress'",
    ),
    ("folders", "Expected a folder for each class, received 'coat.png' outside"),
]


CATS = [*map("category {}".format, range(60)), "tiger cat", "tabby", "Persian cat"]


def test_a_word_that_several_classes_have_is_answered_with_all_of_them():
    with refused(
        "^Expected the label out of 63 names; received 'cat'; "
        r"did you mean 'tiger cat' or 'Persian cat'\?$",
    ):
        label_indices("cat", CATS, range(1))


@pytest.mark.parametrize(("labels", "message"), UNFIT)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises((TypeError, ValueError), match=message):
        label_indices(labels, NAMES, [Path("coat.png")])


def test_without_class_names_a_name_asks_for_them():
    unnamed = checked_class_names(None, 3, "small")
    assert [*label_indices("class 2", unnamed, range(1))] == [2]
    with refused(
        (
            r"Expected the index of a class, received 'cat'; name the classes of the model "
            r"\(class_names=, --classes\)$"
        ),
    ):
        label_indices("cat", unnamed, range(1))


def test_names_are_one_for_each_class():
    assert checked_class_names(["cat", 7], 2, "small") == ("cat", "7")
    assert checked_class_names(None, 3, "small") == ("class 0", "class 1", "class 2")
    with pytest.raises(
        TypeError,
        match=(
            r"Expected a list of class names, received one str; of a file: "
            r"Path\(…\).read_text\(\).splitlines\(\)$"
        ),
    ):
        checked_class_names("cat", 3, "small")
    with pytest.raises(TypeError, match=r"received one \w*Path; of a file:"):
        checked_class_names(Path("labels.txt"), 3, "small")
    with pytest.raises(TypeError, match="received one set"):
        checked_class_names({"cat", "dog"}, 2, "small")
    # As Keras sorts folders: "10" comes before "2".
    assert checked_class_names({"2": 2, "10": 1, "1": 0}, 3, "small") == (
        "1",
        "10",
        "2",
    )


def test_numbered_lines_are_those_of_teachable_machine_and_come_in_their_order(
    tmp_path,
):
    file = tmp_path / "labels.txt"
    file.write_text("".join(f"{number} class {number}\n" for number in range(12)))
    assert names_in(file) == (tuple(f"class {number}" for number in range(12)), True)
    for lines, names in [
        ("2 fish\n0 cat\n1 dog\n", ("cat", "dog", "fish")),
        ("0: cat\n1:\tdog\n", ("cat", "dog")),
        ("0 cat\n2 dog\n", ("0 cat", "2 dog")),
        ("0 cat\n0 dog\n", ("0 cat", "0 dog")),
    ]:
        file.write_text(lines)
        assert names_in(file) == (names, False)


def test_a_mapping_gives_names_in_the_order_of_its_indices():
    names = {"dog": 1, "cat": 0, "horse": 2}
    # As Keras's generators, and as JSON and Python write it the other way round.
    back = {i: name for name, i in names.items()}
    for mapping in (names, back, {str(i): name for i, name in back.items()}):
        assert checked_class_names(mapping, 3, "small") == ("cat", "dog", "horse")


@pytest.mark.parametrize(
    "mapping",
    [{"cat": 1, "dog": 2}, {"cat": 0, "dog": 0}, {"0": ["n01", "tench"]}],
)
def test_a_mapping_that_can_be_read_in_no_way_is_refused(mapping):
    with refused(
        r"Expected one index for each class name, received {.*}; give a list$",
    ):
        checked_class_names(mapping, len(mapping), "small")


def test_a_name_in_another_encoding_is_told_with_question_marks_and_found_again():
    names = checked_class_names(["caf!", "caf\udce9"], 2, "drinks")
    assert names == ("caf!", "caf?")
    assert [*label_indices(["caf\udce9", "caf?"], names, range(2))] == [1, 1]


ROWS = np.array([[0.8, 0.2], [0.5, 0.5], [1.0, 0.0]])


def test_a_known_label_surprises_by_its_likelihood_and_another_image_by_its_entropy():
    # One impossible answer must not outweigh all others.
    expected = -np.log([0.2, 0.5, 1e-7])
    assert surprises(ROWS, np.array([1, -1, 1])) == pytest.approx(expected)
