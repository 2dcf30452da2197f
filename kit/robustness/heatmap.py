"""Where in an image a class is seen."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

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
METHODS = {
    "class activation": "how much each place adds to this class",
    "occlusion": "how much this class loses when a grey patch covers the place",
}


@dataclass(frozen=True, eq=False, repr=False)
class Heatmap(Result):
    """Where in the model input a class is seen.

    Attributes
    ----------
    class_name, method
        The class, and one of `METHODS`.
    cells
        float32 (rows, columns), 0..1, 1 for the hottest place; all 0 where nothing speaks for the class.
    picture
        uint8 (h, w, 3): what the model sees.
    missing
        Rows that are still to be measured.
    """

    class_name: str
    method: str
    cells: Float32
    picture: Pixels
    missing: int = 0

    @classmethod
    def of(
        cls,
        classifier: Classifier,
        index: int,
        inside: Float32 | None,
        occluded: Sequence[Float32],
        picture: Pixels,
    ) -> Self:
        """Make one of the last feature map (1, h, w, channels), else of rows of `occlusion`."""
        name, weights = classifier.class_names[index], classifier.class_weights
        if inside is not None and weights is not None:
            return cls(name, "class activation", _scaled((inside[0] * weights[index]).sum(axis=-1)), picture)
        height, width = (min(GRID, side) for side in picture.shape[:2])
        cells = np.zeros((height, width), np.float32)
        cells[: len(occluded)] = occluded or 0
        return cls(name, "occlusion", _scaled(cells), picture, height - len(occluded))

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
        return np.rint(self.picture + share * (COLOUR - self.picture)).astype(np.uint8)

    @property
    def rgba(self) -> Pixels:
        """What is laid over the picture, for each of the cells: uint8 (rows, columns, 4)."""
        shares = np.rint(255 * COVER * self.cells).astype(np.uint8)
        return np.dstack([np.broadcast_to(COLOUR.astype(np.uint8), (*shares.shape, 3)), shares])

    @property
    def about(self) -> str:
        """What the map says and does not say."""
        return (
            f"The map shows {METHODS[self.method]}. It does not say why, nor that the prediction is correct."
        )

    def _report(self) -> Iterable[str]:
        yield from (repr(self), self.about)

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
    rows, inside = classifier.inside(tensor)
    index = int(rows[0].argmax()) if index is None else index
    picture = known_preprocessing(classifier).picture(tensor)
    found = Heatmap.of(classifier, index, inside, (), picture)
    if found.missing:
        measured = occlusion(classifier, tensor, index)
        rows_of = Steps(measured, "Covering", " rows", progress, total=found.missing)
        found = Heatmap.of(classifier, index, inside, list(rows_of), picture)
    return found


def occlusion(classifier: Classifier, tensor: Float32, index: int) -> Iterator[Float32]:
    """Yield, row by row of a grid, by how much the class falls where a patch of the mean colour covers it.

    In logarithms of the probability: float32 (columns,). A patch is as wide as two places.
    """
    covered = tensor.copy()
    first = tensor.shape[1] in {1, 3} and tensor.shape[3] not in {1, 3}
    pixels = np.moveaxis(covered, 1, 3) if first else covered
    plain, grey = pixels.copy(), pixels.mean(axis=(1, 2))
    whole = classifier.predict_tensors(covered)
    for rows in _spans(pixels.shape[1]):
        found = []
        for columns in _spans(pixels.shape[2]):
            pixels[:, rows, columns] = grey
            found.append(classifier.predict_tensors(covered))
            pixels[:] = plain
        least = np.finfo(np.float32).tiny
        before, after = (np.log(np.maximum(each[..., index], least)) for each in (whole, np.stack(found)))
        yield (before - after)[:, 0]


def _spans(side: int) -> list[slice]:
    count = min(GRID, side)
    edges = (np.arange(count)[:, None] + (-0.5, 1.5)) * side / count
    return [slice(*pair) for pair in np.clip(np.rint(edges), 0, side).astype(int).tolist()]


def _scaled(cells: Float32) -> Float32:
    """Return what speaks for a class, 0..1 with 1 for the hottest place; nothing for what is no number."""
    cells = np.nan_to_num(np.maximum(cells, 0), posinf=0)
    return np.asarray(cells / (cells.max() or 1), np.float32)
