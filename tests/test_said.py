"""The kit says what it said: the words exactly, and numbers but for the rounding of another processor."""

import re
from itertools import zip_longest

import pytest

from tests.said import FILE, SAID

SECTIONS = dict(
    section.split("\n", 1)
    for section in FILE.read_text(encoding="utf-8").split("# ")[1:]
)
NUMBER = re.compile(r"-?\d+(?:\.(\d+))?(?:e([-+]\d+))?")


def assert_equal_but_for_rounding(today, kept):
    """One in a hundred, and one in the last digit that is printed, is left to rounding."""
    words = [" ".join(NUMBER.sub("0", line).split()) for line in (today, kept)]
    assert words[0] == words[1], "run make record, and read what differs"
    numbers = zip(NUMBER.finditer(today), NUMBER.finditer(kept), strict=True)
    for number, expected in numbers:
        digits, exponent = expected.groups()
        last = 10.0 ** (int(exponent or 0) - len(digits)) if digits else 0
        wanted = pytest.approx(float(expected[0]), rel=0.01, abs=1.01 * last)
        assert float(number[0]) == wanted, today


def test_everything_that_was_written_down_is_said_today():
    assert SECTIONS.keys() == SAID.keys()


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_today_is_what_was_written_down(name):
    lines = (text.strip().splitlines() for text in (SAID[name](), SECTIONS[name]))
    for today, kept in zip_longest(*lines, fillvalue=""):
        assert_equal_but_for_rounding(today, kept)
