"""What the kit raises for what it does not take: one line, which says what was expected."""

from contextlib import contextmanager

import pytest


@contextmanager
def refused(message):
    """Expect a ValueError in one line in which this regular expression is found; give what was raised."""
    with pytest.raises(ValueError, match=message) as caught:
        yield caught
    assert "\n" not in str(caught.value)
