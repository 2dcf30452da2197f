"""Predictions ahead of a hand: how many there are, and how long they may take."""

import pytest

from kit.explorer.bench import (
    DEFAULT_PLACES_AHEAD,
    PLACES_VARIABLE,
    computed_in_time,
    places_ahead,
)
from kit.explorer.explorer import Explorer
from kit.explorer.settings import neutral


def test_the_environment_says_how_many_places_where_the_caller_does_not(monkeypatch):
    monkeypatch.delenv(PLACES_VARIABLE, raising=False)
    assert (places_ahead(None), places_ahead(5)) == (DEFAULT_PLACES_AHEAD, 5)
    for given, places in (("0", 0), (" 12 ", 12), ("10000", 10_000)):
        monkeypatch.setenv(PLACES_VARIABLE, given)
        assert (places_ahead(None), places_ahead(5)) == (places, 5)
        assert places_ahead(0) == 0


@pytest.mark.parametrize("given", ["", "many", "-1", "1.5", "²", "10001"])
def test_nonsense_is_refused_with_the_name_of_where_it_stands(
    classifier, photos, monkeypatch, given
):
    monkeypatch.setenv(PLACES_VARIABLE, given)
    with pytest.raises(
        (TypeError, ValueError), match=f"Expected {PLACES_VARIABLE} as a .*{given}"
    ):
        Explorer(classifier, photos[:1])
    for wrong in (-1, 1.5, "far"):
        with pytest.raises((TypeError, ValueError), match="Expected ahead"):
            Explorer(classifier, photos[:1], ahead=wrong)


def test_one_reply_takes_no_longer_than_a_hand_would_notice(look):
    wanted = [neutral("cat.jpg") | {"noise": place} for place in range(1, 101)]
    assert list(computed_in_time([])) == []
    found = list(computed_in_time(map(look.at, wanted)))
    assert 1 <= len(found) < len(wanted)
    assert [view.settings for view in found] == wanted[: len(found)]
