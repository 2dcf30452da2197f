"""Where in an image a class is seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log

import numpy as np
from PIL import Image

from kit._arrays import Float32, Pixels
from kit._reporting import Progress, Result, Steps, tag
from kit.classifier import Classifier, check_first
from kit.classifier.classifier import known_preprocessing
from kit.classifier.labels import class_indices
from kit.images import Source
from kit.images.photo import encoded

GRID = 14
"""Places a side at which occlusion covers the image."""
COLOUR = np.array((255, 72, 0), np.float32)
"""RGB of the hottest place, which covers `COVER` of what is below it."""
COVER = 0.65
ABOUT = {
    "class activation": "summed feature maps, weighted for this class",
    "occlusion": "fall of the probability where a grey patch covers the image",
}
"""Where a map comes from, by its method."""
CAUTION = "Hot places speak for the class; they do not say why, nor that the prediction is correct."


@dataclass(frozen=True, eq=False, repr=False)
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

    @property
    def values(self) -> Float32:
        """`cells` enlarged to the model input, bilinearly: float32 (h, w), 0..1."""
        height, width = self.picture.shape[:2]
        image = Image.fromarray(self.cells).resize((width, height), Image.Resampling.BILINEAR)
        return np.clip(np.asarray(image, np.float32), 0, 1)

    @property
    def overlay(self) -> Pixels:
        """`picture` with the map over it: uint8 (h, w, 3)."""
        share = COVER * self.values[..., None]
        return np.asarray(np.rint(self.picture + share * (COLOUR - self.picture)), np.uint8)

    def html(self) -> str:
        """Return the overlay with what it shows."""
        return f"<div>{tag(encoded(self.overlay), repr(self))}</div>{super().html()}"

    def __repr__(self) -> str:
        height, width = self.picture.shape[:2]
        down, right = np.argwhere(self.cells == self.cells.max())[0] / self.cells.shape
        hottest = f"hottest at {100 * right:.0f} % from the left and {100 * down:.0f} % from the top"
        found = hottest if self.cells.any() else "nothing speaks for it"
        return f"Heatmap({self.class_name!r} by {self.method}, {width} x {height}: {found})"


def heatmap(
    classifier: Classifier, photo: Source, label: int | str | None = None, *, progress: Progress = True
) -> Heatmap:
    """Show where in an image a class is seen.

    Class activation mapping (Zhou et al., Learning deep features for discriminative localization, 2016) where
    pooling and one dense layer follow the last feature map of a compiled network; it equals Grad-CAM there.
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
    check_first(classifier, "kit.heatmap(classifier, photo)")
    (index,) = class_indices([label], classifier.class_names, 1)
    tensor = classifier.tensor(photo)
    rows, found = classifier.inside(tensor)
    index = int(rows[0].argmax()) if index is None else index
    cells, method = class_activation(classifier, found, index), "class activation"
    if cells is None:
        steps = Steps(occlusion(classifier, tensor, index), "Covering", " rows", progress, total=GRID)
        cells, method = scaled(np.stack(list(steps))), "occlusion"
    picture = known_preprocessing(classifier).picture(tensor)
    return Heatmap(classifier.class_names[index], method, cells, picture)


def class_activation(classifier: Classifier, feature_map: Float32 | None, index: int) -> Float32 | None:
    """Return the cells of `Heatmap` from a feature map, float32 (1, h, w, channels); None for other heads."""
    weights = classifier.class_weights
    if feature_map is None or weights is None:
        return None
    return scaled((feature_map[0] * weights[index]).sum(axis=-1))


def occlusion(classifier: Classifier, tensor: Float32, index: int) -> Iterator[Float32]:
    """Yield, row by row of a grid, by how much the class falls where a patch of the mean colour covers it.

    In logarithms of the probability: float32 (columns,). A patch is as wide as two places.
    """
    height, width, channels = tensor.shape[1:]
    first = height in {1, 3} and channels not in {1, 3}
    axes, sides = ((2, 3), (width, channels)) if first else ((1, 2), (height, width))
    grey = tensor.mean(axis=axes, keepdims=True)

    def logarithm(covered: Float32) -> float:
        probability = float(classifier.predict_tensors(covered)[0, index])
        return log(max(probability, float(np.finfo(np.float32).tiny)))

    whole = logarithm(tensor)
    spans = [_spans(side) for side in sides]
    for rows in spans[0]:
        fallen = []
        for columns in spans[1]:
            covered = tensor.copy()
            place = (..., rows, columns) if first else (slice(None), rows, columns)
            covered[place] = grey
            fallen.append(whole - logarithm(covered))
        yield np.asarray(fallen, np.float32)


def _spans(side: int) -> list[slice]:
    count = min(GRID, side)
    edges = (np.arange(count)[:, None] + (-0.5, 1.5)) * side / count
    return [slice(*pair) for pair in np.clip(np.rint(edges), 0, side).astype(int).tolist()]


def scaled(cells: Float32) -> Float32:
    """Return what speaks for a class, 0..1 with 1 for the hottest place; nothing for what is no number."""
    cells = np.nan_to_num(np.maximum(cells, 0), posinf=0)
    return np.asarray(cells / (cells.max() or 1), np.float32)
