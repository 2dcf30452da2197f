"""Arrays and tensors of odd types and shapes, one after the other, as JSON that says how each is made."""

import json

import numpy as np

from kit.images import as_photos

DOCUMENTED = (ValueError, TypeError, OSError)
DTYPES = (
    "u1",
    "i1",
    "u2",
    ">u2",
    "i4",
    "i8",
    "u8",
    "f2",
    "f4",
    ">f8",
    "c8",
    "?",
    "O",
    "U3",
    "M8[s]",
    "V4",
    "f4,i4",
)
SIDES = (0, 1, 2, 3, 4, 5, 7, 28, 300)


def corpus(count, seed):
    for number in range(count):
        random = np.random.default_rng([seed, number])
        made = [
            {
                "dtype": str(random.choice(DTYPES if random.random() < 0.5 else ("u1", "f4", "i8"))),
                "shape": _shape(random),
                "fill": str(
                    random.choice(
                        ("levels", "levels", "levels", "zeros", "nan", "huge", "negative", "halves")
                    )
                ),
                "way": str(
                    random.choice(
                        ("plain", "plain", "plain", "reversed", "transposed", "broadcast", "masked", "tensor")
                    )
                ),
            }
            for _ in range(int(random.integers(1, 4)))
        ]
        how = str(random.choice(("one", "list", "tuple", "pair", "generator")))
        yield f"{number:06}-{how}", json.dumps({"how": how, "arrays": made}).encode()


def _shape(random):
    """Mostly that of a picture or batch, sometimes any; at most a million values."""
    usual = [[28, 28], [28, 28, 3], [28, 28, 1], [2, 28, 28], [2, 28, 28, 3], [3, 28, 28], [28, 28, 4]]
    if random.random() < 0.6:
        return usual[int(random.integers(len(usual)))]
    shape = [int(side) for side in random.choice(SIDES, int(random.integers(0, 6)))]
    return shape if np.prod(shape) < 1e6 else shape[:2]


class Tensor:
    """As those of TensorFlow and PyTorch: an array behind an interface."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __array__(self, dtype=None, copy=None):
        return self.array

    def __len__(self):
        return len(self.array)


def _made(dtype, shape, fill, way):
    count = int(np.prod(shape))
    values = {
        "levels": lambda: np.arange(count) % 256,
        "zeros": lambda: np.zeros(count),
        "nan": lambda: np.full(count, np.nan),
        "huge": lambda: np.full(count, 1e300),
        "negative": lambda: -np.arange(count),
        "halves": lambda: np.arange(count) / 2,
    }[fill]()
    with np.errstate(all="ignore"):
        try:
            array = values.reshape(shape).astype(dtype)
        except (TypeError, ValueError):
            array = np.zeros(shape, dtype)
    changed = {
        "reversed": lambda: array[::-1] if array.ndim else array,
        "transposed": lambda: array.T,
        "broadcast": lambda: np.broadcast_to(array, (2, *array.shape)),
        "masked": lambda: np.ma.masked_array(array),
        "tensor": lambda: Tensor(array),
    }
    return changed.get(way, lambda: array)()


def open_one(path):
    given = json.loads(path.read_bytes())
    made = [_made(**each) for each in given["arrays"]]
    ways = {"one": made[0], "list": made, "tuple": tuple(made), "pair": (made[0], made[-1])}
    photos = as_photos(ways.get(given["how"], iter(made)))
    assert all(photo.pixels.dtype == np.uint8 and photo.pixels.ndim == 3 for photo in photos)
