"""A person's own code: a function, called and read as a pipeline, or the tensors that it made."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kit._arrays import Array, Float64, Pixels
from kit.images import Photo
from kit.preprocessing.calling import (
    ARRAYS,
    TENSOR,
    Called,
    Function,
    as_array,
    call,
    image_of,
    tensor_shape,
    unusable,
)
from kit.preprocessing.comparison import (
    Comparison,
    Difference,
    Effect,
    StepDifference,
    differences_with_effects,
)
from kit.preprocessing.matching import (
    DECODER_LEVELS,
    SAME_LEVELS,
    Reading,
    Sample,
    cast_words,
    few_values,
    levels_apart,
    match,
    samples_of,
)
from kit.preprocessing.pipeline import PIPELINE, Pipeline, run
from kit.preprocessing.resizing import sides

Code = Function | ArrayLike
"""A person's own function, or the tensors that other code made."""

CURVE_LEVELS = 5.0
"""By which grey is off the line from black to white, from which on it is a curve."""
PHOTOS_READ = 4
"""From which a function is read, the least square first; all are compared."""
REPEATS = 12
"""Calls that tell a random function."""
SAME_CONTRAST = 0.02
"""Share of its values to which a result stays the same at half the contrast, where each image is scaled."""
LARGEST_VALUE = 1e7
"""Of a tensor that is stored in this machine's order of bytes."""

_BYTES = "as a ByteBuffer of Java has it without order(ByteOrder.nativeOrder())"
_RESIZING = ("size", "filter", "fit", "crop_fraction", "fill")
_PIXELS = (
    "the function starts from decoded pixels, so decoding is not compared;"
    " give one that takes a path and reads the file itself"
)


def read(expected: Pipeline, code: Code, photos: Sequence[Photo]) -> Reading:
    """Find the pipeline that does what other code does with photos, as near as may be to the one expected.

    What a function makes of black, grey and white says how it scales; the photos say the rest, and all of it
    where tensors are given: one, or one for each photo, else a ValueError is raised.
    """
    # A function runs with the Pillow that is installed, whatever the pipeline expects.
    expected = expected.replace(pillow=0)
    called = (_called if callable(code) else _tensors)(expected, code, photos)
    samples = samples_of(expected, called, photos)
    if not samples:
        return Reading(expected, inf, called=called)
    way = max(outcome.way for outcome in called)
    reading = (
        _read(expected, code, way, samples)
        if callable(code)
        else _read_tensors(expected, samples)
    )
    if not reading.unexplained:
        worst = max(levels_apart(reading.pipeline, [sample]) for sample in samples)
        if worst > same_levels(way):
            reading = replace(reading, levels=max(reading.levels, worst))
    return replace(reading, called=called)


def _tensors(
    expected: Pipeline, code: Any, photos: Sequence[Photo]
) -> tuple[Called, ...]:
    tensors = [code] if len(photos) == 1 else [*code]
    if len(tensors) != len(photos):
        expectation = f"a tensor for each of {len(photos)} images"
        raise ValueError(f"Expected {expectation}, received {len(tensors)}")
    pairs = zip(photos, tensors, strict=True)
    return tuple(_usable(expected, photo, tensor) for photo, tensor in pairs)


def _usable(expected: Pipeline, photo: Photo, tensor: Any) -> Called:
    """Return a tensor as if it was returned; a buffer without sides has those that the network takes."""
    array = as_array(tensor)
    shape = tensor_shape(expected, photo)
    if array.size == max(array.shape, default=0) == np.prod(shape):
        array = array.reshape(shape)
    problem = unusable(array).partition(";")[0].replace("returned", "has")
    if array.dtype.kind == "f" and _is_large(array) and not _is_large(array.byteswap()):
        problem = f"has its bytes in another order, {_BYTES}"
    if problem:
        return Called(None, f"cannot be read: {problem}", TENSOR)
    return Called(array, way=TENSOR)


def _is_large(array: Array) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return not np.abs(array).max(initial=0) < LARGEST_VALUE


def _read_tensors(expected: Pipeline, samples: list[Sample]) -> Reading:
    values = samples[0].result
    if not np.ptp(values):
        words = "content: nothing tried explains it, all values are the same"
        return Reading(expected, unexplained={"tensor": words})
    few = few_values(expected, samples[0])
    if few:
        return Reading(expected, unexplained=cast_words(few))
    alike = [sample for sample in samples if sample.result.shape == values.shape]
    return match(expected, alike, decoded=False)


def _called(
    expected: Pipeline, function: Any, photos: Sequence[Photo]
) -> tuple[Called, ...]:
    called: list[Called] = []
    for photo in photos:
        way = called[0].way if called else ""
        called.append(call(function, photo, way, expected))
    failed = sum(outcome.tensor is None for outcome in called)
    if failed == len(called):
        return tuple(called)
    count = f"called on {failed} of {len(called)} images:"
    return tuple(
        replace(outcome, problem=outcome.problem.replace("called:", count, 1))
        for outcome in called
    )


def same_levels(way: str) -> float:
    """Return how far apart two images are that are the same, where a function was called in this way."""
    return SAME_LEVELS if way in ARRAYS else DECODER_LEVELS


def _read(
    expected: Pipeline, function: Function, way: str, every: list[Sample]
) -> Reading:
    """Read a function from the least square photos, and from what it makes of their pixels."""

    def result(pixels: Pixels) -> Float64:
        tensor = call(function, Photo(pixels), way, expected).tensor
        return np.zeros((0, 1, 1)) if tensor is None else image_of(tensor, expected)

    every = sorted(every, key=lambda one: min(one.photo.size) / max(one.photo.size))
    samples = every[:PHOTOS_READ]
    pixels = samples[0].photo.pixels
    flat = [result(np.full_like(pixels, level)) for level in (0, 128, 254, 255)]
    faint = result(pixels // 2)
    unexplained = _unsteady(expected, function, way, samples) or _plain(
        expected, samples[0], faint, flat
    )
    if unexplained:
        return Reading(expected, unexplained=unexplained)
    is_open = (
        expected.size is not None
        and not {*expected.size} <= {*samples[0].result.shape}
        and result(pixels[: len(pixels) // 2]).shape != faint.shape
    )
    shape = samples[0].result.shape
    alike = [sample for sample in samples if sample.result.shape == shape]
    reading = match(expected, alike, (flat[0], flat[-1]), decoded=way in ARRAYS)
    return _of_no_fixed_size(expected, reading) if is_open else reading


def _of_no_fixed_size(expected: Pipeline, reading: Reading) -> Reading:
    fields = {name: getattr(expected, name) for name in _RESIZING}
    words = f"size: {sides(expected.size or (0, 0))} here, of no fixed size there"
    return Reading(
        reading.pipeline.replace(**fields),
        unexplained={**reading.unexplained, "resize": words},
    )


def _unsteady(
    expected: Pipeline, function: Function, way: str, samples: list[Sample]
) -> dict[str, str]:
    """Call a function again, last of all, since it may fail from some call on."""
    repeated = (samples * REPEATS)[:REPEATS]
    called = [call(function, sample.photo, way, expected) for sample in repeated]
    problems = [outcome.problem for outcome in called if outcome.problem]
    if problems:
        count = f"called again, {len(problems)} of {REPEATS} times:"
        return {"function": f"function: {problems[0].replace('called:', count, 1)}"}
    if all(
        outcome.tensor is not None
        and _close(image_of(outcome.tensor, expected), sample.result, share=1e-3)
        for outcome, sample in zip(called, repeated, strict=True)
    ):
        return {}
    return {
        "function": "function: is random,"
        " two calls on one image return different tensors"
    }


def _close(first: Float64, second: Float64, share: float) -> bool:
    """Whether two images agree to a share of the range of the second."""
    return first.shape == second.shape and np.allclose(
        first, second, atol=share * np.ptp(second)
    )


def _plain(
    expected: Pipeline, sample: Sample, faint: Float64, flat: Sequence[Float64]
) -> dict[str, str]:
    """Return what is seen at once, and leaves nothing to be read."""
    black, grey, pale, white = flat
    black_as_white = bool(black.size) and np.array_equal(black, white)
    if black_as_white and np.array_equal(black, sample.result):
        return {
            "tensor": "content: nothing tried explains it, all images give the same"
        }
    few = few_values(expected, sample)
    if few:
        # Of two values, a cast leaves the upper one to white alone.
        if len(np.unique(sample.result)) == 2 and np.array_equal(pale, white):
            return {"scaling": f"scaling: all levels here, a threshold there; {few}"}
        return cast_words(few)
    words = ""
    if black_as_white or _close(faint, sample.result, SAME_CONTRAST):
        words = "the same for all images here, by the values of each image there"
    elif not black.size or len({result.shape for result in flat}) > 1:
        return {
            "tensor": "content: cannot tell, since the function takes no images of one"
            " colour"
        }
    elif expected.cast is None and _is_bent(black, grey, white):
        words = "along a straight line here, a curve there, such as a gamma"
    return {"scaling": f"scaling: {words}"} if words else {}


def _is_bent(black: Float64, grey: Float64, white: Float64) -> bool:
    line = black + (white - black) * 128 / 255
    is_off = np.abs(grey - line) > CURVE_LEVELS / 255 * np.abs(white - black)
    return bool(is_off.mean() > 0.5)


def compared(
    expected: Pipeline, reading: Reading, called: Called, photo: Photo, effect: Effect
) -> Comparison:
    """Compare a preprocessing with what a function made of a photo that is decoded as the preprocessing does.

    `effect` orders the differences, each tried by itself on the tensor of the preprocessing.
    """
    if called.tensor is None:
        kind = "tensor" if called.way == TENSOR else "function"
        problem = Difference("function", f"{kind}: {called.problem}", effect=1.0)
        return Comparison.on([problem], first_step="function", photo=photo.name)
    way = f"the function reads {called.way}, so decoding is compared"
    if called.way == TENSOR:
        way = "the tensor is taken for what code made of the file, so decoding is compared"
    notes = [_PIXELS if called.way in ARRAYS else way]
    sample = Sample(photo, image_of(called.tensor, expected))
    tensor = run(PIPELINE, expected, photo)
    result = sample.result.astype(called.tensor.dtype)
    step = StepDifference.of("tensor", tensor[0], result)
    causes: list[Difference] = []
    if step.parts or "function" in reading.unexplained:
        causes = list(
            differences_with_effects(expected, reading.pipeline, photo, effect)
        )
        for name, words in reading.unexplained.items():
            causes.append(Difference(name, words, effect(tensor[0], sample.result)))
        if called.way in ARRAYS and any(cause.step == "channels" for cause in causes):
            notes.append(f"it was given {called.way}; a camera's order is unknown")
        levels = reading.levels
        if not reading.unexplained:
            levels = levels_apart(reading.pipeline, [sample])
        remainder = f"{levels:.2f} levels (root mean square)" if levels < inf else "all"
        if levels > same_levels(called.way):
            words = f"values: {remainder} are unexplained, so something else happens there, too"
            nearest = run(PIPELINE, reading.pipeline, photo)[0]
            effects = [effect(nearest, sample.result)]
            # A step that is named explains more than what is left.
            effects += [cause.effect for cause in causes]
            causes.append(Difference("tensor", words, min(effects)))
        elif reading.exact:
            rebuilds = "what is listed above" if causes else "this preprocessing"
            notes.append(f"{rebuilds} reproduces the result to within {remainder}")
    return Comparison.on(
        causes,
        first_step=causes[0].step if causes else None,
        steps=(step,),
        photo=photo.name,
        notes=tuple(notes),
    )
