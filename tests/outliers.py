"""Images that a classifier of clothes should take for foreign, uint8 (N, 28, 28), the same on every call."""

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from kit import samples


def digits():
    """The 1,797 digits of scikit-learn, enlarged from 8 x 8, bright on black as the clothes are."""
    small = np.round(load_digits().images * (255 / 16)).astype(np.uint8)
    return np.stack([Image.fromarray(digit).resize((28, 28)) for digit in small])


def textures():
    """25 crops out of each bundled photo, in grey."""
    random = np.random.default_rng(11)
    crops = []
    for photo in samples.photos("photographs"):
        grey = np.asarray(Image.fromarray(photo.pixels).convert("L"))
        for _ in range(25):
            top, left = random.integers(np.array(grey.shape) - 27)
            crops.append(grey[top : top + 28, left : left + 28])
    return np.stack(crops)


def outliers(name):
    """Those of one function above, by its name."""
    return globals()[name]()
