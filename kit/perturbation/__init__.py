"""What can happen to an image between the scene and the file, as a frozen value with a seed.

The order is that of a camera: scene and weather, lens, light, sensor, file.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from inspect import signature
from typing import Any, ClassVar, Self

from kit._checking import guiding, known, whole
from kit._reporting import changed
from kit.images.opening import Decoding
from kit.images.photo import Photo, Pictures, Source, as_photos, load_image
from kit.perturbation import parameters
from kit.perturbation.parameters import PARAMETERS, Parameter
from kit.perturbation.physics import noise_field, uniform

__all__ = ["PARAMETERS", "Parameter", "Perturbation", "noise_field"]
_signature = cache(signature)


@guiding
@dataclass(frozen=True)
class Perturbation:
    """A perturbation of 8-bit pixels, before any preprocessing.

    Parameters
    ----------
    brightness
        Factor 0..3, bit for bit `PIL.ImageEnhance.Brightness`. 1 changes nothing.
    noise
        Standard deviation 0..100 of Gaussian noise in 8-bit levels, independent for each value, clipped.
    seed
        Chooses the noise field; not negative. One seed scales one field, so a slider moves smoothly and
        sliding back gives the same image.
    contrast
        Factor 0..3, bit for bit `PIL.ImageEnhance.Contrast`.
    blur
        Radius (standard deviation) 0..10 in pixels of `PIL.ImageFilter.GaussianBlur`.
    jpeg_quality
        Quality 1..100 of a JPEG file in between, with Pillow's default subsampling (4:2:0); ``None`` for
        no such file.
    rotation
        Degrees -180..180, anticlockwise, bilinear, same size, corners filled with black.
    flip_horizontal, flip_vertical
        Whether left and right, top and bottom are swapped.
    elastic
        Standard deviation 0..10 in pixels of a smooth random displacement.
    occlusion, occlusion_x, occlusion_y
        Share 0..1 of the area that a grey rectangle hides, and where it is, 0..1 from the left and the top.
    fog, snow, frost
        Severity 0..5 as in ImageNet-C, with its constants for 1 to 5 and interpolated ones in between, for
        any size of the image. Frost is drawn, where ImageNet-C lays photos of it over the image.
    glass_blur
        Standard deviation 0..12 in pixels of a random displacement of every pixel, between two slight blurs.
    defocus_blur
        Radius 0..30 in pixels of the disc of a lens out of focus.
    zoom_blur
        How far 0..50 in percent the lens is zoomed in during the exposure.
    motion_blur, motion_angle
        Length 0..100 in pixels of the way that the camera moves, and its angle -90..90 in degrees,
        anticlockwise from the horizontal.
    lift
        Levels -128..128 that are added to the value of hue, saturation and value: ImageNet-C's brightness.
    fade
        Share 0..1 by which every channel is drawn towards its own mean: ImageNet-C's contrast.
    shot_noise
        Standard deviation 0..150 in 8-bit levels of Poisson noise at white: ``(255 / shot_noise) ** 2``
        photons.
    impulse_noise
        Share 0..1 of all values that turn into 0 or 255.
    white_balance
        Stops -1..1: red times ``2 ** white_balance``, blue divided by it.
    downscale
        Factor 1..16 by which the image is reduced before it is enlarged again, bicubic.
    pixelate
        Side 1..32 in pixels of the blocks that are averaged.

    Raises
    ------
    TypeError, ValueError
        Not a number (a bool is none, but for a flip); outside these bounds or not finite.
    """

    brightness: float = 1.0
    noise: float = 0.0
    seed: int = 0
    contrast: float = 1.0
    blur: float = 0.0
    jpeg_quality: int | None = None
    rotation: float = 0.0
    flip_horizontal: bool = False
    flip_vertical: bool = False
    elastic: float = 0.0
    occlusion: float = 0.0
    occlusion_x: float = 0.5
    occlusion_y: float = 0.5
    fog: float = 0.0
    snow: float = 0.0
    frost: float = 0.0
    glass_blur: float = 0.0
    defocus_blur: float = 0.0
    zoom_blur: float = 0.0
    motion_blur: float = 0.0
    motion_angle: float = 0.0
    lift: float = 0.0
    fade: float = 0.0
    shot_noise: float = 0.0
    impulse_noise: float = 0.0
    white_balance: float = 0.0
    downscale: float = 1.0
    pixelate: float = 1.0

    CORRUPTIONS: ClassVar[tuple[str, ...]] = tuple(parameters.CORRUPTIONS)
    """Names of the fifteen common corruptions of ImageNet-C, for `corruption`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", whole("seed", self.seed, 0, None))
        for name, parameter in PARAMETERS.items():
            object.__setattr__(self, name, parameter.checked(getattr(self, name)))

    @classmethod
    def corruption(cls, name: str, severity: int, *, seed: int = 0) -> Self:
        """Make one of the fifteen common corruptions of ImageNet-C.

        Parameters
        ----------
        name
            One of `CORRUPTIONS`, such as ``"fog"`` or ``"gaussian_noise"``.
        severity
            1 (least) to 5. Constants are those of Hendrycks and Dietterich (2019), arXiv 1903.12261; lengths
            are meant for images of 224 pixels.
        seed
            Chooses noise, clouds, flakes and the angle of motion blur within -45..45 degrees.

        Raises
        ------
        TypeError, ValueError
            Another name (the message names the nearest), severity or seed.
        """
        known("corruption", name, cls.CORRUPTIONS)
        parameter, values = parameters.CORRUPTIONS[name]
        value = values[whole("severity", severity, 1, 5) - 1]
        settings: dict[str, Any] = {parameter: value, "seed": seed}
        if name == "motion_blur":
            settings["motion_angle"] = float(round(uniform(seed, "motion", -45, 45)))
        return cls(**settings)

    def apply(self, photo: Source) -> Photo:
        """Return a new photo of the same size; the photo itself where nothing changes.

        Takes what `kit.load_image` takes. OSError for an image too long for JPEG.
        """
        photo = load_image(photo)
        pixels = untouched = photo.pixels
        for name, parameter in PARAMETERS.items():
            function = parameter.function
            value = getattr(self, name)
            if function is not None and value != parameter.neutral:
                _, _, *names = _signature(function).parameters
                settings = {name: getattr(self, name) for name in names}
                pixels = function(pixels, value, **settings)
        if pixels is untouched:
            return photo
        pixels.flags.writeable = False
        remake = None if photo.remake is None else partial(_remake, photo.remake, self)
        notes = *photo.notes, f"perturbed: {changed(self)}"
        return Photo(pixels, photo.name, photo.decoding, notes, remake)

    def apply_to_all(self, photos: Pictures) -> tuple[Photo, ...]:
        """Perturb photos, each with noise of its own: the first with this seed, the next with one more."""
        return tuple(
            replace(self, seed=seed).apply(photo)
            for seed, photo in enumerate(as_photos(photos), start=self.seed)
        )

    def __repr__(self) -> str:
        return f"Perturbation({changed(self)})"


def _remake(
    remake: Callable[[Decoding], Photo], perturbation: Perturbation, decoding: Decoding
) -> Photo:
    return perturbation.apply(remake(decoding))
