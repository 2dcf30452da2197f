"""The reliability diagram as SVG, and its slider."""

import re
from xml.etree import ElementTree as ET

import pytest

from kit.plots import reliability
from kit.validation.calibration.binning import Bin

BINS = (
    Bin(0.4, 0.6, 10, 0.5, 0.25, (0.1, 0.5)),
    Bin(0.8, 1.0, 30, 0.9, 0.8, (0.6, 0.9)),
)


@pytest.fixture(scope="module")
def drawing():
    html = reliability.diagram([("500 pictures", "ECE 0.12", BINS), ("<b>", "a & b", BINS[:1])])
    return ET.fromstring(html[html.index("<svg") :])  # noqa: S314 - made here


def numbers(path):
    return [float(number) for number in re.findall(r"-?[\d.]+", path)]


def test_points_lie_at_confidence_and_share_of_right_answers(drawing):
    points = [(float(one.get("cx")), float(one.get("cy"))) for one in drawing[0].iter("circle")]
    # A square of 220 with the origin above: confidence 0.5 at 110, a share of 0.25 at 165.
    assert points == [(110, 165), (198, 44)]


def test_intervals_and_gaps_are_drawn_to_scale(drawing):
    paths = {
        kind: [numbers(one.get("d")) for one in drawing[0].iter("path") if one.get("class") == kind]
        for kind in ("interval", "gap")
    }
    assert paths["interval"] == [[110, 198, 110], [198, 88, 22]]
    # From the line of perfect calibration, 0.5 at 110, to the point.
    assert paths["gap"] == [[110, 110, 165], [198, 22, 44]]


def test_bars_are_as_high_as_their_bins_are_full(drawing):
    bars = [one for one in drawing[0].iter("rect") if one.get("class") == "right"]
    heights = [float(one.get("height")) for one in bars]
    assert heights[0] == pytest.approx(heights[1] / 3, abs=0.1)
    assert float(bars[0].get("x")) == 220 * 0.4 + 1


def test_text_is_told_and_escaped(drawing):
    assert drawing.get("aria-label") == "Reliability diagrams. 500 pictures: ECE 0.12. <b>: a & b."
    assert [one.text for one in drawing[1].iter("text")][:2] == ["<b>", "a & b"]


def test_the_same_bins_give_the_same_text():
    assert reliability.diagram([("a", "b", BINS)]) == reliability.diagram([("a", "b", BINS)])


def test_the_slider_shows_the_diagram_of_its_number():
    box = reliability.slider({500: "five hundred", 2000: "two thousand"}, "Training pictures")
    chooser, shown = box.children
    assert (chooser.value, shown.value) == (500, "five hundred")
    chooser.value = 2000
    assert shown.value == "two thousand"
    assert [label for label, _ in chooser.options] == ["500", "2,000"]


def test_no_diagram_is_refused():
    with pytest.raises(ValueError, match="Expected at least one diagram, received none"):
        reliability.slider({}, "")
