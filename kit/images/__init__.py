"""Photos: RGB pixels together with what was done to get them, and the ways to name images."""

from kit.images.opening import FORMATS, MAX_PIXELS, Decoding, PhotoError
from kit.images.photo import Photo, Picture, Pictures, Source, as_photos, load_image

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "Decoding",
    "Photo",
    "PhotoError",
    "Picture",
    "Pictures",
    "Source",
]
__all__ += ["as_photos", "load_image"]
