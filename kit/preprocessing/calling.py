"""A person's own code: called on whatever it takes, with stand-ins for its model, for the tensor it makes."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial, wraps
from inspect import signature, unwrap
from io import BytesIO
from itertools import islice
from math import prod
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import extract_tb
from types import FunctionType
from typing import Any, Self

import numpy as np
from PIL import Image

from kit._arrays import Array, Float64
from kit.images.photo import Photo, encoded
from kit.preprocessing.pipeline import Pipeline, arrange
from kit.preprocessing.resizing import LARGEST_SIDE

Function = Callable[[Any], Any]

LEAST_SIDE_PIXELS = 4
"""Of what can be an image."""
REASONS_GIVEN = 3
"""Of why a function could not be called."""
HELPER_DEPTH = 2
"""How deep helpers of a function are searched for names."""
TENSOR = "a tensor"

_FROM_BGR = re.compile(r"(?<!2)bgr", re.IGNORECASE)
# What a function may take, of a photo and the path of its file.
_FORMS: Mapping[str, Callable[[Photo, Path], Any]] = {
    "an RGB array": lambda photo, _: photo.pixels.copy(),
    "a path": lambda _, path: str(path),
    "a Pillow image": lambda _, path: Image.open(BytesIO(path.read_bytes())),
    "bytes": lambda _, path: path.read_bytes(),
    "an open file": lambda _, path: BytesIO(path.read_bytes()),
    "a batch": lambda photo, _: photo.pixels[None].copy(),
    "a Path": lambda _, path: path,
    "a list of paths": lambda _, path: [str(path)],
    "a BGR array": lambda photo, _: photo.pixels[..., ::-1].copy(),
    "base64 text": lambda _, path: b64encode(path.read_bytes()).decode(),
}
ARRAYS = {"an RGB array", "a BGR array", "a batch"}


@dataclass
class _Recording:
    """The shape of the tensor that a model takes, and what it was given."""

    input_shape: tuple[int, ...]
    arrays: list[Array] = field(default_factory=list)


class _Recorded(BaseException):
    """Ends a function once its model has been given a tensor; no `except Exception` stops it."""


_recording: ContextVar[_Recording] = ContextVar("recording")


class Recorder:
    """Stands in for a model in code that prepares an image and predicts.

    Whatever is asked of it, it returns itself, but for what code reads of the input of a Keras model, a
    LiteRT interpreter, an ONNX session or a PyTorch module. The first image that it is given is what the code
    prepared; the code ends there.
    """

    def __getattr__(self, name: str) -> Any:
        # By names such as __array__, libraries ask whether it is an array of theirs; it is none.
        if name.startswith("_"):
            raise AttributeError(name)
        if name in {"shape", "input_shape"}:
            return _current_recording().input_shape
        # Whatever else code asks of its model, such as a layer or a method, is the recorder again.
        return _INPUT_PROPERTIES.get(name, self)

    def __getitem__(self, name: Any) -> Any:
        # LiteRT's details have the shape as an array. An index or a slice returns the recorder again.
        if name == "shape":
            return np.array(_current_recording().input_shape)
        return _INPUT_PROPERTIES.get(name, self) if isinstance(name, str) else self

    def __setitem__(self, place: Any, value: Any) -> None:
        # Code may write its image into a tensor of the model, as into LiteRT's: that ends it, too.
        self(value)

    def __call__(self, *values: Any, **options: Any) -> Self:
        """Keep the first image, and end the code."""
        for array in _arrays_in((*values, *options.values())):
            # What is smaller is no image but an option of the model.
            if array.dtype.kind in "buif" and array.size >= LEAST_SIDE_PIXELS**2:
                _current_recording().arrays.append(array)
                # So the person's code ends where its model would predict.
                raise _Recorded
        return self

    def __iter__(self) -> Iterator[Self]:
        # Code that loops over what it asked of its model gets one entry.
        yield self

    def __next__(self) -> Self:
        # Code asks so for the first of a module's parameters. It never ends.
        return self

    def __repr__(self) -> str:
        return "recorder()"


# Of LiteRT's details, ONNX Runtime's arguments, and parameters of PyTorch.
_INPUT_PROPERTIES: Mapping[str, Any] = {
    "device": "cpu",
    "dtype": np.float32,
    "index": 0,
    "name": "input",
    "quantization": (0.0, 0),
    "type": "tensor(float)",
}


def recorder() -> Recorder:
    """Return a stand-in for the model in code that prepares and predicts; see `kit.check`."""
    return Recorder()


def _current_recording() -> _Recording:
    recording = _recording.get(None)
    if recording is None:
        raise RuntimeError(
            "Expected a recorder in a function that is checked, received a call outside;"
            " give kit.check the function"
        )
    return recording


@contextmanager
def with_names(function: Any, replacements: Mapping[str, Any]) -> Iterator[Any]:
    """Let values take the place of a function's arguments and variables; yield what takes an image.

    Variables are those of its object or class, if it is a method, or global. Raises a TypeError for another
    name.
    """
    if not replacements:
        yield function
        return
    parameters = signature(function).parameters
    # What is no argument is a variable, of the object or else global.
    variables = dict(replacements)
    arguments = {
        name: variables.pop(name) for name in parameters if name in replacements
    }
    # Variables of the object or class of a method, or of an object that can be called.
    owner = getattr(function, "__self__", function)
    namespace = getattr(owner, "__dict__", {})
    # Else those that are global where the function, or the class of the object, was defined.
    if not variables.keys() <= namespace.keys():
        globals_of_call = getattr(type(function).__call__, "__globals__", {})
        namespace = getattr(unwrap(function), "__globals__", globals_of_call)
    if not variables.keys() <= namespace.keys():
        raise TypeError(
            "Expected names of the function's arguments or variables,"
            f" received {', '.join(replacements)}"
        )
    # The image is the first argument that has no value yet; a function without one fails when it is called.
    free_parameters = (name for name in parameters if name not in arguments)
    image_parameter = next(free_parameters, "image")

    @wraps(function)
    def function_of_image(image: Any) -> Any:
        return function(**{image_parameter: image}, **arguments)

    previous_values = {name: namespace[name] for name in variables}
    # A class has a namespace that can only be read: there its attributes are set.
    set_variable = getattr(namespace, "__setitem__", partial(setattr, owner))
    for name, value in variables.items():
        set_variable(name, value)
    try:
        # Where nothing is added, the image is given without a name, which `*args` would not take.
        yield function_of_image if arguments else function
    finally:
        for name, value in previous_values.items():
            set_variable(name, value)


@dataclass(frozen=True)
class Called:
    """What a function returned, and what it was given; `tensor` is None where `problem` says why."""

    tensor: Array | None
    problem: str = ""
    given_as: str = ""


def numpy_of(value: Any) -> Array:
    """Return a tensor of any library as an array; several leading sides of 1 are one batch."""
    # One of PyTorch may be part of a graph or lie on another device.
    value = value.detach().cpu() if hasattr(value, "detach") else value
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    # NumPy has no such numbers, so that TensorFlow's and JAX's are of a kind of their own.
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    # Down to one axis of images: (1, 1, H, W, C) becomes (1, H, W, C).
    while array.ndim > 4 and len(array) == 1:
        array = array[0]
    return array


def call(
    function: Function,
    photo: Photo,
    given_as: str = "",
    expected: Pipeline | None = None,
    numbers_meant: Callable[[Any], Array] = numpy_of,
) -> Called:
    """Call a function on whatever it takes: pixels, a batch of them, a path, a Pillow image, or bytes.

    The file has the contents that the photo was decoded from, or is a PNG of its pixels. Of several arrays
    that it returns, the one counts that fits what is expected; `numbers_meant` returns what it stands for.
    """
    expected_shape = tensor_shape(expected or Pipeline(), photo)
    # Where it is not known what the function takes, each form is tried, until one leads to an image.
    first_form = "a BGR array" if _wants_bgr(function) else "an RGB array"
    forms = [given_as] if given_as else dict.fromkeys((first_form, *_FORMS))
    reasons_by_problem: dict[str, tuple[list[int], str]] = {}
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        suffix = Path(photo.name).suffix if photo.file else ".png"
        path = Path(folder, f"picture{suffix}")
        for form in forms:
            if form not in ARRAYS and not path.exists():
                path.write_bytes(photo.file or encoded(photo.pixels, compress_level=1))
            image, problem, lines_reached = _image_or_problem(
                function, _FORMS[form](photo, path), path, expected_shape
            )
            if not problem:
                # Whole numbers of a quantized network stand for others.
                return Called(numbers_meant(image), given_as=form)
            # Of several forms with the same problem, the first is named.
            reason = f"{problem} (given {form})"
            reasons_by_problem.setdefault(problem, (lines_reached, reason))
    # The form with which the function reached the furthest line is most likely what it takes.
    furthest_first = sorted(
        reasons_by_problem.values(), key=itemgetter(0), reverse=True
    )
    reasons = [reason for _, reason in furthest_first]
    # An error may only say that a form was not what it takes; what it returned says more.
    returned = [reason for reason in reasons if reason.startswith("returned")]
    words = "; ".join((returned or reasons)[:REASONS_GIVEN])
    advice = "if it predicts, give it a kit.recorder() as its model"
    problem = f"{words}; {advice}" if returned else f"could not be called: {words}"
    return Called(None, problem)


def tensor_shape(expected: Pipeline, photo: Photo) -> tuple[int, ...]:
    """Return the shape of the tensor that is expected of a photo."""
    size = expected.size or photo.size
    tensor = np.empty((1, *size, expected.channel_count), np.uint8)
    return arrange(tensor, expected.layout).shape


def _wants_bgr(function: Function) -> bool:
    """Whether names in a function, such as COLOR_BGR2RGB, say so, or it takes a frame of OpenCV's."""
    # With OpenCV, a frame of a video is BGR. Else a name says it, as `bgr2rgb` does, but not `rgb2bgr`.
    names = set(_names_used(function, helper_depth=HELPER_DEPTH))
    return {"frame", "cv2"} <= names or any(map(_FROM_BGR.search, names))


def _names_used(function: Any, helper_depth: int) -> Iterator[str]:
    """Yield the names of a function's arguments, and those that it and helpers beside it use."""
    # What lies behind decorators, or in a functools.partial.
    function = unwrap(getattr(function, "func", function))
    # An object that can be called has its code in its class; what is built in has none.
    if not hasattr(function, "__code__"):
        function = type(function).__call__
    code = getattr(function, "__code__", None)
    if code is None:
        return
    yield from code.co_varnames[: code.co_argcount]
    # After its arguments, the global variables, functions and attributes that the code names.
    for name in code.co_names:
        yield name
        helper = function.__globals__.get(name)
        is_of_same_module = getattr(helper, "__module__", "") == function.__module__
        if helper_depth and is_of_same_module and isinstance(helper, FunctionType):
            yield from _names_used(helper, helper_depth - 1)


def _image_or_problem(
    function: Function, given: Any, path: Path, expected_shape: tuple[int, ...]
) -> tuple[Array | None, str, list[int]]:
    """Return the image among what a function returns or gives to its model, or why there is none.

    The lines are those of `_lines_reached`, where it raised an error; of the path, which is the same at no
    two calls, an error says the name alone.
    """
    # If a `Recorder` stands in for the model, it finds this recording and adds what the model is given.
    recording = _Recording(expected_shape)
    token = _recording.set(recording)
    arrays: list[Array] = []
    try:
        arrays = list(_arrays_in(function(given)))
    except _Recorded:
        # The recorder ended the function, and the recording has the image.
        pass
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a person's function raises is the finding
        # Once there is an image, an error is only what the function made of being ended.
        if not recording.arrays:
            # The folder of the path is another at each call, the message should not be.
            message = " ".join(str(error).replace(str(path), path.name).split())[:120]
            lines_reached = _lines_reached(error, function)
            where = f" in line {lines_reached[-1]}" if lines_reached else ""
            problem = f"raised {type(error).__name__}{where}: {message}"
            return None, problem.removesuffix(": "), lines_reached
    finally:
        _recording.reset(token)
    arrays = [
        unflattened(array, expected_shape) for array in recording.arrays or arrays
    ]
    images = [array for array in arrays if not why_unusable(array)]
    if not images:
        problems = [*map(why_unusable, arrays), "nothing"]
        # By the word "returned" `call` tells this from what was raised.
        return None, f"returned {problems[0]}", []
    # A tensor, not the picture that it was made of, has the expected sides, a batch axis and decimals.
    tensor = max(
        images,
        key=lambda image: (
            {*expected_shape} <= {1, *image.shape},
            image.ndim == 4,
            image.dtype.kind == "f",
        ),
    )
    return tensor, "", []


def _lines_reached(error: BaseException, function: Function) -> list[int]:
    """Return where the file of the function that raised an error was left, the outermost call first.

    The line that is furthest tells `call` which form a function takes.
    """
    # Calls of this module come first, then the person's function.
    frames = [
        frame for frame in extract_tb(error.__traceback__) if frame.filename != __file__
    ]
    # Lines of the person's file are wanted: decorators, and what is called of libraries, lie in other files.
    code = getattr(unwrap(function), "__code__", None)
    own_files = {code.co_filename} if code else {frame.filename for frame in frames[:1]}
    return [frame.lineno or 0 for frame in frames if frame.filename in own_files]


def unflattened(array: Array, expected_shape: tuple[int, ...]) -> Array:
    """Return a flat array of as many values as the network takes in the network's shape."""
    # All values lie along one axis, as in (N,) or (1, N), and there are as many as expected.
    is_flat = array.size == max(array.shape, default=0) == prod(expected_shape)
    return array.reshape(expected_shape) if is_flat else array


_NOT_STREAMS = Recorder, str, bytes, list, tuple


def _arrays_in(value: Any) -> Iterator[Array]:
    """Yield every array in a result, however deep."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    elif isinstance(value, Iterable) and not (
        hasattr(value, "__array__") or isinstance(value, _NOT_STREAMS)
    ):
        # A generator or a data set may go on for ever: only its first entry counts.
        value = tuple(islice(value, 1))
    # A list of arrays holds several tensors; a list of numbers, or of lists of them, is one tensor itself.
    has_tensors = isinstance(value, list) and any(hasattr(x, "shape") for x in value)
    if isinstance(value, tuple) or has_tensors:
        for entry in value:
            yield from _arrays_in(entry)
    else:
        yield numpy_of(value)


def why_unusable(array: Array) -> str:
    """Say why an array is no image for a network; empty where it is one."""
    if array.dtype.kind in "SU":
        return "text instead of numbers"
    if array.dtype.kind not in "buif":
        kinds = {type(value).__name__ for value in array.flat}
        kind = ", ".join(sorted(kinds)).replace(
            "NoneType", "None, as without a return,"
        )
        return f"{kind} instead of numbers"
    is_batch_of_one = array.ndim == 4 and len(array) == 1
    shape = array.shape[1:] if is_batch_of_one else array.shape
    has_channels = len(shape) == 3 and {shape[0], shape[2]} & {1, 3}
    is_image = has_channels or len(shape) == 2
    # Of three lengths the smallest is that of the channels; zeros stand for sides that are missing.
    shorter_side, longer_side = sorted((0, 0, *shape))[-2:]
    if not is_image or shorter_side < LEAST_SIDE_PIXELS or longer_side > LARGEST_SIDE:
        return (
            f"shape {array.shape}, which is not one image of 1 or 3 channels, first or last,"
            f" and sides of {LEAST_SIDE_PIXELS} to {LARGEST_SIDE} pixels"
        )
    # A network computes in float32, where larger numbers become infinite.
    with np.errstate(over="ignore"):
        not_finite = array.size - np.isfinite(array.astype(np.float32)).sum()
    return f"{not_finite} values that are not finite in float32" if not_finite else ""


def unbatched(array: Array, expected: Pipeline) -> Float64:
    """Return a result as (H, W, C) or (C, H, W)."""
    image = array.astype(np.float64)
    if image.ndim == 3 and image.shape[0] == 1:
        # One grey image: whether this axis is its batch or its channel, it is dropped, and given a place
        # below; `why_unusable` refused larger batches.
        image = image[0]
    # A grey image without its channel is given one, where the expected layout has it.
    if image.ndim == 2:
        is_channels_first = expected.layout == "channels_first"
        return image[None] if is_channels_first else image[..., None]
    # Of four sides, the first is a batch of one, which is dropped.
    return image.reshape(image.shape[-3:])
