"""Answers ahead of a hand: how many there are, and that they leave the cores to other processes."""

import os
import subprocess
import sys

import pytest

from kit.explorer import ahead as module
from kit.explorer.ahead import PAUSE_MS, PLACES, VARIABLE, Ahead
from kit.explorer.explorer import Explorer
from tests.explorer.page import panel

SPIN = "print('on', flush=True)\nwhile True: pass"


@pytest.fixture
def busy():
    """Eight processes for each core that compute all the time."""
    processes = [
        subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE)
        for _ in range(8 * (os.cpu_count() or 1))
    ]
    for process in processes:
        assert process.stdout.readline().strip() == b"on"
    yield
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_environment_says_how_many_places(classifier, photos, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert panel(Explorer(classifier, photos[:1]))["ahead"]["places"] == PLACES
    for given, places in (("0", 0), ("12", 12), (" 12 ", 12), ("10000", 10_000)):
        monkeypatch.setenv(VARIABLE, given)
        assert panel(Explorer(classifier, photos[:1]))["ahead"]["places"] == places
        assert panel(Explorer(classifier, photos[:1], ahead=5))["ahead"]["places"] == 5


@pytest.mark.parametrize("given", ["", "many", "-1", "1.5", "²", "0x10", "10001"])
def test_nonsense_in_the_environment_is_refused_with_its_name(classifier, photos, monkeypatch, given):
    monkeypatch.setenv(VARIABLE, given)
    with pytest.raises(ValueError, match=f"Expected {VARIABLE} as a .*{given}"):
        Explorer(classifier, photos[:1])
    assert panel(Explorer(classifier, photos[:1], ahead=0))["ahead"]["places"] == 0


def paused(ahead, look, times=10):
    """How often the page is told to pause, of so many times."""
    wanted = [look(noise=1).settings | {"noise": float(place)} for place in range(1, 20)]
    return sum(ahead.answered(wanted, look.at)[1] == PAUSE_MS for _ in range(times))


def test_the_page_is_told_to_pause_while_other_processes_need_the_cores(busy, look):
    assert paused(Ahead.of(None), look) >= 5


def test_waiting_for_a_core_is_what_pauses_and_nothing_else(look, monkeypatch):
    # Other tests may be running, so the limit is put above what they can do, and then below.
    for limit, pause in ((1.0, 0), (-1.0, PAUSE_MS)):
        monkeypatch.setattr(module, "WAITED", limit)
        answered, told = Ahead.of(None).answered([look(noise=3).settings], look.at)
        assert told == pause
        assert answered[0].probabilities.tolist() == look(noise=3).probabilities.tolist()


def test_none_are_wanted_none_are_answered(look):
    assert Ahead.of(None).answered([], look.at) == ([], 0)


def test_one_reply_takes_no_longer_than_a_hand_would_notice(look):
    ahead = Ahead.of(None)
    wanted = [look(noise=1).settings | {"noise": float(place)} for place in range(1, 101)]
    answered, _ = ahead.answered(wanted, look.at)
    assert 1 <= len(answered) < len(wanted)
    assert [one.settings for one in answered] == wanted[: len(answered)]
