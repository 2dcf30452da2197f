"""Pictures of 49 megapixels, of every format and mode: how much memory one takes."""

import io

import numpy as np
from PIL import Image

from tests.hostile import pictures

DOCUMENTED = pictures.DOCUMENTED
open_one = pictures.open_one
SIDE = 7000


def corpus(count, seed):
    random = np.random.default_rng(seed)
    grey = np.kron(random.integers(0, 256, (70, 70), dtype=np.uint8), np.ones((100, 100), np.uint8))
    whole = Image.fromarray(grey)
    makers = {
        "float.tif": lambda: (Image.fromarray(grey / np.float32(255)), "TIFF", {}),
        "float-lzw.tif": lambda: (
            Image.fromarray(grey / np.float32(255)),
            "TIFF",
            {"compression": "tiff_lzw"},
        ),
        "integer.tif": lambda: (Image.fromarray(grey.astype(np.int32)), "TIFF", {}),
        "sixteen.png": lambda: (Image.fromarray(grey.astype(np.uint16) * 257), "PNG", {"compress_level": 1}),
        "alpha.png": lambda: (Image.merge("LA", (whole, whole)), "PNG", {"compress_level": 1}),
        "alpha.tif": lambda: (Image.merge("RGBA", (whole,) * 4), "TIFF", {}),
        "alpha.webp": lambda: (Image.merge("RGBA", (whole,) * 4), "WEBP", {"quality": 20, "method": 0}),
        "cmyk.jpg": lambda: (Image.merge("CMYK", (whole,) * 4), "JPEG", {}),
        "progressive.jpg": lambda: (Image.merge("RGB", (whole,) * 3), "JPEG", {"progressive": True}),
        "palette.gif": lambda: (whole.convert("P"), "GIF", {}),
        "bits.bmp": lambda: (whole.convert("RGB"), "BMP", {}),
    }
    for number, (name, make) in enumerate(list(makers.items())[:count]):
        image, kind, options = make()
        file = io.BytesIO()
        image.save(file, kind, **options)
        yield f"{number:06}-{name}", file.getvalue()
