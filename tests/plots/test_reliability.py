"""The reliability diagram, as matplotlib is given it, and its slider."""

from io import BytesIO

import pytest
from matplotlib.figure import Figure
from PIL import Image

from kit import plots
from kit.validation.calibration import Bin

BINS = (
    Bin(0.4, 0.6, 10, 0.5, 0.25, (0.1, 0.5)),
    Bin(0.8, 1.0, 30, 0.9, 0.8, (0.6, 0.9)),
)


@pytest.fixture
def drawn(monkeypatch):
    """The figure behind the PNG."""
    figures = []
    plainly = Figure.savefig
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda self, *given, **named: [figures.append(self), plainly(self, *given, **named)],
    )
    plots.reliability_figure([("500 pictures", BINS), ("<b>", BINS[:1])])
    return figures[0]


def test_points_lie_at_confidence_and_share_of_right_answers(drawn):
    points = drawn.axes[0].containers[0].lines[0]
    assert points.get_xydata().tolist() == [[0.5, 0.25], [0.9, 0.8]]


def test_intervals_and_gaps_are_drawn_to_scale(drawn):
    gaps, intervals = drawn.axes[0].collections
    # From the line of perfect calibration to the point.
    assert [part.tolist() for part in gaps.get_segments()] == [
        [[0.5, 0.5], [0.5, 0.25]],
        [[0.9, 0.9], [0.9, 0.8]],
    ]
    ends = [end for part in intervals.get_segments() for end in part[:, 1]]
    assert ends == pytest.approx([0.1, 0.5, 0.6, 0.9])


def test_bars_are_as_high_as_their_bins_are_full_and_as_wide(drawn):
    bars = [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in drawn.axes[2].patches]
    assert bars == [(0.4, pytest.approx(0.2), 10), (0.8, pytest.approx(0.2), 30)]


def test_it_is_told_in_words_too():
    bins = (Bin(0.4, 0.6, 10, 0.5, 0.2, (0.1, 0.5)), BINS[1])
    figure = plots.reliability_figure([("before", bins), ("after", bins[1:])])
    # 10 x 0.2 and 30 x 0.8 of 40 are right; gaps of 0.3 and 0.1 weigh a quarter and three quarters.
    assert figure.alt == (
        "Reliability diagrams. before: 65% right at a mean confidence of 80% on 40 pictures, calibration"
        " error 0.150. after: 80% right at a mean confidence of 90% on 30 pictures, calibration error 0.100."
    )
    width, height = Image.open(BytesIO(figure.data)).size
    assert width > height > 300


def test_the_slider_shows_the_diagram_of_its_number():
    figures = {
        500: plots.reliability_figure([("<500>", BINS)]),
        2000: plots.reliability_figure([("b", BINS)]),
    }
    box = plots.reliability_slider(figures, "Training pictures")
    chooser, shown = box.children
    assert chooser.value == 500
    assert shown.value.startswith('<img alt="Reliability diagrams. &lt;500&gt;: 66% right at a mean confid')
    chooser.value = 2000
    assert shown.value.startswith('<img alt="Reliability diagrams. b: 66% right at a mean confidence of 80%')
    assert [label for label, _ in chooser.options] == ["500", "2,000"]


def test_no_diagram_is_refused():
    with pytest.raises(ValueError, match="Expected at least one figure, received none"):
        plots.reliability_slider({}, "")
