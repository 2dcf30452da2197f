"""What is told of cases that were run, on results that are made by hand."""

from xml.etree import ElementTree as ET

import pytest

import kit
from kit.preprocessing.trace import Trace
from kit.regression.cases import Observed
from kit.regression.result import CasesMovedError, Checked, CheckedCases


def case(*shares, tolerance=0.02):
    told = tuple((place, f"class {place}", share) for place, share in enumerate(shares))
    observed = Observed(told, Trace())
    return kit.Case("one", "x.png", "", "net", "", kit.Expected("class 0"), observed, tolerance=tolerance)


def moved(name="one", **changes):
    told = {"answer": ("class 1", 0.5678), "change": 0.3, "told": "the step", **changes}
    return Checked(name, "moved", case(0.9, 0.1), **told)


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ((0.52, 0.48), "by a hair"),
        ((0.53, 0.47), "narrowly"),
        ((0.59, 0.41), "narrowly"),
        ((0.61, 0.39), "clearly"),
        ((0.74, 0.26), "clearly"),
        ((0.76, 0.24), "by far"),
        ((0.3,), "clearly"),
        ((1.0,), "by far"),
        ((0.5, 0.5, 0.0), "by a hair"),
        ((), ""),
    ],
)
def test_how_far_ahead_the_first_class_was_is_told_in_coarse_words(shares, words):
    assert Checked("one", "holds", case(*shares)).margin == words


def test_a_line_says_what_was_and_what_is_and_why():
    assert moved().words == (
        "MOVED: was class 0 0.900, is class 1 0.568; a probability moved by 0.300; the step"
    )
    assert moved(broken=("it is wrong",), change=0.02).words == (
        "MOVED: it is wrong; was class 0 0.900, is class 1 0.568; the step"
    )
    assert moved(accepted=True).words.startswith("accepted: was class 0")
    assert Checked("one", "holds", case(0.9, 0.1)).words == "holds: class 0, by far"
    assert Checked("one", "failing", case(0.5, 0.4), told="more").words == (
        "fails as it did: class 0, narrowly; more"
    )
    assert Checked("one", "skipped", case(0.9), told="elsewhere").words == "left out: elsewhere"
    assert Checked("one", "unusable", told="torn").words == "CANNOT BE RUN: torn"


def test_the_headline_counts_each_state_once():
    one = [
        Checked("a", "holds", case(1.0)),
        moved("b"),
        Checked("c", "unusable", told="torn"),
        moved("d", accepted=True),
        Checked("e", "skipped", case(1.0)),
    ]
    found = CheckedCases("net", tuple(one), unfinished=2)
    assert found.headline() == "5 cases of net: 2 moved, 1 cannot be run, 1 hold, 1 left out, 2 not run."
    assert [each.name for each in found.moved] == ["b", "c"]
    assert not found.holds
    assert CheckedCases("net", (one[0],)).holds
    assert not CheckedCases("net", (one[0],), unfinished=1).holds, "what was not run does not hold"
    assert CheckedCases("net", (one[0],)).headline() == "1 case of net: 1 hold."
    assert CheckedCases("net", ()).headline() == "0 cases of net: none."
    assert found.text().splitlines()[3] == "  c: CANNOT BE RUN: torn"
    assert str(found.table()).startswith(found.headline())
    assert (found.to_dict()["cases"][1]["probability"], found.to_dict()["unfinished"]) == (0.5678, 2)
    assert found.to_dict()["cases"][3]["accepted"] is True


def test_a_paragraph_tells_five_and_counts_the_rest():
    def paragraph(count):
        return CheckedCases("net", tuple(moved(f"case{each}") for each in range(count))).paragraph()

    assert paragraph(5).count("MOVED") == 5
    assert "more." not in paragraph(5)
    assert paragraph(7).count("MOVED") == 5
    assert paragraph(7).endswith(" And 2 more.")
    lines = CasesMovedError(paragraph(7))._render_traceback_()
    assert max(map(len, lines)) <= 100 < len(lines[0]) + len(lines[1].split()[0]) + 1


def test_a_server_gets_xml_that_can_be_read_whatever_names_hold():
    strange = 'a"<b>\x07&'
    given = (
        moved(strange, told=strange),
        Checked("held", "skipped", case(1.0)),
        Checked("c", "holds", case(1.0)),
    )
    suite = ET.fromstring(CheckedCases(strange, given).junit())  # noqa: S314 - our own
    assert suite.get("name") == 'a"<b> &'
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["3", "1", "1"]
    first, second, third = suite
    assert (first.get("name"), first.get("classname")) == ('a"<b> &', "cases")
    assert first[0].get("message").endswith('a"<b> &')
    assert [each.tag for each in second] == ["skipped"]
    assert len(third) == 0
    assert "<b>" not in CheckedCases(strange, given)._repr_html_()
