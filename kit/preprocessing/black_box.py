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
    numpy_of,
    tensor_shape,
    unbatched,
    unflattened,
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
    in_each_decoding,
    is_constant_by_channel,
    largest_levels_off,
    match,
    unconverted_reading,
)
from kit.preprocessing.pipeline import PIPELINE, Pipeline, run, run_back
from kit.preprocessing.placing import UNEXPLAINED_RATIO
from kit.preprocessing.scaling import SCALINGS, affine

Code = Function | ArrayLike
"""A person's own function, or the tensors that other code made."""
_Caller = Callable[..., Called]
"""Calls a person's function, as `call` does, on a photo that is given in one form."""

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
_RANDOM_WORDS = "code: is random, two calls on one image return different tensors"
_STEPS = [operation.name for operation in PIPELINE]
_TENSOR_NOTE = "it is a tensor, made of the file, so decoding is compared"
_FILE_NOTE = "your code decoded the file itself, so decoding is compared"


def read(
    expected: Pipeline,
    code: Code,
    photos: Sequence[Photo],
    numbers_meant: Callable[[Any], Array] = numpy_of,
) -> Reading:
    """Find the pipeline that does what other code does with photos, as near as may be to the one expected.

    Tensors are one, or one for each photo, else a ValueError is raised; `numbers_meant` returns what a
    tensor, or what a function returns, stands for.
    """
    # A function runs with the Pillow that is installed, which 0 stands for, whatever the pipeline expects.
    expected = expected.replace(pillow=0)
    caller: _Caller | None = None
    if callable(code):
        caller = partial(call, code, expected=expected, numbers_meant=numbers_meant)
        called = _called_on_each(caller, photos)
    else:
        called = _tensors_as_called(expected, code, photos, numbers_meant)
    probes = _probes(expected, photos, called)
    # Every call failed.
    if not probes:
        return Reading(expected, inf, called=called)
    # In one form, but for calls that failed: theirs is empty, and comes before all others.
    given_as = max(one_call.given_as for one_call in called)
    # The longest and narrowest photo first, on which crop, squash and bars differ most.
    probes.sort(key=lambda probe: min(probe.photo.size) / max(probe.photo.size))
    return replace(_read(expected, caller, given_as, probes), called=called)


def _called_on_each(caller: _Caller, photos: Sequence[Photo]) -> tuple[Called, ...]:
    first = caller(photos[0])
    # They are given what the first one took; where it failed, each is tried in every form.
    others = (caller(photo, first.given_as) for photo in photos[1:])
    return first, *others


def _tensors_as_called(
    expected: Pipeline,
    tensor_or_tensors: Any,
    photos: Sequence[Photo],
    numbers_meant: Callable[[Any], Array],
) -> tuple[Called, ...]:
    # A list of numbers is a tensor itself.
    is_list = isinstance(tensor_or_tensors, list | tuple)
    has_tensors = is_list and hasattr(next(iter(tensor_or_tensors), None), "__array__")
    has_one_for_each = has_tensors or len(photos) > 1
    tensors = [*tensor_or_tensors] if has_one_for_each else [tensor_or_tensors]
    if len(tensors) != len(photos):
        raise ValueError(
            f"Expected a tensor for each of {len(photos)} images, received {len(tensors)}"
        )
    # A network of whole numbers may take bytes that stand for other numbers.
    return tuple(
        _tensor_as_called(expected, photo, numbers_meant(tensor))
        for photo, tensor in zip(photos, tensors, strict=True)
    )


def _tensor_as_called(expected: Pipeline, photo: Photo, array: Array) -> Called:
    # As many values as expected in one row get the expected shape; any other array stays as it is.
    array = unflattened(array, tensor_shape(expected, photo))
    # Words, or none. As if a function had returned it, so that problems are said in the same way.
    problem = why_unusable(array)
    if problem:
        return Called(None, f"returned {problem}", TENSOR)
    return Called(array, given_as=TENSOR)


def _read(
    expected: Pipeline,
    caller: _Caller | None,
    given_as: str,
    probes: Sequence[Probe],
) -> Reading:
    """Read the tensors of photos and, of a function, what it makes of the same again."""
    # Without a caller there are tensors alone, made by code that cannot be called again.
    if caller is not None:
        unsteady_words = _unsteady_words(expected, caller, given_as, probes)
        if unsteady_words:
            return Reading(expected, unexplained=unsteady_words)
    given_pixels = given_as in ARRAYS
    first = probes[0]
    # One pipeline for results of several shapes is not searched for.
    of_first_shape = [
        probe
        for probe in probes[:PHOTOS_READ]
        if probe.result.shape == first.result.shape
    ]
    to_match = of_first_shape
    if caller is not None:
        changed = _probes_of_changed_image(expected, caller, given_as, first)
        is_same = any(np.array_equal(other.result, first.result) for other in changed)
        # Of one value in each channel `match` says more than that it is always the same.
        if is_same and not is_constant_by_channel(first.result):
            return Reading(expected, unexplained={"function": _SAME_WORDS})
        # The changed image has 8 bits. Of a file with 16 a function may take other levels ("clip").
        decodings = in_each_decoding(expected, first.photo, given_pixels=given_pixels)
        if not any(decoded.pipeline.decoding.depth == "clip" for decoded in decodings):
            to_match = [*of_first_shape, *changed]
    nearest_reading = match(expected, to_match, given_pixels=given_pixels)
    # What is expected wins where rounding or another decoder may have made the difference.
    reading = _expected_if_rounded(
        expected, to_match, nearest_reading, given_pixels=given_pixels
    )
    # Code may have taken the file's own values (a palette, CMYK), by which an image can look inverted. The
    # changed image shows whether a function inverts, so that its reading counts. The reading of a tensor may
    # only seem to fit: there this is tried wherever the tensor is not what is expected.
    doubted = expected if caller is None else reading.pipeline
    if largest_levels_off(doubted, to_match) > AGREEING_LEVELS:
        reading = unconverted_reading(expected, of_first_shape) or reading
    # Nothing of the first photo explains it: it may be of another one of those read.
    if "tensor" in reading.unexplained:
        return _reading_of_other_photo(expected, of_first_shape) or reading
    if reading.unexplained:
        # No pipeline does what is unexplained, so that none can be measured against all results.
        return reading
    levels_off = largest_levels_off(reading.pipeline, probes)
    return replace(reading, levels_off=levels_off, images_read=len(to_match))


def _reading_of_other_photo(
    expected: Pipeline, probes: Sequence[Probe]
) -> Reading | None:
    """Say which other photo of those read the first result shows; None where it shows none."""
    first, *others = probes
    for other in others:
        reading = match(
            expected, [Probe(other.photo, first.result)], given_pixels=False
        )
        if reading.levels_off <= DECODER_LEVELS:
            words = (
                f"content: {other.photo.name} in place of {first.photo.name} there,"
                " as of files in another order"
            )
            return Reading(expected, unexplained={"tensor": words})
    return None


def _probes_of_changed_image(
    expected: Pipeline, caller: _Caller, given_as: str, probe: Probe
) -> list[Probe]:
    """Return what a function makes of a darker image, which it may scale otherwise; nothing if it fails."""
    # Half as bright, which scaling by an image's own values undoes. Upside down, since of a black and white
    # image, so scaled, the result would else be the same.
    changed_photo = Photo(probe.photo.pixels[::-1] // np.uint8(2))
    called = caller(changed_photo, given_as)
    changed_probes = _probes(expected, [changed_photo], [called])
    # One at most: none where the call failed, or the tensor has another shape.
    return [
        changed
        for changed in changed_probes
        if changed.result.shape == probe.result.shape
    ]


def _probes(
    expected: Pipeline, photos: Sequence[Photo], calls: Sequence[Called]
) -> list[Probe]:
    """Return what came of those photos of which an image was made."""
    # Results are (H, W, C) or (C, H, W). Where one has no axis of channels, `expected` says where it belongs.
    return [
        Probe(photo, unbatched(called.tensor, expected))
        for photo, called in zip(photos, calls, strict=True)
        if called.tensor is not None
    ]


def _expected_if_rounded(
    expected: Pipeline, probes: Sequence[Probe], nearest: Reading, *, given_pixels: bool
) -> Reading:
    """Return what is expected where rounding or a decoder may make it, unless colours explain much more."""
    # No rounding makes another decoding, such as of transparency or 16 bits, so that this stays.
    expected = expected.replace(decoding=nearest.pipeline.decoding)
    expected_levels_off = largest_levels_off(expected, probes)
    slope, expected_slope = (
        affine(pipeline.scaling)[0] for pipeline in (nearest.pipeline, expected)
    )
    # A function that opens the file may have a decoder that makes an image darker or lighter as a whole.
    differs_by_offset_alone = (
        not given_pixels
        and nearest.pipeline.replace(scaling=()) == expected.replace(scaling=())
        and np.allclose(slope, expected_slope, rtol=SAME_SLOPE_SHARE)
    )
    # What is left of the difference is measured by the caller.
    if (
        differs_by_offset_alone
        and expected_levels_off <= DECODER_LEVELS
        and not nearest.unexplained
    ):
        return Reading(expected)
    if expected_levels_off > AGREEING_LEVELS:
        return nearest
    # Fit and filter as expected: within rounding, only colours that explain much more are taken over.
    with_nearest_colours = expected.replace(
        channels=nearest.pipeline.channels, scaling=nearest.pipeline.scaling
    )
    if (
        UNEXPLAINED_RATIO * largest_levels_off(with_nearest_colours, probes)
        < expected_levels_off
    ):
        return Reading(with_nearest_colours)
    return Reading(expected)


def _unsteady_words(
    expected: Pipeline, caller: _Caller, given_as: str, probes: Sequence[Probe]
) -> WordsByStep:
    """Call a function again, once it has been called on each photo, since it may fail from some call on."""
    for probe in islice(cycle(probes), CALLS_REPEATED):
        again = caller(probe.photo, given_as)
        if again.tensor is None:
            return {"function": f"code: {again.problem} when it was called again"}
        # Axes stay where they are; one of channels that is missing is added where `expected` has it.
        image = unbatched(again.tensor, expected)
        tolerance = SAME_RANGE_SHARE * np.ptp(probe.result)
        if image.shape != probe.result.shape or not np.allclose(
            image, probe.result, atol=tolerance
        ):
            return {"function": _RANDOM_WORDS}
    return {}


def comparison_with_code(
    expected: Pipeline, reading: Reading, called: Called, photo: Photo, effect: Effect
) -> Comparison:
    """Compare a preprocessing with what a function made of a photo that is decoded as the preprocessing does.

    `effect` orders the differences, each tried by itself on the tensor of the preprocessing.
    """
    if called.tensor is None:
        # From this step `Checkup` knows that the code failed; for its headline it takes "code: " off again.
        problem = Difference("function", f"code: {called.problem}", effect=1.0)
        return Comparison.on([problem], first_step="function", photo=photo.name)
    probe = Probe(photo, unbatched(called.tensor, expected))
    # Without the axis of images, as the result.
    expected_tensor = run(PIPELINE, expected, photo)[0]
    # Results are float64 here; shown is the data type that the code returned.
    whole_difference = StepDifference.of(
        "tensor", expected_tensor, probe.result.astype(called.tensor.dtype)
    )
    differences: list[Difference] = []
    notes = [_note_on_decoding(called)]
    if whole_difference.differs or "function" in reading.unexplained:
        differences = _differences_on_photo(
            expected, reading, probe, expected_tensor, effect
        )
        channels_differ = "channels" in [difference.step for difference in differences]
        if called.given_as in ARRAYS and channels_differ:
            notes.append(f"it was given {called.given_as}; a camera's order is unknown")
        if reading.agrees or not differences:
            subject = "what is listed above" if differences else "this preprocessing"
            levels_off = largest_levels_off(reading.pipeline, [probe])
            remainder = f" to within {levels_off:.2f} levels (root mean square)"
            # Less is 0.00, of which nothing is to be said.
            notes.append(
                f"{subject} reproduces the result{remainder if levels_off >= 0.005 else ''}"
            )
            if _is_fitted_to_one_image(reading, expected):
                notes.append(_ONE_PHOTO_NOTE)
        # A photo's notes say how its file was converted; code that opened the file may do so otherwise.
        elif photo.file and called.given_as not in ARRAYS and photo.notes:
            conversions = ", ".join(photo.notes)
            notes.append(f"they may differ where the file is read; here: {conversions}")
        if reading.unexplained and DECODER_LEVELS < reading.levels_off < inf:
            remainder = f"{reading.levels_off:.2f} levels (root mean square)"
            notes.append(f"what is listed above leaves {remainder} unexplained")
    return Comparison.on(
        differences,
        first_step=min(differences, key=_step_index).step if differences else None,
        steps=(whole_difference,),
        photo=photo.name,
        notes=tuple(notes),
    )


def _step_index(difference: Difference) -> int:
    """Return where its step stands in the pipeline; behind all of them, where it is none."""
    return [*_STEPS, difference.step].index(difference.step)


def _note_on_decoding(called: Called) -> str:
    if called.given_as == TENSOR:
        return _TENSOR_NOTE
    return _PIXELS_NOTE if called.given_as in ARRAYS else _FILE_NOTE


def _is_fitted_to_one_image(reading: Reading, expected: Pipeline) -> bool:
    """Whether the scaling was fitted to one image, by whose values it may as well have been scaled."""
    scaling = reading.pipeline.scaling
    is_fitted = len(scaling) == 1 and scaling not in SCALINGS.values()
    return is_fitted and scaling != expected.scaling and reading.images_read == 1


def _differences_on_photo(
    expected: Pipeline,
    reading: Reading,
    probe: Probe,
    expected_tensor: Array,
    effect: Effect,
) -> list[Difference]:
    """Return the steps that differ on one photo, and what they leave unexplained."""
    photo, result = probe
    differences = [*differences_with_effects(expected, reading.pipeline, photo, effect)]
    levels_off = largest_levels_off(reading.pipeline, [probe])
    tolerated_levels_off = reading.tolerated_levels_off
    for step, words in reading.unexplained.items():
        # Photos may be files of several kinds: another decoding is named only where this one shows it.
        if step != "decode" or levels_off > tolerated_levels_off:
            differences.append(Difference(step, words, effect(expected_tensor, result)))
    if levels_off > tolerated_levels_off and not reading.unexplained:
        nearest_tensor = run(PIPELINE, reading.pipeline, photo)[0]
        remainder_words = "values: all are unexplained"
        # Infinite where the shapes differ, so that there are no two images to compare.
        if levels_off < inf:
            nearest_grey, result_grey = (
                run_back(reading.pipeline, tensor).mean(axis=-1)
                for tensor in (nearest_tensor, result)
            )
            remainder = f"{levels_off:.2f} levels (root mean square) are unexplained"
            remainder_words = (
                f"values: {remainder}, {departure_words(nearest_grey, result_grey)}"
            )
        # A step that is named comes before what is left: its effect counts as no smaller.
        least_effect = min(
            [
                effect(nearest_tensor, result),
                *(difference.effect for difference in differences),
            ]
        )
        differences.append(Difference("tensor", remainder_words, least_effect))
    return differences


def departure_words(image: Float64, result: Float64) -> str:
    """Say what kind of difference there is between an image and a result, both in levels (H, W)."""
    # Both are grey, (H, W). Without its mean, since `correlation` is of images whose means are 0.
    difference = result - image
    difference -= difference.mean()
    detail_correlation = correlation(detail_of(image), difference)
    if detail_correlation <= -DETAILED_CORRELATION:
        return "of less fine detail, as after a blur, a small turn, a smaller size, JPEG or another filter"
    if detail_correlation >= DETAILED_CORRELATION:
        return "of more fine detail, as after sharpening, more local contrast or another filter"
    averaged = scipy.ndimage.uniform_filter(difference, AVERAGED_PIXELS)
    if np.std(averaged) <= GRAIN_SMOOTHED_SHARE * np.std(difference):
        return "of fine grain, as from added noise, dithering or JPEG compression"
    return "so something else happens there, too"
