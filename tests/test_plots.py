"""Figures are PNG pictures with alternative text, and leave pyplot alone."""

import subprocess
import sys
from io import BytesIO

import numpy as np
from PIL import Image

from kit import plots
from kit.calibration.binning import Bin
from kit.costs import Cost

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


def test_confidences_are_told_in_words_too():
    kinds = {"good data": np.array([0.9, 1.0]), "bad data": np.array([0.5, 0.7])}
    figure = plots.confidence_figure([("made up", kinds), ("real", {"good data": np.array([0.8])})])
    assert figure.alt == (
        "Histograms of confidence. made up: mean confidence 95% on good data, 60% on bad data."
        " real: mean confidence 80% on good data."
    )
    assert size(figure)[0] > 500


def test_reliability_is_told_in_words_too():
    bins = (Bin(0.4, 0.6, 10, 0.5, 0.2, (0.1, 0.5)), Bin(0.8, 1.0, 30, 0.9, 0.8, (0.6, 0.9)))
    figure = plots.reliability_figure([("before", bins), ("after", bins[1:])])
    # 10 x 0.2 and 30 x 0.8 of 40 are right; gaps of 0.3 and 0.1 weigh a quarter and three quarters.
    assert figure.alt == (
        "Reliability diagrams. before: 65% right at a mean confidence of 80% on 40 pictures, calibration"
        " error 0.150. after: 80% right at a mean confidence of 90% on 30 pictures, calibration error 0.100."
    )
    width, height = size(figure)
    assert width > height > 300


def test_pyplot_is_not_imported():
    code = (
        "import sys, numpy, kit; kit.plots.picture_figure([('one', numpy.zeros((4, 4, 3), numpy.uint8))]);"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
