"""A person's own code: a function, called and read as a pipeline, or the tensors that it made."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from math import inf
from typing import Any

import numpy as np
import scipy  # its heavy parts are imported when they are used
from numpy.typing import ArrayLike

from kit._arrays import Array, Float64
from kit.images.photo import Photo
from kit.preprocessing.calling import (
    ARRAYS,
    TENSOR,
    Called,
    Function,
    call,
    image_of,
    in_shape,
    numpy_of,
    tensor_shape,
    why_unusable,
)
from kit.preprocessing.colours import (
    AGREEING_LEVELS,
    WordsByStep,
)
from kit.preprocessing.comparison import (
    Comparison,
    Difference,
    Effect,
    StepDifference,
    differences_with_effects,
)
from kit.preprocessing.fitting import DECODER_LEVELS, Probe
from kit.preprocessing.matching import (
    AVERAGED_PIXELS,
    Reading,
    correlation,
    detail_of,
    levels_apart,
    match,
    sources_of,
)
from kit.preprocessing.pipeline import PIPELINE, Pipeline, run, run_back
from kit.preprocessing.placing import UNEXPLAINED_RATIO
from kit.preprocessing.scaling import SCALINGS, affine

Code = Function | ArrayLike
"""A person's own function, or the tensors that other code made."""
_Calls = Callable[..., Called]
"""A function, called by `call` on a photo and how it is given."""

PHOTOS_READ = 4
"""From which a function is read, the least square first; all are compared."""
CALLS_REPEATED = 12
"""Calls that tell a random function."""
SAME_RANGE_SHARE = 1e-3
"""Of the range of a tensor, up to which two calls agree."""
DETAILED_CORRELATION = 0.4
"""Of a difference with an image's own fine detail, from which on it is more or less of that."""
SAME_SLOPE_SHARE = 1e-3
"""By which the slopes of two scalings differ at most that are the same but for an offset."""
GRAIN_SMOOTHED_SHARE = 0.3
"""Of the spread of a difference, which fine grain leaves at most once it is averaged."""
_PIXELS_NOTE = (
    "the function starts from decoded pixels, so decoding is not compared;"
    " give one that takes a path and reads the file itself"
)
_ONE_PHOTO_NOTE = (
    "one photo cannot tell this scaling from one by the values of each image"
)
_SAME_WORDS = "code: returns the same for another image, as with a fixed path or a result that is kept"
_STEPS = [operation.name for operation in PIPELINE]
_TENSOR_NOTE = "it is a tensor, made of the file, so decoding is compared"
_FILE_NOTE = "your code decoded the file itself, so decoding is compared"


def read(
    expected: Pipeline,
    code: Code,
    photos: Sequence[Photo],
    numbers: Callable[[Any], Array] = numpy_of,
) -> Reading:
    """Find the pipeline that does what other code does with photos, as near as may be to the one expected.

    Tensors are one, or one for each photo, else a ValueError is raised; `numbers` says what a tensor, or what
    a function returns, stands for.
    """
    # A function runs with the Pillow that is installed, whatever the pipeline expects.
    expected = expected.replace(pillow=0)
    if callable(code):
        code = partial(call, code, expected=expected, numbers=numbers)
        called = _called_on_each(code, photos)
    else:
        called = _tensors_as_called(expected, code, photos, numbers)
    samples = _probes(expected, photos, called)
    if not samples:
        return Reading(expected, inf, called=called)
    # Where a call failed, it is empty.
    given_as = max(outcome.given_as for outcome in called)
    # The least square first, on which fits differ most.
    samples.sort(key=lambda sample: min(sample.photo.size) / max(sample.photo.size))
    return replace(_read(expected, code, given_as, samples), called=called)


def _called_on_each(calls: _Calls, photos: Sequence[Photo]) -> tuple[Called, ...]:
    first = calls(photos[0])
    # They are given what the first one took; where it failed, each is given every form.
    others = (calls(photo, first.given_as) for photo in photos[1:])
    return first, *others


def _tensors_as_called(
    expected: Pipeline,
    code: Any,
    photos: Sequence[Photo],
    numbers: Callable[[Any], Array],
) -> tuple[Called, ...]:
    # A list of numbers is a tensor itself.
    is_list = isinstance(code, list | tuple)
    has_tensors = is_list and hasattr(next(iter(code), None), "__array__")
    tensors = [*code] if has_tensors or len(photos) > 1 else [code]
    if len(tensors) != len(photos):
        expectation = f"a tensor for each of {len(photos)} images"
        raise ValueError(f"Expected {expectation}, received {len(tensors)}")
    pairs = zip(photos, tensors, strict=True)
    return tuple(
        _tensor_as_called(expected, photo, numbers(tensor)) for photo, tensor in pairs
    )


def _tensor_as_called(expected: Pipeline, photo: Photo, array: Array) -> Called:
    array = in_shape(array, tensor_shape(expected, photo))
    problem = why_unusable(array)
    if problem:
        return Called(None, f"returned {problem}", TENSOR)
    return Called(array, given_as=TENSOR)


def _read(
    expected: Pipeline, code: Code, given_as: str, samples: Sequence[Probe]
) -> Reading:
    """Read the tensors of photos and, of a function, what it makes of the same again."""
    if callable(code):
        unexplained = _unsteady_words(expected, code, given_as, samples)
        if unexplained:
            return Reading(expected, unexplained=unexplained)
    decoded = given_as in ARRAYS
    first = samples[0]
    same_shape = [
        sample
        for sample in samples[:PHOTOS_READ]
        if sample.result.shape == first.result.shape
    ]
    several = same_shape
    if callable(code):
        others = _other_image(expected, code, given_as, first)
        # Of one value in each channel more is to be said than that it is always the same.
        is_same = any(np.array_equal(other.result, first.result) for other in others)
        if is_same and np.ptp(first.result, axis=(0, 1)).any():
            return Reading(expected, unexplained={"function": _SAME_WORDS})
        # The other image has no file, whose levels of 16 bits the function may take as they are.
        sources = sources_of(expected, first.photo, decoded=decoded)
        if not any(source.pipeline.decoding.depth == "clip" for source in sources):
            several = [*same_shape, *others]
    matched = match(expected, several, decoded=decoded)
    reading = _unless_rounded(expected, several, matched, decoded=decoded)
    # Beside what is strange, no pipeline says how much is left.
    levels = reading.levels_off
    if not reading.unexplained:
        levels = levels_apart(reading.pipeline, samples)
    reading = replace(reading, levels=levels)
    # A photo that is recognised is no other one.
    for other in same_shape[1:] if "tensor" in reading.unexplained else ():
        shown = match(expected, [Probe(other.photo, first.result)], decoded=False)
        if shown.levels_off <= DECODER_LEVELS:
            words = f"{other.photo.name} in place of {first.photo.name} there"
            words = f"content: {words}, as of files in another order"
            return Reading(expected, unexplained={"tensor": words})
    return reading


def _other_image(
    expected: Pipeline, calls: _Calls, given_as: str, sample: Probe
) -> list[Probe]:
    """Return what a function makes of a darker image, which it may scale otherwise; nothing if it fails."""
    # Upside down, since a black and white image is the same if it is scaled by itself.
    photo = Photo(sample.photo.pixels[::-1] // np.uint8(2))
    again = calls(photo, given_as)
    probes = _probes(expected, [photo], [again])
    return [probe for probe in probes if probe.result.shape == sample.result.shape]


def _probes(
    expected: Pipeline, photos: Sequence[Photo], calls: Sequence[Called]
) -> list[Probe]:
    """Return what came of those photos of which an image was made."""
    return [
        Probe(photo, image_of(called.tensor, expected))
        for photo, called in zip(photos, calls, strict=True)
        if called.tensor is not None
    ]


def _unless_rounded(
    expected: Pipeline, samples: Sequence[Probe], reading: Reading, *, decoded: bool
) -> Reading:
    """Return what is expected where rounding or a decoder may make it, unless colours explain much more."""
    # What rounding makes of another decoding is no other scaling.
    expected = expected.replace(decoding=reading.pipeline.decoding)
    levels = levels_apart(expected, samples)
    slope, expected_slope = (
        affine(pipeline.scaling)[0] for pipeline in (reading.pipeline, expected)
    )
    is_shift = (
        not decoded
        and reading.pipeline.replace(scaling=()) == expected.replace(scaling=())
        and np.allclose(slope, expected_slope, rtol=SAME_SLOPE_SHARE)
    )
    # A decoder may make an image darker or lighter as a whole.
    if is_shift and levels <= DECODER_LEVELS and not reading.unexplained:
        return Reading(expected)
    if levels > AGREEING_LEVELS:
        return reading
    coloured = expected.replace(
        channels=reading.pipeline.channels, scaling=reading.pipeline.scaling
    )
    if UNEXPLAINED_RATIO * levels_apart(coloured, samples) < levels:
        return Reading(coloured)
    return Reading(expected)


def _unsteady_words(
    expected: Pipeline, calls: _Calls, given_as: str, samples: Sequence[Probe]
) -> WordsByStep:
    """Call a function again, last of all, since it may fail from some call on."""
    for sample in islice(cycle(samples), CALLS_REPEATED):
        again = calls(sample.photo, given_as)
        if again.tensor is None:
            return {"function": f"code: {again.problem} when it was called again"}
        image = image_of(again.tensor, expected)
        tolerance = SAME_RANGE_SHARE * np.ptp(sample.result)
        if image.shape != sample.result.shape or not np.allclose(
            image, sample.result, atol=tolerance
        ):
            words = "is random, two calls on one image return different tensors"
            return {"function": f"code: {words}"}
    return {}


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
    whole_difference = StepDifference.of(
        "tensor", tensor, sample.result.astype(called.tensor.dtype)
    )
    causes: list[Difference] = []
    notes = [_note_of_kind(called)]
    if whole_difference.differs or "function" in reading.unexplained:
        causes = _causes(expected, reading, sample, tensor, effect)
        is_colours = any(cause.step == "channels" for cause in causes)
        if called.given_as in ARRAYS and is_colours:
            notes.append(f"it was given {called.given_as}; a camera's order is unknown")
        if reading.exact or not causes:
            subject = "what is listed above" if causes else "this preprocessing"
            levels = levels_apart(reading.pipeline, [sample])
            remainder = f" to within {levels:.2f} levels (root mean square)"
            notes.append(
                f"{subject} reproduces the result{remainder if levels >= 0.005 else ''}"
            )
            if _fits_one_photo_alone(reading, expected):
                notes.append(_ONE_PHOTO_NOTE)
        elif photo.file and called.given_as not in ARRAYS and photo.notes:
            conversions = ", ".join(photo.notes)
            notes.append(f"they may differ where the file is read; here: {conversions}")
        if reading.unexplained and DECODER_LEVELS < reading.levels < inf:
            remainder = f"{reading.levels:.2f} levels (root mean square)"
            notes.append(f"what is listed above leaves {remainder} unexplained")
    return Comparison.on(
        causes,
        first_step=min(causes, key=_place_of).step if causes else None,
        steps=(whole_difference,),
        photo=photo.name,
        notes=tuple(notes),
    )


def _place_of(difference: Difference) -> int:
    """Return where its step stands in the pipeline; behind all of them, where it is none."""
    return [*_STEPS, difference.step].index(difference.step)


def _note_of_kind(called: Called) -> str:
    if called.given_as == TENSOR:
        return _TENSOR_NOTE
    return _PIXELS_NOTE if called.given_as in ARRAYS else _FILE_NOTE


def _fits_one_photo_alone(reading: Reading, expected: Pipeline) -> bool:
    """Whether the scaling was fitted to one photo, by whose values it may as well have been scaled."""
    scaling = reading.pipeline.scaling
    is_fitted = len(scaling) == 1 and scaling not in SCALINGS.values()
    return is_fitted and scaling != expected.scaling and len(reading.called) == 1


def _causes(
    expected: Pipeline, reading: Reading, sample: Probe, tensor: Array, effect: Effect
) -> list[Difference]:
    """Return the steps that differ on one photo, and what they leave unexplained."""
    photo, result = sample
    causes = [*differences_with_effects(expected, reading.pipeline, photo, effect)]
    levels = levels_apart(reading.pipeline, [sample])
    given_as = max(called.given_as for called in reading.called)
    # A function that reads the file itself may have another decoder.
    same_levels = AGREEING_LEVELS if given_as in ARRAYS else DECODER_LEVELS
    for step, words in reading.unexplained.items():
        causes.append(Difference(step, words, effect(tensor, result)))
    if levels > same_levels and not reading.unexplained:
        nearest = run(PIPELINE, reading.pipeline, photo)[0]
        words = "values: all are unexplained"
        if levels < inf:
            image, own_image = (
                run_back(reading.pipeline, x).mean(axis=-1) for x in (nearest, result)
            )
            remainder = f"{levels:.2f} levels (root mean square) are unexplained"
            words = f"values: {remainder}, {departure_words(image, own_image)}"
        # A step that is named explains more than what is left.
        least = min([effect(nearest, result), *(cause.effect for cause in causes)])
        causes.append(Difference("tensor", words, least))
    return causes


def departure_words(image: Float64, result: Float64) -> str:
    """Say what kind of difference there is between an image and a result, both in levels (H, W)."""
    difference = result - image
    difference -= difference.mean()
    detail_share = correlation(detail_of(image), difference)
    if detail_share <= -DETAILED_CORRELATION:
        return "for want of fine detail, as after a blur, a smaller size, JPEG or another filter"
    if detail_share >= DETAILED_CORRELATION:
        return "of more fine detail, as after sharpening, more local contrast or another filter"
    averaged = scipy.ndimage.uniform_filter(difference, AVERAGED_PIXELS)
    if np.std(averaged) <= GRAIN_SMOOTHED_SHARE * np.std(difference):
        return "of fine grain, as from added noise, dithering or JPEG compression"
    return "so something else happens there, too"
