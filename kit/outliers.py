"""Pictures that are no clothes, to try a classifier of Fashion-MNIST on: seeded, all uint8 (N, 28, 28)."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from kit import samples
from kit.checking import known

Pictures = npt.NDArray[np.uint8]

NAMES = ("digits", "noise", "inverted", "textures", "rotated")
"""Names for `outliers`."""

_SIDE = 28
_NOISE = 1000
_CROPS = 25
_SEED = 11


def outliers(name: str, clothes: Pictures | None = None) -> Pictures:
    """Return one set of pictures that a classifier of clothes should take for foreign.

    Parameters
    ----------
    name
        ``"digits"``: the 1,797 handwritten digits of scikit-learn, enlarged from 8 x 8 by the bicubic filter,
        bright on black as the clothes are.
        ``"noise"``: 1,000 pictures of independent uniform values.
        ``"inverted"``: clothes, dark on white.
        ``"textures"``: 25 crops out of each bundled photograph, in grey.
        ``"rotated"``: clothes, turned by 90, 180 and 270 degrees in turn. A bag upside down is still a bag,
        so these cannot all be told.
    clothes
        uint8 (N, 28, 28): what is inverted or rotated; the last 1,000 held-back pictures by default.

    Returns
    -------
    uint8, shape (N, 28, 28)
        A new array, the same on every call.

    Raises
    ------
    TypeError, ValueError
        Another name.
    """
    known("set of outliers", name, NAMES)
    if name == "digits":
        return _digits()
    if name == "noise":
        shape = (_NOISE, _SIDE, _SIDE)
        return np.random.default_rng(_SEED).integers(0, 256, shape, dtype=np.uint8)
    if name == "textures":
        return _textures()
    pictures = samples.fashion_mnist_arrays("test")[0][1000:] if clothes is None else clothes
    if name == "inverted":
        return np.asarray(255 - pictures, np.uint8)
    return np.stack([np.rot90(picture, 1 + number % 3) for number, picture in enumerate(pictures)])


def _digits() -> Pictures:
    from sklearn.datasets import load_digits  # noqa: PLC0415 (slow to import)

    # Values 0 to 16.
    small = np.round(load_digits().images * (255 / 16)).astype(np.uint8)
    size = (_SIDE, _SIDE)
    return np.stack(
        [np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.BICUBIC)) for digit in small]
    )


def _textures() -> Pictures:
    random = np.random.default_rng(_SEED)
    crops = []
    for photo in samples.photos("photographs"):
        grey = np.asarray(Image.fromarray(photo.pixels).convert("L"))
        for _ in range(_CROPS):
            top, left = (int(random.integers(0, side - _SIDE + 1)) for side in grey.shape)
            crops.append(grey[top : top + _SIDE, left : left + _SIDE])
    return np.stack(crops)
