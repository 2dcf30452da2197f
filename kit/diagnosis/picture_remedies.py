"""What to do about a property of a picture: advice, code to try, and pictures from which it is taken out.

Those are for asking the network, and each of them several: one picture more sharply than another, mirrored or
smaller, since an answer that hangs on such things is none. Each function takes uint8 pixels (H, W, 3) and
the amount.
"""

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from kit._arrays import Pixels
from kit.images import Photo
from kit.images.levels import relevelled
from kit.images.measuring import bright_level
from kit.robustness.restoring import without_blocks, without_blur, without_noise

_TRAINING = "or add such pictures to the training pictures."
ADVICE = {
    "dark": f"Brighten the pictures, {_TRAINING}",
    "bright": f"Expose less, since what is cut off at white stays lost, {_TRAINING}",
    "low_contrast": f"Spread the levels, {_TRAINING}",
    "noisy": f"Remove the noise, {_TRAINING}",
    "blurred": f"Sharpen, or focus better, since detail that is lost stays lost, {_TRAINING}",
    "jpeg": f"Save with a higher quality, {_TRAINING}",
    "grayscale": f"Use the colour originals, {_TRAINING}",
}
"""By the name of the property."""

_DIMMED = 0.65
_CODE = """\
from kit.images import as_photos
from kit.robustness import relevelled, restored
better = [{} for photo in as_photos(photos)]
for row in classifier.probabilities(better):
    print(classifier.top(row, 3))"""


def code(parameter: str, amount: float) -> str:
    """Return lines that take an amount of a perturbation out of ``photos`` and ask ``classifier`` again."""
    light = parameter in {"brightness", "contrast"}
    return _CODE.format(
        "relevelled(photo, (31, 204))" if light else f"restored(photo, {parameter}={amount:.3g})"
    )


def brightened(pixels: Pixels, _amount: float) -> list[Pixels]:
    """Bring the light of a dark picture back."""
    bright = max(bright_level(pixels), 1.0)
    return [_times(pixels, 204 / bright), _times(pixels, 160 / bright), _spread(pixels, 31, 204)]


def contrasted(pixels: Pixels, _amount: float) -> list[Pixels]:
    """Spread the levels."""
    return [_spread(pixels, *levels) for levels in ((31, 204), (31, 170), (60, 190))]


def darkened(pixels: Pixels, _amount: float) -> list[Pixels]:
    """Take light from a picture that is too bright, and even its levels out."""
    equalized = np.asarray(ImageOps.equalize(Image.fromarray(pixels)))
    dimmed = _times(pixels, _DIMMED)
    return [_times(equalized, _DIMMED), dimmed[:, ::-1], _shrunk(dimmed)]


def cleaned(pixels: Pixels, amount: float) -> list[Pixels]:
    """Remove noise."""
    # To a network, detail that goes does more harm than noise that stays.
    less, more = (without_noise(pixels, share * amount) for share in (0.4, 0.7))
    return [less, more[:, ::-1], _shrunk(more)]


def deblurred(pixels: Pixels, amount: float) -> list[Pixels]:
    """Sharpen, by two filters."""
    masked = ImageFilter.UnsharpMask(radius=3, percent=200, threshold=0)
    twice = np.asarray(Image.fromarray(pixels).filter(masked).filter(masked))
    return [twice, without_blur(pixels, amount), _shrunk(without_blur(pixels, 0.8 * amount))]


def smoothed(pixels: Pixels, amount: float) -> list[Pixels]:
    """Smooth the blocks of JPEG, or show them elsewhere."""
    return [without_blocks(pixels, amount)[:, ::-1], pixels[:, ::-1], _shrunk(pixels)]


def _spread(pixels: Pixels, dark: float, bright: float) -> Pixels:
    return relevelled(Photo(pixels), (dark, bright)).pixels


def _times(pixels: Pixels, factor: float) -> Pixels:
    result: Pixels = np.clip(np.rint(np.arange(256) * factor), 0, 255).astype(np.uint8)[pixels]
    return result


def _shrunk(pixels: Pixels) -> Pixels:
    """Show a picture at 0.7 of its size amid its mirror images: what is left of noise and blur shrinks."""
    height, width = pixels.shape[:2]
    tall, wide = (max(1, round(0.7 * side)) for side in (height, width))
    small = Image.fromarray(pixels).resize((wide, tall), Image.Resampling.BICUBIC)
    top, left = (height - tall) // 2, (width - wide) // 2
    edges = ((top, height - tall - top), (left, width - wide - left), (0, 0))
    return np.pad(np.asarray(small), edges, "symmetric")
