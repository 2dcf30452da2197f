"""A person's own code: a function, called and read as a pipeline, or the tensors that it made."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from math import inf
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import uniform_filter

from kit._arrays import Array, Float64
from kit.images import Photo
from kit.preprocessing.calling import (
    ARRAYS,
    TENSOR,
    Called,
    Function,
    call,
    image_of,
    numpy_of,
    tensor_shape,
    unusable,
)
from kit.preprocessing.colours import SAME_LEVELS
from kit.preprocessing.comparison import (
    Comparison,
    Difference,
    Effect,
    StepDifference,
    differences_with_effects,
)
from kit.preprocessing.matching import (
    AVERAGED_PIXELS,
    DECODER_LEVELS,
    Probe,
    Reading,
    few_values,
    levels_apart,
    match,
)
from kit.preprocessing.pipeline import PIPELINE, Pipeline, run
from kit.preprocessing.scaling import LARGEST

Code = Function | ArrayLike
"""A person's own function, or the tensors that other code made."""

PHOTOS_READ = 4
"""From which a function is read, the least square first; all are compared."""
REPEATS = 12
"""Calls that tell a random function."""
SAME_CONTRAST = 0.02
"""Share of its values to which a result stays the same at half the contrast, where each image is scaled."""
DETAIL_SHARE = 1 / 3
"""Of a difference of fine detail that is left at most."""
_DETAIL = (
    "of fine detail alone, as after a blur, sharpening, a smaller size first, strong compression or"
    " a crop a pixel off"
)
_PIXELS = (
    "the function starts from decoded pixels, so decoding is not compared;"
    " give one that takes a path and reads the file itself"
)


def read(expected: Pipeline, code: Code, photos: Sequence[Photo]) -> Reading:
    """Find the pipeline that does what other code does with photos, as near as may be to the one expected.

    Tensors are one, or one for each photo, else a ValueError is raised.
    """
    # A function runs with the Pillow that is installed, whatever the pipeline expects.
    expected = expected.replace(pillow=0)
    called = (_called if callable(code) else _tensors)(expected, code, photos)
    samples = [
        Probe(photo, image_of(outcome.tensor, expected))
        for photo, outcome in zip(photos, called, strict=True)
        if outcome.tensor is not None
    ]
    if not samples:
        return Reading(expected, inf, called=called)
    way = max(outcome.way for outcome in called)
    samples.sort(key=lambda probe: min(probe.photo.size) / max(probe.photo.size))
    reading = _read(expected, code, way, samples[:PHOTOS_READ])
    if not reading.unexplained:
        reading = replace(reading, levels=levels_apart(reading.pipeline, samples))
    return replace(reading, called=called)


def _called(
    expected: Pipeline, function: Any, photos: Sequence[Photo]
) -> tuple[Called, ...]:
    called: list[Called] = []
    for photo in photos:
        way = called[0].way if called else ""
        called.append(call(function, photo, way, expected))
    return tuple(called)


def _tensors(
    expected: Pipeline, code: Any, photos: Sequence[Photo]
) -> tuple[Called, ...]:
    is_one = len(photos) == 1 and not isinstance(code, list | tuple)
    tensors = [code] if is_one else [*code]
    if len(tensors) != len(photos):
        expectation = f"a tensor for each of {len(photos)} images"
        raise ValueError(f"Expected {expectation}, received {len(tensors)}")
    pairs = zip(photos, tensors, strict=True)
    return tuple(_as_called(expected, photo, tensor) for photo, tensor in pairs)


def _as_called(expected: Pipeline, photo: Photo, tensor: Any) -> Called:
    """Return a tensor as if it was returned; a buffer without sides has those that the network takes."""
    array = numpy_of(tensor)
    shape = tensor_shape(expected, photo)
    count = int(np.prod(shape))
    size, remainder = divmod(array.nbytes, count)
    if array.dtype.kind in "buif" and not remainder and size in {2, 4, 8}:
        # Bytes, or halves of them, that were read as another type.
        is_other = array.size != count or array.dtype == np.uint16
        array = np.ravel(array).view(f"f{size}") if is_other else array
    if array.size == max(array.shape, default=0) == count:
        array = array.reshape(shape)
    problem = unusable(array)
    swapped = array.byteswap()
    if array.dtype.kind == "f" and not _is_sane(array) and _is_sane(swapped):
        problem = "values with their bytes in the reverse order, big-endian"
    if problem:
        return Called(None, f"returned {problem}", TENSOR)
    return Called(array, way=TENSOR)


def _is_sane(array: Array) -> bool:
    """Whether numbers can be those of an image."""
    return bool(1 / LARGEST < np.abs(array).max(initial=0) < LARGEST)


def _is_detail(difference: Float64) -> bool:
    """Whether hardly anything is left of a difference where it is averaged."""
    smooth = uniform_filter(difference, AVERAGED_PIXELS)
    return float(np.std(smooth)) <= DETAIL_SHARE * float(np.std(difference))


def same_levels(way: str) -> float:
    """Return how far apart two images are that are the same, where a function was called in this way."""
    return SAME_LEVELS if way in ARRAYS else DECODER_LEVELS


def _read(
    expected: Pipeline, code: Code, way: str, samples: Sequence[Probe]
) -> Reading:
    """Read the tensors of photos and, of a function, what it makes of a dark photo and of the same again."""
    shape = samples[0].result.shape
    alike = [sample for sample in samples if sample.result.shape == shape]
    unexplained: dict[str, str] = {}
    if callable(code):
        unexplained = _unsteady(expected, code, way, samples)
        if not unexplained:
            unexplained = _relative(expected, code, way, samples[0])
    if few := few_values(expected, samples[0]):
        words = "cast: none here, to whole numbers after scaling or by a threshold"
        unexplained = {"cast": f"{words} there; {few}"}
    if unexplained:
        return Reading(expected, unexplained=unexplained)
    return match(expected, alike, decoded=way in ARRAYS)


def _relative(
    expected: Pipeline, function: Function, way: str, sample: Probe
) -> dict[str, str]:
    """Say that a function scales each image by its own values, if half the contrast alone changes nothing."""
    dark = sample.photo.pixels // 2
    is_same = []
    for pixels in (dark, dark[::-1]):
        again = call(function, Photo(pixels.copy()), way, expected)
        is_same.append(
            again.tensor is not None
            and _close(image_of(again.tensor, expected), sample.result, SAME_CONTRAST)
        )
    words = "the same for all images here, by the values of each image there"
    return {"scaling": f"scaling: {words}"} if is_same == [True, False] else {}


def _unsteady(
    expected: Pipeline, function: Function, way: str, samples: Sequence[Probe]
) -> dict[str, str]:
    """Call a function again, last of all, since it may fail from some call on."""
    for sample in islice(cycle(samples), REPEATS):
        again = call(function, sample.photo, way, expected)
        if again.tensor is None:
            return {"function": f"code: {again.problem} when it was called again"}
        if not _close(image_of(again.tensor, expected), sample.result, share=1e-3):
            words = "is random, two calls on one image return different tensors"
            return {"function": f"code: {words}"}
    return {}


def _close(first: Float64, second: Float64, share: float) -> bool:
    """Whether two images agree to a share of the range of the second."""
    return first.shape == second.shape and np.allclose(
        first, second, atol=share * np.ptp(second)
    )


def compared(
    expected: Pipeline, reading: Reading, called: Called, photo: Photo, effect: Effect
) -> Comparison:
    """Compare a preprocessing with what a function made of a photo that is decoded as the preprocessing does.

    `effect` orders the differences, each tried by itself on the tensor of the preprocessing.
    """
    if called.tensor is None:
        problem = Difference("function", f"code: {called.problem}", effect=1.0)
        return Comparison.on([problem], first_step="function", photo=photo.name)
    sample = Probe(photo, image_of(called.tensor, expected))
    tensor = run(PIPELINE, expected, photo)[0]
    step = StepDifference.of(
        "tensor", tensor, sample.result.astype(called.tensor.dtype)
    )
    causes: list[Difference] = []
    notes = [
        _PIXELS
        if called.way in ARRAYS
        else "your code decoded the file itself, so decoding is compared"
    ]
    if step.differs or "function" in reading.unexplained:
        causes = _causes(expected, reading, sample, effect)
        if called.way in ARRAYS and any(cause.step == "channels" for cause in causes):
            notes.append(f"it was given {called.way}; a camera's order is unknown")
        if reading.exact:
            rebuilds = "what is listed above" if causes else "this preprocessing"
            levels = levels_apart(reading.pipeline, [sample])
            remainder = f"{levels:.2f} levels (root mean square)"
            notes.append(f"{rebuilds} reproduces the result to within {remainder}")
    return Comparison.on(
        causes,
        first_step=causes[0].step if causes else None,
        steps=(step,),
        photo=photo.name,
        notes=tuple(notes),
    )


def _causes(
    expected: Pipeline, reading: Reading, sample: Probe, effect: Effect
) -> list[Difference]:
    """Return the steps that differ on one photo, and what they leave unexplained."""
    photo, result = sample
    tensor = run(PIPELINE, expected, photo)[0]
    causes = [*differences_with_effects(expected, reading.pipeline, photo, effect)]
    for step, words in reading.unexplained.items():
        causes.append(Difference(step, words, effect(tensor, result)))
    levels = levels_apart(reading.pipeline, [sample])
    way = max(called.way for called in reading.called)
    if levels > same_levels(way) and not reading.unexplained:
        remainder = f"{levels:.2f} levels (root mean square)" if levels < inf else "all"
        nearest = run(PIPELINE, reading.pipeline, photo)[0]
        doing = "so something else happens there, too"
        if levels < inf and _is_detail(nearest - result):
            doing = _DETAIL
        words = f"values: {remainder} are unexplained, {doing}"
        # A step that is named explains more than what is left.
        effects = [effect(nearest, result)]
        effects += [cause.effect for cause in causes]
        causes.append(Difference("tensor", words, min(effects)))
    return causes
