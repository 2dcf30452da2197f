"""A few of the moments of ``python -m tests.hostile.interrupts``, which has hundreds for each call."""

import os

import pytest

from tests.hostile import interrupts

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")


@pytest.mark.parametrize("name", ["find_duplicates", "diagnose", "calibrate"])
def test_a_stop_leaves_the_process_and_the_next_answer_as_they_were(name):
    row = interrupts.warm(name, 3)
    assert row.good, vars(row)
    assert row.met >= 3
