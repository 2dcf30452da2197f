"""Brightness and noise as the page repeats them, whose own tests read what is recorded here."""

import numpy as np

from kit.perturbation.physics import add_field
from tests.page import record


def test_what_the_tests_of_the_page_compare_with_is_what_the_kernel_computes():
    kept = record.FILE.read_text(encoding="utf-8")
    assert kept == record.recorded(), "run python -m tests.page.record, then the tests of the page"


def test_noise_rounds_half_to_even():
    # 2 levels of noise and 1024 of 4096 steps: half a level.
    field = np.full(4, 1024, np.int16)
    assert add_field(np.array([0, 1, 2, 3], np.uint8), 2.0, field).tolist() == [0, 2, 2, 4]
