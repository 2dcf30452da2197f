"""Figures are PNGs with alternative text, drawn to scale, and leave pyplot alone."""

import re
from base64 import b64encode
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import Image

from kit import Photo, plots
from kit.validation.accuracy import AccuracyInterval
from kit.validation.calibration import Bin
from tests.project import python


@pytest.fixture
def figures(monkeypatch):
    """The figures behind the PNGs."""
    drawn = []
    plainly = Figure.savefig

    def kept(self, *given, **named):
        drawn.append(self)
        plainly(self, *given, **named)

    monkeypatch.setattr(Figure, "savefig", kept)
    return drawn


def words(texts):
    return [text.get_text() for text in texts]


def frames(figure):
    """Inches of a figure; and for each of its axes title, labels, ends of both axes, and legend."""
    lines = [str(figure.get_size_inches().round(2).tolist())]
    for axes in figure.axes:
        legends = filter(None, [axes.get_legend(), *figure.legends])
        entries = words(text for legend in legends for text in legend.texts)
        ends = np.round([axes.get_xlim(), axes.get_ylim()], 2).tolist()
        titles = axes.get_title(), axes.get_xlabel(), axes.get_ylabel()
        lines.append(f"{titles} {ends} {entries}")
    return "\n".join(lines)


# As `frames` says.
SHARES = """\
[7.0, 1.56]
('', '%', '') [[0.0, 100.0], [-0.6, 1.6]] ['correct', 'sure']"""
IMAGES = """\
[4.8, 5.6]
('one', '', '') [[-0.5, 7.5], [3.5, -0.5]] []
('two', '', '') [[-0.5, 7.5], [3.5, -0.5]] []
('a a a a a a a a a a a\\na a a', '', '') [[-0.5, 3.5], [7.5, -0.5]] []"""
CONFIDENCES = """\
[7.0, 3.0]
('made up', 'confidence', 'images (%)') [[0.0, 1.0], [0.0, 78.75]] ['good data', 'bad data']
('real', 'confidence', 'images (%)') [[0.0, 1.0], [0.0, 105.0]] ['good data']"""
RELIABILITY = """\
[7.0, 4.4]
('500 pictures', '', 'share of correct predictions') [[0.0, 1.0], [0.0, 1.02]] ['gap', 'share, 95 % interval']
('<b>', '', '') [[0.0, 1.0], [0.0, 1.02]] []
('', 'confidence', 'images') [[0.0, 1.0], [0.0, 31.5]] []
('', 'confidence', '') [[0.0, 1.0], [0.0, 31.5]] []"""
CURVE = """\
[7.0, 4.0]
('', 'Noise (levels)', '%') [[-3.0, 63.0], [-4.0, 104.0]] ['accuracy', 'confidence']"""
HEAT_MAP = """\
[8.0, 3.6]
('accuracy (%)', 'Noise (levels)', 'Brightness (×)') [[-0.5, 2.5], [1.5, -0.5]] []
('confidence (%)', 'Noise (levels)', '') [[-0.5, 2.5], [1.5, -0.5]] []
('', '', '') [[0.0, 1.0], [0.0, 100.0]] []"""


def test_shares_are_drawn_and_said_in_words(figures):
    shares = {
        "before": {"correct": 0.9, "sure": 0.8},
        "after": {"correct": 0.1, "sure": 0},
    }
    figure = plots.accuracy_figure(shares)
    # Groups and their bars from above, as they are read.
    bars = [
        (bar.get_y(), bar.get_width(), bar.get_height())
        for bar in figures[0].axes[0].patches
    ]
    places = [(1.02, 90), (0.02, 10), (0.62, 80), (-0.38, 0)]
    assert bars == [pytest.approx((*place, 0.36)) for place in places]
    assert words(figures[0].axes[0].get_yticklabels()) == ["before", "after"]
    assert frames(figures[0]) == SHARES
    assert (
        figure.alt
        == "Horizontal bars. before: correct 90%, sure 80%. after: correct 10%, sure 0%."
    )


def test_images_carry_their_titles_as_alternative_text(figures):
    wide, tall = np.zeros((4, 8, 3), np.uint8), np.ones((8, 4, 3), np.uint8)
    figure = plots.image_figure([("one", wide), ("two", wide), ("a " * 14, tall)], 2)
    assert figure.alt == f"3 images: one; two; {'a ' * 14}."
    # A row is as high as the tallest image, a square at most, and 0.4 inches for titles, which are broken.
    assert frames(figures[0]) == IMAGES
    for drawn, pixels in zip(figures[0].axes, (wide, wide, tall), strict=True):
        np.testing.assert_array_equal(drawn.images[0].get_array(), pixels)
    plots.image_figure([("one", wide)] * 4)
    assert frames(figures[1]).startswith("[8.9, 1.51]")


LARGE = Photo.from_array(np.zeros((512, 1152, 3), np.uint8))
WRONG = SimpleNamespace(predicted="dog", label="cat", probability=0.876)
WRONG.picture = SimpleNamespace(open=lambda: LARGE)


def test_mistakes_are_shown_small_with_both_classes(figures):
    figure = plots.mistakes_figure([WRONG] * 13)
    assert figure.alt == f"12 images: {'; '.join(['dog 88%, label cat'] * 12)}."
    # Every third pixel: the square root of their number is 768.
    assert figures[0].axes[0].images[0].get_array().shape == (171, 384, 3)


BLACK = np.zeros((4, 4, 3), np.uint8)


def test_five_columns_fit_on_a_small_screen():
    figure = plots.image_figure([("one", BLACK)] * 5, columns=5)
    image = Image.open(BytesIO(figure.data))
    assert 560 <= image.width <= 572
    # The page shows through.
    assert image.getpixel((0, 0))[3] == 0


def test_a_page_reads_the_picture_with_its_text_and_a_pdf_the_picture_alone():
    figure = plots.image_figure([('a "cat" <b>', BLACK)])
    data, told = DisplayFormatter().format(figure)
    encoded = b64encode(figure.data).decode()
    assert "a &quot;cat&quot; &lt;b&gt;" in data["text/html"]
    assert data["text/html"].endswith(f'" src="data:image/png;base64,{encoded}">')
    assert data["image/png"].replace("\n", "") == encoded
    assert told["image/png"] == {"alt": '1 image: a "cat" <b>.'}


def test_confidences_are_drawn_in_percent_of_each_kind_and_said_in_words(figures):
    kinds = {
        "good data": np.array([0.9, 1.0]),
        "bad data": np.array([0.5, 0.7, 0.7, 0.7]),
    }
    figure = plots.confidence_figure(
        [("made up", kinds), ("real", {"good data": np.array([0.8])})]
    )
    assert figure.alt == (
        "Histograms of confidence. made up: mean confidence 95% on good data, 65% on bad data."
        " real: mean confidence 80% on good data."
    )
    assert frames(figures[0]) == CONFIDENCES
    bars = figures[0].axes[0].patches
    assert len(bars) == 2 * 20
    heights = [bar.get_height() for bar in bars if bar.get_height()]
    assert heights == pytest.approx([50, 50, 25, 75])
    looks = [(bar.get_facecolor(), bar.get_hatch()) for bar in (bars[0], bars[20])]
    assert looks == [(to_rgba(plots.BLUE), ""), (to_rgba(plots.ORANGE), "////")]


def test_neither_pyplot_nor_what_made_the_results_is_imported():
    rooms = {
        f"kit.{name}"
        for name in ("classifier", "diagnosis", "robustness", "validation")
    }
    rooms |= {"matplotlib.pyplot"}
    drawn = "kit.plots.image_figure([('one', numpy.zeros((4, 4, 3), numpy.uint8))])"
    code = (
        f"import sys, numpy, kit; {drawn}; sys.exit(bool(sys.modules.keys() & {rooms}))"
    )
    assert python(code).returncode == 0


def test_a_dollar_in_a_name_is_one():
    # What mathematics would refuse to draw.
    plots.image_figure([(r"a $\frac$ b", BLACK)])
    figure = plots.blank_figure(2, 2)
    axes = figure.subplots()
    shown = axes.set_title("$x^2$")
    plots.as_png(figure, "none")
    assert not shown.get_parse_math()
    # Read on a light page and on a dark one.
    tick, *_ = axes.xaxis.get_ticklines()
    edge = axes.spines["left"].get_edgecolor()
    assert [shown.get_color(), tick.get_color()] == [plots.DARK] * 2
    assert edge == to_rgba(plots.DARK)


BINS = (
    Bin(0.4, 0.6, 0.5, AccuracyInterval(2, 10, 0.2, 0.1, 0.5)),
    Bin(0.8, 1.0, 0.9, AccuracyInterval(24, 30, 0.8, 0.6, 0.9)),
)


def test_points_intervals_and_gaps_are_drawn_to_scale(figures):
    figure = plots.reliability_figure([("500 pictures", BINS), ("<b>", BINS[:1])])
    # 10 x 0.2 and 30 x 0.8 of 40 are right; gaps of 0.3 and 0.1 weigh a quarter and three quarters.
    assert figure.alt == (
        "Reliability diagrams. 500 pictures: 65% correct at a mean confidence of 80% on 40 images,"
        " calibration error 0.150. <b>: 20% correct at a mean confidence of 50% on 10 images, calibration"
        " error 0.300."
    )
    (drawn,) = figures
    assert frames(drawn) == RELIABILITY
    perfect, points, *_ = drawn.axes[0].lines
    assert perfect.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert points.get_xydata().tolist() == [[0.5, 0.2], [0.9, 0.8]]
    gaps, intervals = drawn.axes[0].collections
    # From the line of perfect calibration to the point.
    first, second = (part.tolist() for part in gaps.get_segments())
    assert (first, second) == ([[0.5, 0.5], [0.5, 0.2]], [[0.9, 0.9], [0.9, 0.8]])
    ends = [end for part in intervals.get_segments() for end in part[:, 1]]
    assert ends == pytest.approx([0.1, 0.5, 0.6, 0.9])
    bars = [
        (bar.get_x(), bar.get_width(), bar.get_height())
        for bar in drawn.axes[2].patches
    ]
    assert bars == [(0.4, pytest.approx(0.2), 10), (0.8, pytest.approx(0.2), 30)]


def swept(shares, **axes):
    shares = np.array(shares)
    figures = {"accuracy": shares, "confidence": 1 - shares / 2}
    whole = np.array([True, False])
    return SimpleNamespace(
        axes=axes, figures=figures, whole=whole, counted="1 of 2 images"
    )


def test_a_curve_goes_through_its_values_and_tells_their_range(figures):
    figure = plots.sweep_figure(swept([0.25, 1], noise=(60, 0)))
    assert figure.alt == (
        "Curves over noise for 1 of 2 images: accuracy from 25% at 60 to 100% at 0;"
        " confidence from 50% at 0 to 88% at 60."
    )
    line, other = figures[0].axes[0].lines
    assert line.get_xydata().tolist() == [[0, 100], [60, 25]]
    assert (other.get_linestyle(), other.get_marker()) == ("--", "s")
    assert frames(figures[0]) == CURVE
    other = swept([0.5, 0.5], other=(1, 2))
    plots.sweep_figure(other)
    assert figures[1].axes[0].get_xlabel() == "other"
    # Without a file there is no quality, but an accuracy all along.
    plots.sweep_figure(swept([0.75, 0.25], jpeg_quality=(None, 5)))
    across = [line.get_ydata() for line in figures[2].axes[0].lines][1]
    assert list(across) == [75, 75]
    names = words(figures[2].axes[0].get_legend().get_texts())
    assert names[:2] == ["accuracy", "accuracy at None"]


def test_two_axes_are_a_heat_map_with_their_values_and_three_are_refused(figures):
    shares = [[0.25, 0.5, 0.75], [0.25, 0.75, 0.5]]
    figure = plots.sweep_figure(swept(shares, brightness=(0.5, 2), noise=(0, 20, 60)))
    assert figure.alt == (
        "Heat maps over brightness and noise for 1 of 2 images:"
        " accuracy from 25% at 0.5 and 0 to 75% at 2 and 20;"
        " confidence from 62% at 0.5 and 60 to 88% at 2 and 0."
    )
    axes = figures[0].axes[0]
    assert axes.images[0].get_array().tolist() == [[25, 50, 75], [25, 75, 50]]
    # The first row on top, as in the table.
    assert frames(figures[0]) == HEAT_MAP
    for axis, values in ((axes.xaxis, ["0", "20", "60"]), (axes.yaxis, ["0.5", "2"])):
        assert words(axis.get_ticklabels()) == values
    plots.sweep_figure(swept(np.ones((1, 13)), jpeg_quality=(5,), noise=range(13)))
    assert figures[1].axes[0].get_ylabel() == "JPEG quality"
    ticks = figures[1].axes[0].get_xticklabels()
    assert words(ticks) == ["0", "2", "4", "6", "8", "10", "12"]
    with pytest.raises(
        ValueError, match="Expected a sweep with one or two axes, received 3"
    ):
        plots.sweep_figure(swept(shares, blur=(0,), noise=(0,), seed=(0, 1)))
    none = swept(shares, brightness=(0.5, 2), noise=(0, 20, 60))
    none.whole = ~none.whole[:1]
    with pytest.raises(ValueError, match=r"received none; see sweep.errors$"):
        plots.sweep_figure(none)


def test_a_page_of_mistakes_has_its_report_and_each_group_of_images():
    mistakes = SimpleNamespace(
        classifier=SimpleNamespace(name="<b>"),
        groups={"None": (), "One": [WRONG]},
        html=lambda: "<p>The report</p>",
    )
    page = plots.mistakes_page(mistakes)
    assert "<h1>Mistakes of &lt;b&gt;</h1><p>The report</p>" in page
    assert re.findall("<h2>(.*?)</h2><img alt", page) == ["One"]
