"""Photographs: RGB pixels together with what was done to get them, and the ways to name pictures."""

from kit.images.decoding import Decoding
from kit.images.loading import Source, load_image
from kit.images.opening import FORMATS, MAX_PIXELS, PhotoError
from kit.images.photo import Photo
from kit.images.sources import Picture, Pictures, as_photos

__all__ = ["FORMATS", "MAX_PIXELS", "Decoding", "Photo", "PhotoError", "Picture", "Pictures", "Source"]
__all__ += ["as_photos", "load_image"]
