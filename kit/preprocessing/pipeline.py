"""The steps of a preprocessing and how each runs and is undone."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from typing import Any, Self

import numpy as np
from PIL import Image

from kit._arrays import Array, Float32, Levels, Pixels
from kit._checking import instance, integers, known, number, optional
from kit.images import Decoding
from kit.preprocessing.resizing import (
    FILTERS,
    FITS,
    LARGEST_SIDE,
    PILLOW,
    SAMPLERS,
    Size,
    resize,
    sides,
)
from kit.preprocessing.scaling import (
    SCALINGS,
    as_scalings,
    fits,
    scale,
    scaling_words,
    unscale,
)

Changes = Mapping[str, Any]
Words = Callable[["Pipeline"], str]
Tried = Callable[["Pipeline"], Iterable[Changes]]


@dataclass(frozen=True)
class Choice:
    """What there is to choose in an operation, and to choose wrongly.

    `name` is its key, `title` what people read if that is another one, and `words` says what has been chosen.
    `causes`, with spaces between them, are what it is called to choose wrongly; the first is meant where no
    fault of the catalogue fits. `tried` are changes from what is in use to what may have been in training.
    """

    name: str
    causes: str
    words: Words
    tried: Tried = lambda _: ()
    title: str = ""

    @property
    def label(self) -> str:
        """Its name on the screen, as it begins a line."""
        return self.title or self.name.capitalize()


@dataclass(frozen=True)
class Operation:
    """One step of a preprocessing.

    Attributes
    ----------
    name
        Of the step.
    function
        Takes what the operation before it left behind, then the values of the fields.
    fields
        Those that it reads, each with what checks a value by its name. The operation is left out where the
        first one is None or False.
    choices
        What can be chosen wrongly in it.
    undo
        Like `function`, back from a tensor to an image; None where that cannot be.
    line
        What it does in words, if the words of the choices do not say it.
    """

    name: str
    function: Callable[..., Any]
    fields: Mapping[str, Callable[[str, Any], Any]]
    choices: tuple[Choice, ...]
    undo: Callable[..., Any] | None = None
    line: Words | None = None

    def values(self, p: "Pipeline") -> tuple[Any, ...]:
        """Return the values of the fields that it reads."""
        return tuple(getattr(p, name) for name in self.fields)

    def skipped(self, p: "Pipeline") -> bool:
        """Whether it is left out."""
        first = self.values(p)[0]
        return first is None or first is False

    def described(self, p: "Pipeline") -> str:
        """Return what it does, in words."""
        return (
            self.line(p)
            if self.line
            else "; ".join(choice.words(p) for choice in self.choices)
        )


def run(operations: Iterable[Operation], p: "Pipeline", x: Any) -> Any:
    """Return what operations make of a photo, or of what those before them left behind."""
    for operation in operations:
        if not operation.skipped(p):
            x = operation.function(x, *operation.values(p))
    return x


def run_back(operations: Sequence[Operation], p: "Pipeline", x: Array) -> Array:
    """Return what `x` was before those operations that can be undone."""
    for operation in reversed(operations):
        if operation.undo is not None and not operation.skipped(p):
            x = operation.undo(x, *operation.values(p))
    return x


def steps(p: "Pipeline", x: Any) -> dict[str, Array]:
    """Return what each operation leaves behind of a photo, by its name, read-only."""
    found = {}
    for operation in PIPELINE:
        x = run((operation,), p, x)
        found[operation.name] = shown = x.view()
        shown.flags.writeable = False
    return found


CHANNELS: Mapping[str, str] = {
    "rgb": "red, green, blue",
    "bgr": "blue, green, red (OpenCV, caffe)",
    "gray": "one channel, ITU-R 601 luma as Pillow's mode L",
    "gray_rgb": "the luma three times",
}
LAYOUTS: Mapping[str, str] = {
    "channels_last": "(1, H, W, C)",
    "channels_first": "(1, C, H, W)",
    "transposed": "(1, W, H, C), height and width swapped",
    "reshaped": "(1, H, W, C) scrambled: reshaped, not transposed, to channels first and moved back",
}
_LUMA = np.array([19595, 38470, 7471])


def shrink(pixels: Pixels, size: Size) -> Pixels:
    """Return uint8 (H, W, 3) shrunk in proportion to fit (height, width), as `Image.thumbnail` does."""
    image = Image.fromarray(pixels)
    image.thumbnail(size[::-1], Image.Resampling.BICUBIC, reducing_gap=None)
    return np.asarray(image)


def order_channels(pixels: Levels, channels: str) -> Levels:
    """Return RGB (…, 3) in one of the orders of `CHANNELS`; for "rgb" and "bgr" a view."""
    if channels == "rgb":
        return pixels
    if channels == "bgr":
        return pixels[..., ::-1]
    luma = pixels @ _LUMA
    luma = (luma + 0x8000) >> 16 if pixels.dtype == np.uint8 else luma / 0x10000
    grey: Levels = luma.astype(pixels.dtype)[..., None]
    return grey if channels == "gray" else grey.repeat(3, axis=-1)


def restore_channels(x: Float32, channels: str) -> Float32:
    """Return (…, C) in one of the orders of `CHANNELS` as RGB; what was grey stays grey."""
    if channels == "gray":
        return np.repeat(x, 3, axis=-1)
    return x[..., ::-1] if channels == "bgr" else x


def invert(pixels: Levels, _on: bool = True) -> Levels:
    """Return 255 - x, in the same data type."""
    return pixels.dtype.type(255) - pixels


def cast_uint8(x: Float32, _to: str = "uint8") -> Float32:
    """Return `x` without decimals and modulo 256, as a cast to uint8 leaves it, again as float32."""
    # Through int64, because a direct cast of negative numbers differs between processors.
    return x.astype(np.int64).astype(np.uint8).astype(np.float32)


def arrange(x: Array, layout: str) -> Array:
    """Return (…, H, W, C) in one of the `LAYOUTS`, C-contiguous."""
    return np.ascontiguousarray(_ARRANGE[layout][0](x))


def arrange_back(x: Array, layout: str) -> Array:
    """Return the (…, H, W, C) that `arrange` turned into `x`."""
    return _ARRANGE[layout][1](x)


def _scrambled(x: Array) -> Array:
    *many, height, width, channels = x.shape
    return np.moveaxis(x.reshape(*many, channels, height, width), -3, -1)


# For each of the LAYOUTS the way there and the way back.
_ARRANGE: Mapping[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "channels_last": (lambda x: x, lambda x: x),
    "channels_first": (
        lambda x: np.moveaxis(x, -1, -3),
        lambda x: np.moveaxis(x, -3, -1),
    ),
    "transposed": (lambda x: x.swapaxes(-3, -2), lambda x: x.swapaxes(-3, -2)),
    "reshaped": (_scrambled, lambda x: np.moveaxis(x, -1, -3).reshape(x.shape)),
}


@dataclass(frozen=True, repr=False)
class Pipeline:
    """The fields of a `Preprocessing`, checked.

    A base class, since a comparison takes two of these and `Preprocessing.compare` needs comparisons.
    """

    size: Size | None = (224, 224)
    filter: str = "bilinear"
    fit: str = "squash"
    crop_fraction: float = 1.0
    fill: tuple[int, int, int] = (0, 0, 0)
    thumbnail: Size | None = None
    channels: str = "rgb"
    invert: bool = False
    scaling: Any = ()
    cast: str | None = None
    layout: str = "channels_last"
    decoding: Decoding = Decoding()  # noqa: RUF009  frozen
    pillow: float = 0

    def __post_init__(self) -> None:
        for operation in PIPELINE:
            for name, check in operation.fields.items():
                object.__setattr__(self, name, check(name, getattr(self, name)))
        if self.filter in SAMPLERS or self.pillow == PILLOW:
            object.__setattr__(self, "pillow", 0)
        wrong = {part.channels for part in self.scaling} - {None, self.channel_count}
        if wrong:
            expected = (
                f"mean and std for {self.channel_count} channels ({self.channels})"
            )
            raise ValueError(f"Expected {expected}, received {wrong.pop()}")

    @property
    def channel_count(self) -> int:
        """How many channels the tensor has."""
        return 1 if self.channels == "gray" else 3

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed.

        Raises
        ------
        TypeError
            For a field that does not exist; the message names the nearest one.
        """
        return replace(self, **changes)


def _depth_words(p: Pipeline) -> str:
    return "divided by 257" if p.decoding.depth == "scale" else "clipped at 255"


def _before_words(p: Pipeline) -> str:
    return "none" if p.thumbnail is None else f"at most {sides(p.thumbnail)} first"


def _orders(p: Pipeline) -> Iterable[Changes]:
    return (
        () if p.channels == "gray" else _values("channels", "rgb", "bgr", "gray_rgb")(p)
    )


def _fit_words(p: Pipeline) -> str:
    if "crop" in p.fit:
        return f"{p.fit} of {100 * p.crop_fraction:.4g} %"
    return f"{p.fit} on {p.fill}" if p.fit != "squash" else p.fit


def _values(name: str, *values: Any) -> Tried:
    return lambda _: ({name: value} for value in values)


def _decodings(name: str, *values: Any) -> Tried:
    return lambda p: (
        {"decoding": replace(p.decoding, **{name: value})} for value in values
    )


def _if_sized(*tried: Changes) -> Tried:
    return lambda p: tried if p.size else ()


def _scalings(p: Pipeline) -> Iterator[Changes]:
    half = len(p.scaling) // 2
    if half and p.scaling[:half] == p.scaling[half:]:
        yield {"scaling": p.scaling[:half]}
    yield from (
        {"scaling": each} for each in SCALINGS.values() if fits(each, p.channel_count)
    )


def _layouts(p: Pipeline) -> Iterator[Changes]:
    # A network that takes scrambled images does not exist; exchanged axes come with some data sets.
    yield {"layout": "channels_last"}
    if p.layout == "channels_last" and p.size is not None and p.size[0] == p.size[1]:
        yield {"layout": "transposed"}


def _said(field: str, words: str, otherwise: str) -> Words:
    value = attrgetter(field)
    return lambda p: words.format(value(p)) if value(p) else otherwise


_SIZE = optional(partial(integers, names=("height", "width"), low=1, high=LARGEST_SIDE))
MATTES = (255, 255, 255), (0, 0, 0), None
_EXIF = _said("decoding.exif", "applied", "ignored")
_ALPHA = _said("decoding.matte", "laid over {}", "dropped")
_DECODE = (
    Choice("exif", "exif_orientation", _EXIF, _decodings("exif", True), "EXIF"),
    Choice("alpha", "alpha_matte", _ALPHA, _decodings("matte", *MATTES)),
    Choice("depth", "bit_depth", _depth_words, _decodings("depth", "scale"), "16 bit"),
)
_FILTERS = _if_sized(
    *({"filter": name} for name in ("nearest", "bilinear", "bicubic", "tf_bilinear"))
)
_WINDOWS = ("squash", 1.0), ("crop", 1.0), ("crop", 0.875), ("letterbox", 1.0)
_FITS = _if_sized(*({"fit": fit, "crop_fraction": part} for fit, part in _WINDOWS))
_RESIZE = (
    Choice("size", "", lambda p: "as it comes" if p.size is None else sides(p.size)),
    Choice("filter", "resize_filter", attrgetter("filter"), _FILTERS),
    Choice("fit", "resize_fit", _fit_words, _FITS),
)
_BEFORE = Choice("thumbnail", "target_size", _before_words, _values("thumbnail", None))
_CHANNELS = Choice(
    "channels", "grayscale channel_order", attrgetter("channels"), _orders
)
_INVERTED = _said("invert", "inverted", "as it is")
_POLARITY = Choice(
    "polarity", "inverted_polarity", _INVERTED, _values("invert", True, False)
)
_SCALING_CAUSES = "missing_scaling double_scaling wrong_range wrong_mean_std"
_SCALING = Choice(
    "scaling", _SCALING_CAUSES, lambda p: scaling_words(p.scaling), _scalings
)
_CASTS = _said("cast", "to {} after scaling", "none")
_CAST = Choice("cast", "dtype_cast", _CASTS, _values("cast", None))
_LAYOUT = Choice("layout", "channel_layout", attrgetter("layout"), _layouts)

PIPELINE: tuple[Operation, ...] = (
    Operation(
        "decode",
        lambda photo, decoding: photo.decoded(decoding).pixels,
        {"decoding": partial(instance, kind=Decoding, words="a kit.images.Decoding")},
        _DECODE,
        line=lambda p: "; ".join(
            f"{each.title or each.name} {each.words(p)}" for each in _DECODE
        ),
    ),
    Operation("thumbnail", shrink, {"thumbnail": _SIZE}, (_BEFORE,)),
    Operation(
        "resize",
        resize,
        {
            "size": _SIZE,
            "filter": partial(known, names=FILTERS),
            "fit": partial(known, names=FITS),
            # The largest images have 50 million pixels: of a side, less than this is nothing.
            "crop_fraction": partial(number, low=1e-8, high=1),
            "fill": partial(integers, names=("red", "green", "blue"), low=0, high=255),
            "pillow": partial(number, low=0, high=1000),
        },
        _RESIZE,
        line=lambda p: (
            f"to {sides(p.size or (0, 0))}, filter {p.filter}, {_fit_words(p)} ({FITS[p.fit]})"
        ),
    ),
    Operation(
        "channels",
        order_channels,
        {"channels": lambda _, value: known("channel order", value, CHANNELS)},
        (_CHANNELS,),
        restore_channels,
        lambda p: f"{p.channels} ({CHANNELS[p.channels]})",
    ),
    Operation(
        "polarity",
        invert,
        {"invert": partial(instance, kind=bool, words="True or False")},
        (_POLARITY,),
        invert,
    ),
    Operation(
        "scaling",
        scale,
        {"scaling": lambda _, value: as_scalings(value)},
        (_SCALING,),
        unscale,
    ),
    Operation(
        "cast",
        cast_uint8,
        {"cast": optional(partial(known, names=("uint8",)))},
        (_CAST,),
    ),
    Operation(
        "layout",
        # The leading axis comes with the layout, if there are not many images already.
        lambda x, layout: arrange(x if x.ndim == 4 else x[None], layout),
        {"layout": partial(known, names=LAYOUTS)},
        (_LAYOUT,),
        arrange_back,
        lambda p: f"{p.layout} {LAYOUTS[p.layout]}",
    ),
)
"""Every step, in the order in which they run."""
_PLACE = next(
    place for place, operation in enumerate(PIPELINE, 1) if operation.name == "resize"
)
CHOICES = tuple(choice for operation in PIPELINE for choice in operation.choices)
TO_SIZE, TO_TENSOR = PIPELINE[:_PLACE], PIPELINE[_PLACE:]
"""The steps from a photo to the network's size, and those after it, which take many images as well."""
