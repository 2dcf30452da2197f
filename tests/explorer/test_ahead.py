"""Answers ahead of a hand: how many there are, and that they leave the cores to other processes."""

import subprocess
import sys
import time

import psutil
import pytest

from kit.explorer import ahead as module
from kit.explorer.ahead import BUSY, PAUSE_MS, PLACES, VARIABLE, Ahead
from kit.explorer.explorer import Explorer
from tests.explorer.page import ask, listen, panel

SPIN = "print('on', flush=True)\nwhile True: pass"


@pytest.fixture
def busy():
    """A process that keeps a core busy, for each core."""
    processes = [
        subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE)
        for _ in range(psutil.cpu_count())
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


def test_nothing_is_answered_ahead_while_other_processes_need_the_cores(busy, look):
    ahead = Ahead.of(None)
    ahead.others()
    time.sleep(1)
    assert ahead.others() > BUSY
    assert ahead.answered([look().settings], look.at) == ([], PAUSE_MS)


def test_the_page_is_told_to_pause_while_other_processes_need_the_cores(busy, classifier, photos):
    explorer = listen(Explorer(classifier, photos[:1]))
    wanted = {"kind": "ahead", "settings": explorer.settings, "key": "noise", "places": [1, 2]}
    ask(explorer, request="a.0", **wanted)
    time.sleep(1)
    message, _ = ask(explorer, request="a.1", **wanted)
    assert (message["kind"], message["request"]) == ("ahead", "a.1")
    assert (message["views"], message["pause"]) == ([], PAUSE_MS)


def test_there_is_no_pause_while_others_use_less_than_their_share(look, monkeypatch):
    ahead = Ahead.of(None)
    ahead.others()
    time.sleep(0.3)
    share = ahead.others()  # stays for a fifth of a second
    assert 0 <= share <= 1.2
    monkeypatch.setattr(module, "BUSY", share + 0.01)
    [answered], pause = ahead.answered([look(noise=3).settings], look.at)
    assert pause == 0
    assert answered.probabilities.tolist() == look(noise=3).probabilities.tolist()


def test_what_this_process_does_itself_is_no_reason_to_pause():
    ahead = Ahead.of(None)
    shares = []
    for _ in range(20):  # other tests may be running, so the least of many counts
        ahead.others()
        time.sleep(0.3)
        idle = ahead.others()
        end = time.perf_counter() + 0.5
        while time.perf_counter() < end:
            pass
        shares.append(ahead.others() - idle)
        if shares[-1] < 0.2:
            break
    # Counted as another's, it would be one core of all.
    assert min(shares) < min(0.2, 0.8 / psutil.cpu_count())


def test_none_are_wanted_none_are_answered(look):
    assert Ahead.of(None).answered([], look.at) == ([], PAUSE_MS)


def test_one_reply_takes_no_longer_than_a_hand_would_notice(look):
    ahead = Ahead.of(None)  # nothing is measured yet, so nothing pauses it
    wanted = [look(noise=1).settings | {"noise": float(place)} for place in range(1, 101)]
    answered, pause = ahead.answered(wanted, look.at)
    assert pause == 0
    assert 1 <= len(answered) < len(wanted)
    assert [one.settings for one in answered] == wanted[: len(answered)]
