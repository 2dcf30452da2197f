"""Figures are PNG pictures with alternative text, and leave pyplot alone."""

import subprocess
import sys
from base64 import b64encode
from io import BytesIO

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from PIL import Image

import kit
from kit import plots, samples
from kit.robustness.costs import Cost

COSTS = (
    Cost("", "as in training", 0.9, 0.0, 0.8, 0.8, 0.0),
    Cost("missing_scaling", "Scaling: left out", 0.1, 0.9, 0.1, 0.4, 0.2),
)


def size(figure):
    return Image.open(BytesIO(figure.data)).size


def test_the_costs_are_told_in_words_too():
    figure = plots.cost_figure(COSTS)
    assert size(figure)[0] > 300
    assert figure.alt.startswith("Horizontal bars for 2 preprocessings. As in training 90% of the pictures")
    assert "Scaling: left out (10%)" in figure.alt


def test_pictures_carry_their_titles_as_alternative_text():
    black = np.zeros((4, 4, 3), np.uint8)
    figure = plots.picture_figure([("one", black), ("two", black), ("three", black)], columns=2)
    assert figure.alt == "3 pictures: one; two; three."
    width, height = size(figure)
    assert height > width / 2


def test_type_is_eleven_pixels_or_larger_and_five_columns_fit_on_a_small_screen():
    figure = plots.blank(3, 2)
    axes = figure.subplots()
    axes.set_title("small", fontsize=4)
    plots.image(figure, "small")
    assert axes.title.get_fontsize() * 80 / 72 >= 11
    black = np.zeros((4, 4, 3), np.uint8)
    assert size(plots.picture_figure([("one", black)] * 5, columns=5))[0] <= 572


def test_a_page_reads_the_picture_with_its_text_and_a_pdf_the_picture_alone():
    black = np.zeros((4, 4, 3), np.uint8)
    figure = plots.picture_figure([('a "cat" <b>', black)])
    data, _ = DisplayFormatter().format(figure)
    encoded = b64encode(figure.data).decode()
    assert "a &quot;cat&quot; &lt;b&gt;" in data["text/html"]
    assert data["text/html"].endswith(f'" src="data:image/png;base64,{encoded}">')
    assert data["image/png"].replace("\n", "") == encoded


def test_confidences_are_told_in_words_too():
    kinds = {"good data": np.array([0.9, 1.0]), "bad data": np.array([0.5, 0.7])}
    figure = plots.confidence_figure([("made up", kinds), ("real", {"good data": np.array([0.8])})])
    assert figure.alt == (
        "Histograms of confidence. made up: mean confidence 95% on good data, 60% on bad data."
        " real: mean confidence 80% on good data."
    )
    assert size(figure)[0] > 500


def test_pyplot_is_not_imported():
    code = (
        "import sys, numpy, kit; kit.plots.picture_figure([('one', numpy.zeros((4, 4, 3), numpy.uint8))]);"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_made_the_results_is_not_imported():
    rooms = {f"kit.{name}" for name in ("classifier", "diagnosis", "robustness", "validation")}
    code = f"import sys, kit; kit.plots; sys.exit(bool(sys.modules.keys() & {rooms}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def clothes_swept(perturbations, **settings):
    photos = samples.photos("fashion_mnist")[:4]
    return kit.sweep(samples.classifier("fashion_mnist"), photos, perturbations, progress=False, **settings)


def test_a_curve_tells_its_range_and_marks_its_flips():
    sweep = clothes_swept({"noise": (0, 50, 100)}, labels=samples.labels("fashion_mnist")[:4])
    figure = plots.sweep_figure(sweep)
    low, high = sweep.accuracy().min(), sweep.accuracy().max()
    assert figure.alt.startswith(f"Curves over noise for 4 pictures: accuracy from {low:.0%} to {high:.0%};")
    assert figure.alt.endswith(f"{len(sweep.flips)} flips marked.")
    assert size(figure)[0] > 300


def test_absent_values_and_listed_perturbations_are_places_on_a_curve():
    assert plots.sweep_figure(clothes_swept({"jpeg_quality": (None, 50, 5)})).alt.startswith(
        "Curves over jpeg_quality"
    )
    listed = [kit.Perturbation(), kit.Perturbation(noise=50)]
    assert plots.sweep_figure(clothes_swept(listed)).alt.startswith(
        "Curves over 2 perturbations for 4 pictures"
    )


def test_two_axes_are_heat_maps_and_three_are_refused():
    grid = {"brightness": (0.2, 1, 2), "noise": (0, 50)}
    one = plots.sweep_figure(clothes_swept(grid))
    two = plots.sweep_figure(clothes_swept(grid, labels=samples.labels("fashion_mnist")[:4]))
    assert one.alt.startswith("Heat maps over brightness and noise for 4 pictures: mean confidence from")
    assert size(two)[0] > 1.5 * size(one)[0]
    with pytest.raises(ValueError, match="Expected a sweep with at most two axes, received 3"):
        plots.sweep_figure(clothes_swept({**grid, "seed": (0, 1)}))


def test_shares_are_groups_of_bars():
    figure = plots.accuracy_figure(
        {"dark": {"before": 0.2, "AdaBN": 0.85}, "noisy": {"before": 0.1, "AdaBN": 0.7}}
    )
    assert figure.alt == (
        "Bars of the share of pictures answered rightly. dark: before 20%, AdaBN 85%."
        " noisy: before 10%, AdaBN 70%."
    )
    assert size(figure)[0] > 500


def luminance(colour):
    """Relative luminance of WCAG 2.2 of a grey, 0..1, from its level."""
    share = int(colour[1:3], 16) / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def test_figures_have_the_pages_ground_and_words_that_are_read_on_light_and_dark():
    figure = plots.accuracy_figure({"as it is": {"before": 0.9}, "dim": {"before": 0.5}})
    with Image.open(BytesIO(figure.data)) as image:
        assert image.mode == "RGBA"
        assert image.getpixel((0, 0))[3] == 0
        colours = {colour for _, colour in image.getcolors(1 << 20)}
    level = int(plots.DARK[1:3], 16)
    assert (level, level, level, 255) in colours
    words = luminance(plots.DARK) + 0.05
    assert (1 + 0.05) / words >= 4.2  # on white
    assert words / (luminance("#111111") + 0.05) >= 4.2  # the ground of JupyterLab's dark theme


def test_a_dollar_in_a_name_is_one(monkeypatch):
    black = np.zeros((4, 4, 3), np.uint8)
    assert size(plots.picture_figure([("from $5", black), ("$x^2$ to $y", black), (r"a $\frac$ b", black)]))
    figure = plots.blank(2, 2)
    shown = figure.subplots().set_title("$x^2$")
    plots.image(figure, "none")
    assert not shown.get_parse_math()
