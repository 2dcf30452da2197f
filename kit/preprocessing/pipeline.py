"""The steps of a preprocessing and how each runs and is undone."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np

from kit._arrays import Array, Float32, Levels
from kit._checking import instance, integers, meant, number, optional
from kit.images.opening import Decoding
from kit.preprocessing.resizing import (
    FILTERS,
    FITS,
    LARGEST_SIDE,
    PILLOW,
    SAMPLERS,
    WITH_BARS,
    Size,
    resize,
    shrink,
    size_words,
)
from kit.preprocessing.scaling import (
    MINUS,
    SCALINGS,
    affine,
    as_scalings,
    fits,
    range_words,
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

    Attributes
    ----------
    name, title
        Its key, and what people read if that is another one.
    words
        Say what has been chosen.
    causes
        What it is called to choose wrongly; the first is meant where no fault of the catalogue fits.
    tried
        Changes from what is in use to what may have been in training, as far as evidence can single it out:
        not the reading of a file, which the file itself tells, and no filter.
    sentence, plain
        How a pipeline in use differs from that of training, and what stands there if not `words`.
    """

    name: str
    words: Words
    causes: tuple[str, ...] = ()
    tried: Tried = lambda _: ()
    title: str = ""
    sentence: str = "In your code, the image is {in_use}; in training, it was {right}."
    plain: Words | None = None

    @property
    def label(self) -> str:
        """Its name on the screen, as it begins a line."""
        return self.title or self.name.capitalize()


@dataclass(frozen=True)
class Operation:
    """One step of a preprocessing.

    Attributes
    ----------
    name, run
        Of the step; takes what the operation before it left behind, then the values of the fields.
    fields
        Those that it reads, each with what checks a value by its name. The operation is left out where the
        first one is None or False.
    choices
        What can be chosen wrongly in it.
    undo
        Like `run`, back from a tensor to an image; None where that cannot be.
    line
        What it does in words, if those of its choice do not say it.
    """

    name: str
    run: Callable[..., Any]
    fields: Mapping[str, Callable[[str, Any], Any]]
    choices: tuple[Choice, ...]
    undo: Callable[..., Any] | None = None
    line: Words | None = None

    def field_values(self, p: "Pipeline") -> tuple[Any, ...]:
        """Return the values of the fields that it reads."""
        return tuple(getattr(p, name) for name in self.fields)

    def skipped(self, p: "Pipeline") -> bool:
        """Whether it is left out."""
        # As the fields `thumbnail`, `size`, `invert` and `cast` say.
        first_value = self.field_values(p)[0]
        return first_value is None or first_value is False

    def described(self, p: "Pipeline") -> str:
        """Return what it does, in words."""
        words = self.line or self.choices[0].words
        return words(p)


def run(
    operations: Iterable[Operation], pipeline: "Pipeline", photo_or_array: Any
) -> Any:
    """Return what operations make of a photo, or of what those before them left behind."""
    for operation in operations:
        if not operation.skipped(pipeline):
            photo_or_array = operation.run(
                photo_or_array, *operation.field_values(pipeline)
            )
    return photo_or_array


def run_back(pipeline: "Pipeline", tensor: Array) -> Array:
    """Return what `tensor` was before those operations that can be undone."""
    # Of one image or many. Resizing and a cast cannot be undone: what comes has the network's size.
    for operation in reversed(PIPELINE):
        if operation.undo is not None and not operation.skipped(pipeline):
            tensor = operation.undo(tensor, *operation.field_values(pipeline))
    return tensor


CHANNELS: Mapping[str, str] = {
    "rgb": "red, green, blue",
    "bgr": "blue, green, red (OpenCV, caffe)",
    "gray": "one channel, ITU-R 601 luma as Pillow's mode L",
    "gray_rgb": "grey in all three channels",
}
LAYOUTS: Mapping[str, str] = {
    "channels_last": "(1, H, W, C)",
    "channels_first": "(1, C, H, W)",
    "transposed": "(1, W, H, C), height and width swapped",
    "reshaped": "(1, H, W, C), scrambled by a reshape where a transpose is right",
}
_PILLOW_LUMA_BY_65536 = np.array([19595, 38470, 7471])


def order_channels(pixels: Levels, channels: str) -> Levels:
    """Return RGB (…, 3) in one of the orders of `CHANNELS`; for "rgb" and "bgr" a view."""
    if channels == "rgb":
        return pixels
    if channels == "bgr":
        return pixels[..., ::-1]
    luma = pixels @ _PILLOW_LUMA_BY_65536
    # Whole levels are rounded, by half of the divisor.
    luma = (luma + 0x8000) >> 16 if pixels.dtype == np.uint8 else luma / 0x10000
    grey: Levels = luma.astype(pixels.dtype)[..., None]
    return grey if channels == "gray" else grey.repeat(3, axis=-1)


def restore_channels(x: Array, channels: str) -> Array:
    """Return (…, C) in one of the orders of `CHANNELS` as RGB; what was grey stays grey."""
    if channels == "gray":
        return np.repeat(x, 3, axis=-1)
    return x[..., ::-1] if channels == "bgr" else x


def invert(pixels: Levels, _on: bool = True) -> Levels:
    """Return 255 - x, in the same data type."""
    # `_on` is the value of the field, with which every step is called: True wherever this one runs.
    return pixels.dtype.type(255) - pixels


def cast_uint8(x: Float32, _to: str = "uint8") -> Float32:
    """Return `x` without decimals and modulo 256, as a cast to uint8 leaves it, again as float32."""
    # `_to` is the value of the field, which has no other. Through int64, because a direct cast of negative
    # numbers differs between processors.
    return x.astype(np.int64).astype(np.uint8).astype(np.float32)


def arrange(tensor: Array, layout: str) -> Array:
    """Return (…, H, W, C) in one of the `LAYOUTS`, C-contiguous."""
    if layout == "channels_first":
        tensor = np.moveaxis(tensor, -1, -3)
    elif layout == "transposed":
        tensor = tensor.swapaxes(-3, -2)
    elif layout == "reshaped":
        *leading, height, width, channels = tensor.shape
        # A wrong reshape: the numbers stay in their order and are read as if channels came first.
        tensor = np.moveaxis(tensor.reshape(*leading, channels, height, width), -3, -1)
    # For code that reads the memory as it lies; `tobytes` of a view has this order anyway.
    return np.ascontiguousarray(tensor)


def arrange_back(tensor: Array, layout: str) -> Array:
    """Return the (…, H, W, C) that `arrange` turned into `tensor`."""
    if layout == "channels_first":
        return np.moveaxis(tensor, -3, -1)
    if layout == "transposed":
        return tensor.swapaxes(-3, -2)
    if layout == "reshaped":
        # The original's numbers, in the order (…, H, W, C), were read as (…, C, H, W), whose channels then
        # came last.
        return np.moveaxis(tensor, -1, -3).reshape(tensor.shape)
    return tensor


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
        # Filters of other libraries are the same in all versions of Pillow; 0 is the installed one.
        if self.filter in SAMPLERS or self.pillow == PILLOW:
            object.__setattr__(self, "pillow", 0)
        if not fits(self.scaling, self.channel_count):
            counts = {scaling.channels for scaling in self.scaling}
            received = counts - {None, self.channel_count}
            raise ValueError(
                f"Expected as many means and stds as channels"
                f" ({self.channel_count}, {self.channels}), received {received.pop()}"
            )

    @property
    def channel_count(self) -> int:
        """How many channels the tensor has."""
        return 1 if self.channels == "gray" else 3

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed; TypeError for an unknown one, which names the nearest."""
        return replace(self, **changes)


def _exif_words(p: Pipeline) -> str:
    return "applied" if p.decoding.exif else "ignored"


def _alpha_words(p: Pipeline) -> str:
    matte = p.decoding.matte
    return "dropped" if matte is None else f"laid over {matte}"


def _depth_words(p: Pipeline) -> str:
    return "divided by 257" if p.decoding.depth == "scale" else "clipped at 255"


def fit_words(p: Pipeline) -> str:
    """Say which part of an image is shown."""
    if "crop" in p.fit:
        return f"{p.fit} of {100 * p.crop_fraction:.4g} %"
    return f"{p.fit} on {p.fill}" if p.fit != "squash" else p.fit


def decoding_changes(p: Pipeline, **changes: Any) -> Changes:
    """Return the change of a pipeline that changes fields of its decoding."""
    return {"decoding": replace(p.decoding, **changes)}


def _range_words(pipeline: Pipeline) -> str:
    _, offset = affine(pipeline.scaling)
    # One mean for each channel may stand for others near it: ImageNet's for those of a training's own images.
    about = "about " if offset.ndim else ""
    words = about + range_words(pipeline.scaling)
    formula = scaling_words(pipeline.scaling)
    if words.replace(MINUS, "-") in SCALINGS and words != formula:
        # Whoever reads the range alone would scale to it exactly.
        words = f"about {words}: {formula}"
    return words


def _scalings_tried(in_use: Pipeline) -> Iterator[Changes]:
    # What is done twice may have to be done once.
    half_length = len(in_use.scaling) // 2
    if half_length and in_use.scaling[:half_length] == in_use.scaling[half_length:]:
        yield {"scaling": in_use.scaling[:half_length]}
    # The one in use may be among them; whoever tries them leaves it out.
    for named_scaling in SCALINGS.values():
        if fits(named_scaling, in_use.channel_count):
            yield {"scaling": named_scaling}


def _fits_tried(in_use: Pipeline) -> Iterator[Changes]:
    # Bars are seen, but not whether an image was squashed or cropped: squashing costs EfficientNet-Lite1
    # hardly any certainty (0.06 nats) on photos with a known class.
    fits_and_fractions = [("letterbox", 1.0)]
    if in_use.fit in WITH_BARS:
        fits_and_fractions = [("squash", 1.0), ("crop", 1.0), ("crop", 0.875)]
    for fit, fraction in fits_and_fractions:
        if in_use.size:
            yield {"fit": fit, "crop_fraction": fraction}


def _layouts_tried(in_use: Pipeline) -> Iterator[Changes]:
    # Not "reshaped": no network takes scrambled images. Exchanged axes come with data sets such as EMNIST.
    # Whoever tries these leaves out what is in use already. Only a square keeps its shape.
    yield {"layout": "channels_last"}
    if (
        in_use.layout == "channels_last"
        and in_use.size is not None
        and in_use.size[0] == in_use.size[1]
    ):
        yield {"layout": "transposed"}


_checked_size = optional(
    partial(integers, names=("height", "width"), low=1, high=LARGEST_SIDE)
)

PIPELINE: tuple[Operation, ...] = (
    Operation(
        name="decode",
        run=lambda photo, decoding: photo.decoded(decoding).pixels,
        fields={"decoding": partial(instance, kind=Decoding, words="a kit.Decoding")},
        choices=(
            Choice(
                name="exif",
                title="EXIF orientation",
                words=_exif_words,
                causes=("exif_orientation",),
                sentence="In your code, the EXIF orientation is {in_use}; in training, it was {right}.",
            ),
            Choice(
                name="alpha",
                title="Transparency",
                words=_alpha_words,
                causes=("alpha_matte",),
                sentence="In your code, transparency is {in_use}; it may have to be {right}.",
            ),
            Choice(
                name="depth",
                title="16-bit image",
                words=_depth_words,
                causes=("bit_depth",),
                sentence="In your code, a 16-bit image is {in_use}; in training, it was {right}.",
            ),
        ),
        line=lambda p: (
            f"EXIF {_exif_words(p)}; alpha {_alpha_words(p)}; 16 bit {_depth_words(p)}"
        ),
    ),
    Operation(
        name="thumbnail",
        run=shrink,
        fields={"thumbnail": _checked_size},
        choices=(
            Choice(
                name="thumbnail",
                words=lambda p: (
                    f"at most {size_words(p.thumbnail)} first"
                    if p.thumbnail
                    else "none"
                ),
                causes=("target_size",),
                plain=lambda p: (
                    f"shrunk to at most {size_words(p.thumbnail)} first"
                    if p.thumbnail
                    else "not shrunk first"
                ),
                tried=lambda _: [{"thumbnail": None}],
            ),
        ),
    ),
    Operation(
        name="resize",
        run=resize,
        fields={
            "size": _checked_size,
            "filter": partial(meant, names=FILTERS),
            "fit": partial(meant, names=FITS),
            # The largest images have 50 million pixels: of a side, less than this is nothing.
            "crop_fraction": partial(number, low=1e-8, high=1),
            "fill": partial(integers, names=("red", "green", "blue"), low=0, high=255),
            "pillow": partial(number, low=0, high=1000),
        },
        choices=(
            Choice(
                name="size",
                words=lambda p: size_words(p.size) if p.size else "as it comes",
            ),
            Choice(
                name="filter",
                words=lambda p: p.filter,
                causes=("resize_filter",),
                sentence="Your code resizes with the filter {in_use}; this model was trained with {right}.",
            ),
            Choice(
                name="fit",
                words=fit_words,
                causes=("resize_fit",),
                sentence="Your code uses {in_use}; this model was trained on {right}.",
                plain=lambda p: (
                    "the whole image" if p.fit == "squash" else f"a {fit_words(p)}"
                ),
                tried=_fits_tried,
            ),
        ),
        line=lambda p: (
            f"to {size_words(p.size or (0, 0))}, filter {p.filter}, {fit_words(p)}: {FITS[p.fit]}"
        ),
    ),
    Operation(
        name="channels",
        run=order_channels,
        undo=restore_channels,
        fields={"channels": lambda _, value: meant("channel order", value, CHANNELS)},
        choices=(
            Choice(
                name="channels",
                words=lambda p: p.channels,
                causes=("grayscale", "channel_order"),
                sentence="Your code passes {in_use}; this model was trained on {right}.",
                plain=lambda p: CHANNELS[p.channels],
                tried=lambda p: [
                    {"channels": order}
                    for order in ("rgb", "bgr", "gray_rgb")
                    if p.channels != "gray"
                ],
            ),
        ),
        line=lambda p: f"{p.channels} ({CHANNELS[p.channels]})",
    ),
    Operation(
        name="polarity",
        run=invert,
        undo=invert,
        fields={"invert": partial(instance, kind=bool, words="True or False")},
        choices=(
            Choice(
                name="polarity",
                words=lambda p: "inverted" if p.invert else "as it is",
                causes=("inverted_polarity",),
                plain=lambda p: "inverted" if p.invert else "not inverted",
                tried=lambda p: [{"invert": not p.invert}],
            ),
        ),
    ),
    Operation(
        name="scaling",
        run=scale,
        undo=unscale,
        fields={"scaling": lambda _, value: as_scalings(value)},
        choices=(
            Choice(
                name="scaling",
                words=lambda p: scaling_words(p.scaling),
                causes=(
                    "missing_scaling",
                    "double_scaling",
                    "wrong_range",
                    "wrong_mean_std",
                ),
                sentence="Your code scales pixels to {in_use}; this model was trained on {right}.",
                plain=_range_words,
                tried=_scalings_tried,
            ),
        ),
    ),
    Operation(
        name="cast",
        run=cast_uint8,
        fields={"cast": optional(partial(meant, names=("uint8",)))},
        choices=(
            Choice(
                name="cast",
                words=lambda p: f"to {p.cast} after scaling" if p.cast else "none",
                causes=("dtype_cast",),
                plain=lambda p: (
                    f"cast to {p.cast} after scaling" if p.cast else "not cast"
                ),
                tried=lambda _: [{"cast": None}],
            ),
        ),
    ),
    Operation(
        name="layout",
        # The leading axis comes with the layout, if there are not many images already.
        run=lambda x, layout: arrange(x if x.ndim == 4 else x[None], layout),
        undo=arrange_back,
        fields={"layout": partial(meant, names=LAYOUTS)},
        choices=(
            Choice(
                name="layout",
                words=lambda p: p.layout,
                causes=("channel_layout",),
                sentence="In your code, the tensor is {in_use}; in training, it was {right}.",
                plain=lambda p: LAYOUTS[p.layout],
                tried=_layouts_tried,
            ),
        ),
        line=lambda p: f"{p.layout} {LAYOUTS[p.layout]}",
    ),
)
"""Every step, in the order in which they run."""
CHOICES = tuple(choice for operation in PIPELINE for choice in operation.choices)


_RESIZED = [operation.name for operation in PIPELINE].index("resize") + 1
TO_SIZE = PIPELINE[:_RESIZED]
"""The steps from a photo to the network's size."""
TO_TENSOR = PIPELINE[_RESIZED:]
"""Those after it, which take many images as well."""
