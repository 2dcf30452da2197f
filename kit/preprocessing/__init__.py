"""Preprocessing: how a photograph becomes the tensor that a network sees, as one frozen value."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kit._checking import fraction, integers, known, refuse_unknown
from kit.images import Decoding, Source, load_image
from kit.preprocessing.applications import fields_for
from kit.preprocessing.black_box import Function, compare_function
from kit.preprocessing.comparison import Comparison, compare_values, describe
from kit.preprocessing.configs import read
from kit.preprocessing.resizing import FILTERS, FITS, LARGEST_SIDE, Size, resize
from kit.preprocessing.scaling import SCALINGS, Float32, Scaling, Scalings, as_scalings, scale_in_place
from kit.preprocessing.steps import (
    CHANNELS,
    LAYOUTS,
    arrange,
    arrange_back,
    cast_uint8,
    invert,
    order_channels,
    shrink,
)

FORMAT, VERSION = "kit.preprocessing", 1


@dataclass(frozen=True)
class Step:
    """What one step left behind: its name and a read-only array."""

    name: str
    array: NDArray[Any]

    def __repr__(self) -> str:
        low, high = self.array.min(), self.array.max()
        return f"Step({self.name!r}, {self.array.dtype} {self.array.shape}, {low:g}..{high:g})"


class _ScalingField:
    """Lets the field `scaling` be given in every form that `as_scalings` takes, and be read as a tuple."""

    def __get__(self, instance: object, owner: type) -> Scalings:
        return () if instance is None else instance.__dict__["scaling"]

    def __set__(self, instance: object, value: str | Scaling | Sequence[str | Scaling]) -> None:
        instance.__dict__["scaling"] = as_scalings(value)


@dataclass(frozen=True, repr=False)
class Preprocessing:
    """The steps from a photograph to a tensor.

    Their order: decode, thumbnail, resize, channels, invert, scale, cast, layout.

    Parameters
    ----------
    size
        (height, width) of the tensor; None leaves resizing out.
    filter, fit
        A name of `kit.preprocessing.resizing.FILTERS` and one of `kit.preprocessing.resizing.FITS`.
    crop_fraction
        The part of each side that the fits with "crop" in their name keep, in (0, 1].
    fill
        RGB levels around what the fits "letterbox" and "pad" leave empty.
    thumbnail
        (height, width) into which the picture is shrunk beforehand, in proportion, by `Image.thumbnail`.
    channels
        A name of `kit.preprocessing.steps.CHANNELS`.
    invert
        Whether levels x become 255 - x.
    scaling
        A name of `SCALINGS`, a Scaling, or a sequence of them; kept as a tuple of Scaling.
    cast
        "uint8" cuts the decimals off after scaling and wraps around at 256, a frequent mistake.
    layout
        A name of `kit.preprocessing.steps.LAYOUTS`.
    decoding
        How a file becomes RGB.
    notes
        In words, what an import could not express exactly; takes no part in comparisons.

    Raises
    ------
    TypeError, ValueError
        With one line that says what was expected and received.
    """

    size: Size | None = (224, 224)
    filter: str = "bilinear"
    fit: str = "squash"
    crop_fraction: float = 1.0
    fill: tuple[int, int, int] = (0, 0, 0)
    thumbnail: Size | None = None
    channels: str = "rgb"
    invert: bool = False
    scaling: _ScalingField = _ScalingField()
    cast: str | None = None
    layout: str = "channels_last"
    decoding: Decoding = Decoding()  # noqa: RUF009  frozen
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        for name, value in _checked(self).items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        names = {value: name for name, value in SCALINGS.items()}
        values = {part.name: getattr(self, part.name) for part in fields(self) if part.compare}
        shown = (
            f"{name}={names.get(value, value) if name == 'scaling' else value!r}"
            for name, value in values.items()
            if value != getattr(type(self), name)
        )
        return f"Preprocessing({', '.join(shown)})"

    @property
    def input_shape(self) -> tuple[int, int, int] | None:
        """(H, W, C) of the tensor before the layout step; None where the photo decides the size."""
        return None if self.size is None else (*self.size, self.channel_count)

    @property
    def channel_count(self) -> int:
        """How many channels the tensor has."""
        return 1 if self.channels == "gray" else 3

    def apply(self, photo: Source) -> Float32:
        """Return the tensor of one photo, or of anything that `kit.load_image` opens.

        Returns
        -------
        array
            float32 in new memory, (1, H, W, C), or (1, C, H, W) for the layout "channels_first".
        """
        result: NDArray[Any] = load_image(photo).decoded(self.decoding).pixels
        for _, function in _STEPS:
            result = function(self, result)
        return result

    def steps(self, photo: Source) -> tuple[Step, ...]:
        """Return what each step leaves of a photo; the last array equals `apply`."""
        result: NDArray[Any] = load_image(photo).decoded(self.decoding).pixels
        steps = [Step("decode", _read_only(result))]
        for name, function in _STEPS:
            result = function(self, result)
            steps.append(Step(name, _read_only(result)))
        return tuple(steps)

    def picture(self, tensor: ArrayLike) -> NDArray[np.uint8]:
        """Return what a network that expects this preprocessing sees in a tensor, as RGB.

        Layout, scaling, inversion and channel order are undone; resizing and a cast are not.

        Parameters
        ----------
        tensor
            Any number type, one picture with or without the leading axis of 1, in this value's layout.

        Returns
        -------
        array
            uint8 (H, W, 3), rounded and clipped to 0..255; not-a-number becomes 0.

        Raises
        ------
        ValueError
            If the tensor cannot have this layout.
        """
        given = np.asarray(tensor, dtype=np.float32)
        x = given[0] if given.ndim == 4 and given.shape[0] == 1 else given
        first = self.layout == "channels_first"
        if x.ndim != 3 or x.shape[0 if first else -1] != self.channel_count:
            shape = f"{self.channel_count}, H, W" if first else f"H, W, {self.channel_count}"
            raise ValueError(f"Expected a tensor of shape (1, {shape}) or ({shape}), received {given.shape}")
        x = arrange_back(x, self.layout)
        for scaling in reversed(self.scaling):
            x = scaling.invert(x)
        if self.invert:
            x = np.float32(255) - x
        if self.channels == "bgr":
            x = x[..., ::-1]
        levels = np.nan_to_num(np.rint(x), nan=0.0).clip(0, 255).astype(np.uint8)
        return np.repeat(levels, 3, axis=-1) if self.channels == "gray" else np.ascontiguousarray(levels)

    def describe(self) -> tuple[str, ...]:
        """Return one line in words for each step that does something."""
        return describe(self)

    def compare(self, other: "Preprocessing | Function", photo: Source | None = None) -> Comparison:
        """Find out how another preprocessing, or a person's own function, differs from this one.

        Parameters
        ----------
        other
            A Preprocessing, or a function from RGB uint8 (H, W, 3) to anything that ``np.asarray`` takes, as
            `kit.preprocessing.black_box.compare_function` says.
        photo
            Where the first step at which the tensors part is looked for.

        Returns
        -------
        comparison
            Print it to read it; `differences`, `first_step` and `steps` are for programs.

        Raises
        ------
        TypeError
            If `other` is neither. What a function raises is a difference, not an error.
        """
        if isinstance(other, Preprocessing):
            return compare_values(self, other, photo)
        if not callable(other):
            raise TypeError(f"Expected a Preprocessing or a function to compare with, received {other!r}")
        return compare_function(self, other, photo)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed.

        Raises
        ------
        TypeError
            For a field that does not exist; the message names the nearest one.
        """
        refuse_unknown(changes, _FIELDS)
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return this value as plain lists, numbers and texts, with its format and version."""
        return {"format": FORMAT, "version": VERSION, **json.loads(json.dumps(asdict(self)))}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the value that `to_dict` wrote; fields left out have their defaults.

        Raises
        ------
        TypeError, ValueError
            For another format or version, an unknown key (the message names the nearest one) or a bad value.
        """
        if not isinstance(data, Mapping):
            raise TypeError(f"Expected a preprocessing as a JSON object, received {type(data).__name__}")
        received = data.get("format"), data.get("version")
        if received != (FORMAT, VERSION):
            raise ValueError(
                f"Expected format {FORMAT!r} in version {VERSION}, received {received}; "
                "files of KerasHub, Hugging Face and timm are for Preprocessing.from_config"
            )
        refuse_unknown(data, ("format", "version", *_FIELDS))
        changes = {name: value for name, value in data.items() if name in _FIELDS}
        if isinstance(changes.get("scaling"), list):
            changes["scaling"] = [_built(Scaling, "scaling", part) for part in changes["scaling"]]
        if "decoding" in changes:
            changes["decoding"] = _built(Decoding, "decoding", changes["decoding"])
        return cls(**changes)

    @classmethod
    def for_application(cls, name: str) -> Self:
        """Return what a family or a model of ``keras.applications`` expects, as its ``preprocess_input``.

        Equal bit for bit; `notes` says which families scale inside the network.

        Parameters
        ----------
        name
            A module ("mobilenet_v2") or a model ("MobileNetV2"), which sets the size.

        Raises
        ------
        ValueError
            For another name; the message gives the nearest one.
        """
        return cls(**fields_for(name))

    @classmethod
    def from_config(cls, config: str | Path | Mapping[str, Any]) -> Self:
        """Return what a file of KerasHub, Hugging Face or timm describes; see `read`.

        `notes` says what the file leaves open or this value expresses only nearly.

        Raises
        ------
        ValueError, TypeError, OSError
            For a file that is none of these or describes what cannot be expressed.
        """
        return cls(**read(config))

    def to_json(self) -> str:
        """Return this value as JSON text; `from_json` gives back an equal value, to the last bit."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the value that `to_json` wrote; raises as `from_dict`, and a ValueError if it is no JSON."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"Expected a preprocessing as JSON, received text that is not ({error})"
            ) from error
        return cls.from_dict(data)


# One function for each step, taking the preprocessing and what the step before it left behind.
_STEPS: tuple[tuple[str, Callable[[Preprocessing, Any], Any]], ...] = (
    ("thumbnail", lambda p, x: x if p.thumbnail is None else shrink(x, p.thumbnail)),
    (
        "resize",
        lambda p, x: x if p.size is None else resize(x, p.size, p.filter, p.fit, p.crop_fraction, p.fill),
    ),
    ("channels", lambda p, x: order_channels(x, p.channels)),
    ("invert", lambda p, x: invert(x) if p.invert else x),
    ("scale", lambda p, x: scale_in_place(x.astype(np.float32, order="C"), p.scaling)),
    ("cast", lambda p, x: x if p.cast is None else cast_uint8(x)),
    ("layout", lambda p, x: arrange(x, p.layout)[None]),
)
_FIELDS = tuple(part.name for part in fields(Preprocessing))


def _checked(p: Preprocessing) -> dict[str, Any]:
    count = 1 if known("channel order", p.channels, CHANNELS) == "gray" else 3
    for part in p.scaling:
        if part.channels not in {None, count}:
            raise ValueError(
                f"Expected mean and std for {count} channels ({p.channels}), received {part.channels}"
            )
    if not isinstance(p.invert, bool):
        raise TypeError(f"Expected invert as True or False, received {p.invert!r}")
    if not isinstance(p.decoding, Decoding):
        raise TypeError(f"Expected decoding as a kit.images.Decoding, received {p.decoding!r}")
    if not isinstance(p.notes, (tuple, list)) or not all(isinstance(note, str) for note in p.notes):
        raise TypeError(f"Expected notes as texts, received {p.notes!r}")
    sides = ("height", "width")
    return {
        "size": None if p.size is None else integers("size", p.size, sides, 1, LARGEST_SIDE),
        "filter": known("filter", p.filter, FILTERS),
        "fit": known("fit", p.fit, FITS),
        "crop_fraction": fraction("crop_fraction", p.crop_fraction),
        "fill": integers("fill", p.fill, ("red", "green", "blue"), 0, 255),
        "thumbnail": None
        if p.thumbnail is None
        else integers("thumbnail", p.thumbnail, sides, 1, LARGEST_SIDE),
        "cast": None if p.cast is None else known("cast", p.cast, ("uint8",)),
        "layout": known("layout", p.layout, LAYOUTS),
        "notes": tuple(p.notes),
    }


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _built(kind: type[Any], what: str, value: Any) -> Any:
    """Return a frozen value from its JSON object."""
    if not isinstance(value, Mapping):
        raise TypeError(f"Expected {what} as a JSON object, received {value!r}")
    refuse_unknown(value, [part.name for part in fields(kind)])
    return kind(**value)


_TRAINING = Preprocessing(scaling="imagenet", layout="channels_first")
ARTICLE: Mapping[str, Preprocessing] = MappingProxyType(
    {
        "training": _TRAINING,
        "inference_incorrect": _TRAINING.replace(scaling="0..1"),
        "inference_correct": _TRAINING.replace(),
    }
)
"""The three functions of the article that started the project: training, an inference that forgets mean and
standard deviation, and an inference that mirrors the training."""
