"""Where in an image a class is seen."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from kit._arrays import Float32, Pixels
from kit._reporting import Progress, Result, Steps, tag
from kit.classifier.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.engines import channels_first
from kit.classifier.intermediate import gradient
from kit.classifier.labels import class_index
from kit.classifier.predictions import Predictor
from kit.images.photo import Source, encoded

GRID = 14
"""Places a side at which occlusion covers the image."""
COLD, HOT = np.array(((10, 20, 110), (255, 240, 0)), np.float32)
"""RGB of the coldest and of the hottest place: of blue and yellow, one stands out from any colour."""
COVER = 0.5
"""Share that they cover of what is below them."""


def _colours(shares: Float32) -> Float32:
    # Of 0..1: (rows, columns) becomes (rows, columns, 3).
    colours: Float32 = COLD + shares[..., None] * (HOT - COLD)
    return colours


@dataclass(frozen=True, eq=False)
class Heatmap(Result):
    """Where in the model input a class is seen.

    Attributes
    ----------
    class_name, method
        The class, and ``"class activation"`` or ``"occlusion"``.
    cells
        float32 (rows, columns), 0..1, 1 for the hottest place; all 0 where nothing speaks for the class.
    picture
        uint8 (h, w, 3): what the model sees.
    """

    class_name: str
    method: str
    cells: Float32
    picture: Pixels
    about = "Hot areas support this class; they do not explain why, nor prove that it is correct."

    @property
    def values(self) -> Float32:
        """`cells` enlarged to the model input, bilinearly: float32 (h, w), 0..1."""
        size = self.picture.shape[1::-1]  # width and height, as Pillow has them
        return np.asarray(
            Image.fromarray(self.cells).resize(size, Image.Resampling.BILINEAR)
        ).clip(0, 1)

    @property
    def overlay(self) -> Pixels:
        """`picture` with the map over it: uint8 (h, w, 3)."""
        colour = _colours(self.values)
        covered = self.picture + COVER * (colour - self.picture)
        return np.asarray(np.rint(covered), np.uint8)

    @property
    def rgba(self) -> Pixels:
        """What is laid over the picture, for each of the cells: uint8 (rows, columns, 4)."""
        colour = _colours(self.cells)
        alpha = np.full(self.cells.shape, 255 * COVER)
        return np.asarray(np.rint(np.dstack([colour, alpha])), np.uint8)

    def html(self) -> str:
        """Return the overlay with what it shows."""
        return f"<div>{tag(encoded(self.overlay), repr(self))}</div>{super().html()}<p>{self.about}</p>"

    def __repr__(self) -> str:
        if not self.cells.any():
            return f"Heatmap({self.class_name!r} by {self.method}: none)"
        # Row and column of the hottest cell, of which 0.5 is the middle.
        middle = np.argwhere(self.cells == 1)[0] + 0.5
        down, right = 100 * middle / self.cells.shape
        return (
            f"Heatmap({self.class_name!r} by {self.method}: "
            f"hottest {right:.0f} % from the left, {down:.0f} % from the top)"
        )


def heatmap(
    classifier: Classifier,
    photo: Source,
    label: int | str | None = None,
    *,
    progress: Progress = True,
) -> Heatmap:
    """Show where in an image a class is seen.

    Grad-CAM (Selvaraju et al., Grad-CAM: visual explanations from deep networks via gradient-based
    localization, 2017) where pooling or flattening and dense layers follow the last feature map of a compiled
    network, for a softmax of the logit less the mean of all logits, since a softmax ignores what they share.
    With one dense layer it is class activation mapping (Zhou et al., Learning deep features for
    discriminative localization, 2016).
    Else occlusion (Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014), which
    takes ``GRID**2`` predictions.

    Parameters
    ----------
    classifier, photo
        With a known preprocessing; a `Photo` or whatever else `kit.load_image` takes.
    label
        Class by name or index; the predicted one by default.
    progress
        True for a bar where it takes over two seconds; or a function that gets each step as a line of text.

    Raises
    ------
    TypeError, ValueError
        No classifier, no such class, or an image that cannot be prepared.
    """
    check_first(classifier)
    index = class_index(label, classifier.class_names)
    tensor = classifier.tensor(photo)
    probabilities, feature_map = classifier.inside(tensor)
    if index is None:
        index = int(probabilities[0].argmax())
    method = "class activation"
    cells = class_activation(classifier, feature_map, index)
    # None without a feature map, or where more than pooling and dense layers follow it.
    if cells is None:
        method = "occlusion"
        maps = occlusion_rows(classifier, tensor, index)
        # Each map has one more row than the one before: the last is whole.
        *_, cells = Steps(maps, "Covering", progress, total=GRID)
    picture = known_preprocessing(classifier).image(tensor)
    return Heatmap(classifier.class_names[index], method, cells, picture)


def class_activation(
    classifier: Classifier, feature_map: Float32 | None, index: int
) -> Float32 | None:
    """Return the cells of a map from the last feature map, (1, h, w, channels); None for other heads."""
    layers = classifier.network.engine_and_dense_layers[1]
    if feature_map is None or not layers:
        return None
    compiled = classifier.network.compiled
    # A softmax ignores what all logits share, so their mean goes; sigmoids are each by themselves.
    weights = np.eye(compiled.class_count)[index]
    if compiled.head != "sigmoid" or compiled.output_count == 1:
        weights -= weights.mean()
    # One output speaks for the second of two classes.
    weights = weights[-compiled.output_count :]
    # How much that output rises with each place, or with each channel where the map is averaged.
    slopes = gradient(layers, feature_map[0], weights)
    return _scaled((feature_map[0] * slopes).sum(axis=-1))


def occlusion_rows(
    predictor: Predictor, tensor: Float32, index: int
) -> Iterator[Float32]:
    """Yield the cells of a map with one more row each time, 0 in those to come.

    A cell is by how much the logarithm of the probability falls where a patch of the mean colour, as wide as
    two cells, covers the tensor.
    """
    covered = tensor.copy()
    # A view with the channels last: what is written to it changes `covered`, which is predicted.
    pixels = np.moveaxis(covered, 1, 3) if channels_first(tensor.shape[1:]) else covered
    original = pixels.copy()
    mean_colour = pixels.mean(axis=(1, 2))
    rows = _patches(pixels.shape[1])
    columns = _patches(pixels.shape[2])
    cells = np.zeros((len(rows), len(columns)), np.float32)

    def log_probability() -> float:
        probability = predictor.predict_tensors(covered)[0, index]
        # A probability of 0 has no logarithm, so the smallest number stands for it.
        return float(np.log(max(probability, np.finfo(np.float32).tiny)))

    uncovered = log_probability()
    for row, down in enumerate(rows):
        for column, across in enumerate(columns):
            pixels[:, down, across] = mean_colour
            cells[row, column] = uncovered - log_probability()
            pixels[:] = original
        yield _scaled(cells)


def _patches(side: int) -> list[slice]:
    count = min(GRID, side)
    # Each is twice as wide as a cell, with the cell in its middle, and ends at the border.
    edges = (np.arange(count)[:, None] + (-0.5, 1.5)) * side / count
    return [slice(*pair) for pair in np.rint(edges.clip(0, side)).astype(int)]


def _scaled(cells: Float32) -> Float32:
    """Return what speaks for a class, 1 for the hottest place; nothing for what is no number."""
    # What speaks against the class, and what is no number, is 0; the hottest is 1, unless all are 0.
    cells = np.nan_to_num(np.maximum(cells, 0), posinf=0)
    return np.asarray(cells / (cells.max() or 1), np.float32)
