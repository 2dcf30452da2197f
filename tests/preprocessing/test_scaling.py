import numpy as np
import pytest

from kit.preprocessing import scaling as scalings
from kit.preprocessing.scaling import (
    SCALINGS,
    Scaling,
    as_scalings,
    range_words,
)


def test_lists_and_arrays_become_tuples_so_that_scalings_can_be_compared():
    assert Scaling(255, [0.5, 0.25], np.array([1, 2])) == Scaling(
        255.0, (0.5, 0.25), (1.0, 2.0)
    )
    assert repr(Scaling(np.float32(255))) == "Scaling(divisor=255.0)"
    # A factor that is rounded has the name of what it is rounded from.
    assert as_scalings(0.00392157) is SCALINGS["0..1"]


def test_affine_is_the_straight_line_through_black_and_white():
    slope, offset = scalings.affine(as_scalings(("-1..1", Scaling(2, 0.5, (1, 2, 4)))))
    np.testing.assert_allclose(slope, np.array([1, 1 / 2, 1 / 4]) / 255)
    np.testing.assert_allclose(offset, [-1, -1 / 2, -1 / 4])


def test_the_memory_of_a_picture_may_lie_in_any_order():
    x = np.arange(24, dtype=np.float32).reshape(3, 2, 4)
    turned = x.transpose(2, 1, 0)  # (4, 2, 3), columns first
    scaled = scalings.scale(turned, (Scaling(mean=(1, 2, 3)),))
    np.testing.assert_array_equal(scaled, turned - np.float32([1, 2, 3]))


UNFIT = [
    ({"std": (1, 0)}, ValueError, "size of std within 1e-12"),
    ({"divisor": 0}, ValueError, "size of divisor within 1e-12"),
    (
        {"mean": (1, 2), "std": (1, 2, 3)},
        ValueError,
        "^Expected mean and std of one length, received 2 and 3 values$",
    ),
    ({"std": (True, 1)}, TypeError, "std as a number"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), UNFIT)
def test_scalings_that_cannot_scale_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Scaling(**arguments)


def test_scalings_are_the_same_where_they_differ_by_rounding_at_black_and_at_white():
    for close, apart in [
        (Scaling(255 * (1 + 5e-7)), Scaling(255 * (1 + 2e-6))),  # apart at white alone
        (
            Scaling(255, -5e-7, 1 + 5e-7),
            Scaling(255, -2e-6, 1 + 2e-6),
        ),  # at black alone
        (Scaling(255, 5e-7), Scaling(255, 2e-6)),
    ]:
        assert scalings.same_scaling((close,), SCALINGS["0..1"])
        assert not scalings.same_scaling((apart,), SCALINGS["0..1"])
    assert scalings.simplest((Scaling(255, (0.5,) * 3, 0.5),)) is SCALINGS["-1..1"]
    other = (Scaling(255, (0.5, 0.5, 0.6), 0.5),)
    assert scalings.simplest(other) is other


FORMULAS = [
    (Scaling(2, 3, 4), "(x / 2 \N{MINUS SIGN} 3) / 4"),
    (Scaling(255, -0.026), "x / 255 + 0.026"),
    (Scaling(1, 3), "x \N{MINUS SIGN} 3"),
    (Scaling(1, (1, 2.5, 3)), "x \N{MINUS SIGN} (1, 2.5, 3)"),
]


@pytest.mark.parametrize(("scaling", "words"), FORMULAS)
def test_a_formula_leaves_out_what_does_nothing(scaling, words):
    assert scalings.scaling_words((scaling,)) == words


def test_a_range_is_said_as_people_do():
    # 1 / 255 of 0..1 and of an inverted line.
    assert range_words(SCALINGS["0..1"] * 2) == "0..0.0039"
    assert range_words((Scaling(-255.0),)) == "−1..0"
