"""What is unusual about a classifier is told in a fixed order, and an ordinary one has no remarks."""

from kit.classifier.bundle.remarks import remarks
from kit.classifier.runtime.compiled import Compiled
from kit.preprocessing import Preprocessing

KNOWN = Preprocessing(size=(28, 28), channels="gray")
ORDINARY = Compiled("softmax", (28, 28, 1), 3, b"data", 1e-7)


def test_an_ordinary_classifier_has_none():
    assert remarks(ORDINARY, KNOWN, ("cat", "dog", "horse"), runs=True) == ()


def test_every_reason_for_keras_is_told():
    failed = Compiled("softmax", (28, 28, 1), 3, reason="LiteRT has no operation Svd")
    assert remarks(failed, KNOWN, ("a", "b", "c"), runs=False) == (
        "falls back to Keras because LiteRT has no operation Svd",
    )
    assert remarks(ORDINARY, KNOWN, ("a", "b", "c"), runs=False) == (
        "falls back to Keras because ai-edge-litert is not installed",
    )


def test_of_many_repeated_names_three_are_told():
    found = remarks(ORDINARY, None, tuple("aabbccddef"), runs=True)
    assert found == (
        "preprocessing unknown: nothing says how the training pictures were prepared",
        "class names that occur more than once: a, b, c and 1 more",
    )


def test_heads_that_are_seldom_meant_are_told():
    sigmoids = Compiled("sigmoid", (28, 28, 1), 3, b"data")
    alone = Compiled("softmax", (28, 28, 1), 1, b"data")
    assert "divided by their sum" in remarks(sigmoids, KNOWN, ("a", "b", "c"), runs=True)[0]
    assert "over one output is always 1" in remarks(alone, KNOWN, ("a",), runs=True)[0]
    # One sigmoid is how two classes are usually told apart.
    assert remarks(Compiled("sigmoid", (28, 28, 1), 1, b"data"), KNOWN, ("a", "b"), runs=True) == ()
