"""Interrupts that wait for the end of a block, and threads that do not outlive what asked for them."""

import signal
import threading

import pytest

from kit.classifier.engines import uninterrupted


@pytest.fixture
def raising():
    """An interrupt raises, also where the tests run in the background and it would be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("raising")
def test_an_interrupt_that_is_held_is_raised_at_the_end_of_the_block_and_an_error_as_it_is():
    reached = False

    def block():
        nonlocal reached
        with uninterrupted(), uninterrupted():
            signal.raise_signal(signal.SIGINT)
            reached = True

    with pytest.raises(KeyboardInterrupt):
        block()
    assert reached
    with (
        pytest.raises(ZeroDivisionError),
        uninterrupted(),
    ):  # an error in a block is raised as it is
        1 / 0  # noqa: B018
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nothing_is_held_where_no_interrupt_arrives():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        with uninterrupted():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
