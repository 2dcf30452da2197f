"""Golden pictures in a classifier's file: what each step makes of them, and what is answered."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from PIL import Image

from kit._arrays import Float32
from kit._checking import first_line
from kit.images import Photo, load_image
from kit.images.photo import encoded
from kit.perturbation import Perturbation
from kit.preprocessing import Preprocessing
from kit.preprocessing.trace import Trace

MOST, SIDE = 3, 96
"""So many pictures at most, and their longest side in pixels."""
# As PNG in base64, which is hardly larger than the pixels.
_MOST_TEXT = 8 * SIDE**2


class Answering(Protocol):
    """What is asked: a classifier."""

    preprocessing: Preprocessing | None

    def probabilities(self, photos: Photo) -> Float32:
        """Return float32 (1, classes)."""


@dataclass(frozen=True, eq=False)
class Golden:
    """One picture with what is made of it.

    Attributes
    ----------
    photo
        The picture.
    trace
        What each step left behind.
    probabilities
        float32, (classes,).
    """

    photo: Photo
    trace: Trace
    probabilities: Float32

    @classmethod
    def of(cls, classifier: Answering, photo: Photo) -> Self:
        """Take a picture, made small, through a classifier."""
        if classifier.preprocessing is None:
            raise ValueError("Expected a classifier with a known preprocessing for golden pictures")
        small = Photo(_small(photo), photo.name)
        trace = Trace.of(small, Perturbation(), classifier.preprocessing)
        return cls(small, trace, classifier.probabilities(small)[0])

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        row = np.ascontiguousarray(self.probabilities, "<f4").tobytes()
        picture, answer = (base64.b64encode(data).decode() for data in (encoded(self.photo.pixels), row))
        trace = self.trace.to_list()
        return {"name": self.photo.name, "picture": picture, "probabilities": answer, "trace": trace}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return what `to_dict` wrote."""
        picture = data["picture"] if len(data["picture"]) <= _MOST_TEXT else ""  # never unpacked
        photo = load_image(base64.b64decode(picture, validate=True), name=str(data["name"]))
        if max(photo.pixels.shape) > SIDE:
            raise ValueError(f"a picture of {photo.pixels.shape}")
        row = np.frombuffer(base64.b64decode(data["probabilities"], validate=True), "<f4")
        return cls(photo, Trace.from_list(data["trace"]), row)


def golden_of(classifier: Answering, photos: Sequence[Photo]) -> bytes:
    """Return the member of a file for golden pictures.

    Raises
    ------
    ValueError
        More than `MOST`, or no preprocessing is known.
    """
    if len(photos) > MOST:
        raise ValueError(f"Expected at most {MOST} golden pictures, received {len(photos)}")
    return json.dumps([Golden.of(classifier, photo).to_dict() for photo in photos]).encode()


def golden_in(data: bytes | None) -> tuple[Golden, ...]:
    """Return the golden pictures of a member of a file; empty where there is none.

    Raises
    ------
    ValueError
        They are not what `golden_of` wrote.
    """
    if data is None:
        return ()
    try:
        return tuple(Golden.from_dict(each) for each in json.loads(data)[:MOST])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"Expected golden pictures in the file, received something else ({first_line(error)})"
        ) from error


def _small(photo: Photo) -> Any:
    image = Image.fromarray(photo.pixels)
    image.thumbnail((SIDE, SIDE))
    return np.asarray(image)
