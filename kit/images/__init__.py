"""Photos: RGB pixels together with what was done to get them, and the ways to name images."""

from kit.images.opening import (
    FORMATS as FORMATS,
    MAX_PIXELS as MAX_PIXELS,
    Decoding as Decoding,
    PhotoError as PhotoError,
)
from kit.images.photo import (
    Photo as Photo,
    Picture as Picture,
    Pictures as Pictures,
    Source as Source,
    as_photos as as_photos,
    load_image as load_image,
)
