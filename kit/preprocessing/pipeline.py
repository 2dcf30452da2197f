"""The fields of a preprocessing, and the table of its steps, in the order in which they run.

`apply`, `steps`, `describe`, `compare`, the catalogue of faults, the explorer's menus and the candidates of a
diagnosis all read this table.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, Self

from kit._checking import fraction, instance, integers, known, optional, refuse_unknown
from kit.images import Decoding
from kit.preprocessing import steps
from kit.preprocessing.operations import Changes, Choice, Operation, Tried
from kit.preprocessing.resizing import FILTERS, FITS, LARGEST_SIDE, Size, fit_words, resize, sides
from kit.preprocessing.scaling import MINUS, SCALINGS, ScalingField, scale, scaling_words, unscale


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
    scaling: ScalingField = ScalingField()  # noqa: RUF009  without a state
    cast: str | None = None
    layout: str = "channels_last"
    decoding: Decoding = Decoding()  # noqa: RUF009  frozen
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        for operation in PIPELINE:
            for name, check in operation.fields.items():
                object.__setattr__(self, name, check(name, getattr(self, name)))
        for part in self.scaling:
            if part.channels not in {None, self.channel_count}:
                raise ValueError(
                    f"Expected mean and std for {self.channel_count} channels ({self.channels}), "
                    f"received {part.channels}"
                )
        if not isinstance(self.notes, (tuple, list)) or not all(isinstance(note, str) for note in self.notes):
            raise TypeError(f"Expected notes as texts, received {self.notes!r}")
        object.__setattr__(self, "notes", tuple(self.notes))

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
        refuse_unknown(changes, [part.name for part in fields(self)])
        return replace(self, **changes)


def _exif_words(p: Pipeline) -> str:
    return "applied" if p.decoding.exif else "ignored"


def _alpha_words(p: Pipeline) -> str:
    return "dropped" if p.decoding.matte is None else f"laid over {p.decoding.matte}"


def _depth_words(p: Pipeline) -> str:
    return "divided by 257" if p.decoding.depth == "scale" else "cut at 255"


def _decode_words(p: Pipeline) -> str:
    return "; ".join(f"{choice.title or choice.name} {choice.words(p)}" for choice in PIPELINE[0].choices)


def _before_words(p: Pipeline) -> str:
    return "none" if p.thumbnail is None else f"at most {sides(p.thumbnail)} first"


def _fit_words(p: Pipeline) -> str:
    return fit_words(p.fit, p.crop_fraction, p.fill)


def _polarity_words(p: Pipeline) -> str:
    return "inverted" if p.invert else "as it is"


def _cast_words(p: Pipeline) -> str:
    return "none" if p.cast is None else f"to {p.cast} after scaling"


def _values(name: str, *values: Any) -> Tried[Pipeline]:
    return lambda _: ({name: value} for value in values)


def _decodings(name: str, *values: Any) -> Tried[Pipeline]:
    return lambda p: ({"decoding": replace(p.decoding, **{name: value})} for value in values)


def other_decodings(decoding: Decoding) -> Iterable[Decoding]:
    """Yield every decoding that differs in one choice."""
    choices: dict[str, tuple[Any, ...]] = {
        "exif": (True, False),
        "matte": _MATTES,
        "depth": ("scale", "clip"),
    }
    for name, values in choices.items():
        yield from (
            replace(decoding, **{name: value}) for value in values if value != getattr(decoding, name)
        )


def _resized(*changes: Changes) -> Tried[Pipeline]:
    return lambda p: () if p.size is None else changes


def _orders(p: Pipeline) -> Iterable[Changes]:
    return () if p.channels == "gray" else _values("channels", "rgb", "bgr", "gray_rgb")(p)


def _scalings(p: Pipeline) -> Iterable[Changes]:
    half = len(p.scaling) // 2
    if half and p.scaling[:half] == p.scaling[half:]:
        yield {"scaling": p.scaling[:half]}
    for scaling in SCALINGS.values():
        if p.channels != "gray" or all(part.channels is None for part in scaling):
            yield {"scaling": scaling}


def _layouts(p: Pipeline) -> Iterable[Changes]:
    # A network that takes scrambled pictures does not exist; exchanged axes come with some data sets.
    yield {"layout": "channels_last"}
    if p.layout == "channels_last" and p.size is not None and p.size[0] == p.size[1]:
        yield {"layout": "transposed"}


_SIZE = optional(partial(integers, names=("height", "width"), low=1, high=LARGEST_SIDE))
_FILTERS = [{"filter": name} for name in ("nearest", "bilinear", "bicubic", "tf_bilinear")]
_FITS = [
    {"fit": fit, "crop_fraction": part}
    for fit, part in (("squash", 1.0), ("crop", 1.0), ("crop", 0.875), ("letterbox", 1.0))
]

_MATTES = (255, 255, 255), (0, 0, 0), None
_SCALING_CAUSES = ("missing_scaling", "double_scaling", "wrong_range", "wrong_mean_std")
_EXIF = Choice(
    "exif", "Orientation", _exif_words, ("exif_orientation",), _decodings("exif", True), "EXIF orientation"
)
_ALPHA = Choice("alpha", "Transparency", _alpha_words, ("alpha_matte",), _decodings("matte", *_MATTES))
_DEPTH = Choice(
    "depth", "16-bit pictures", _depth_words, ("bit_depth",), _decodings("depth", "scale"), "16 bit"
)
_BEFORE = Choice("thumbnail", "Size before", _before_words, ("target_size",), _values("thumbnail", None))
_TO = Choice[Pipeline]("size", "", lambda p: "as it comes" if p.size is None else sides(p.size))
_FILTER = Choice("filter", "Resize filter", lambda p: p.filter, ("resize_filter",), _resized(*_FILTERS))
_FIT = Choice("fit", "Resize fit", _fit_words, ("resize_fit",), _resized(*_FITS))
_CHANNELS = Choice("channels", "Channels", lambda p: p.channels, ("grayscale", "channel_order"), _orders)
_POLARITY = Choice(
    "polarity", "Polarity", _polarity_words, ("inverted_polarity",), _values("invert", True, False)
)
_SCALING = Choice("scaling", "Scaling", lambda p: scaling_words(p.scaling), _SCALING_CAUSES, _scalings)
_CAST = Choice("cast", "Data type", _cast_words, ("dtype_cast",), _values("cast", None))
_LAYOUT = Choice("layout", "Layout", lambda p: p.layout, ("channel_layout",), _layouts)

PIPELINE: tuple[Operation[Pipeline], ...] = (
    Operation(
        "decode",
        lambda photo, decoding: photo.decoded(decoding).pixels,
        {"decoding": partial(instance, kind=Decoding, words="a kit.images.Decoding")},
        (_EXIF, _ALPHA, _DEPTH),
        line=_decode_words,
    ),
    Operation("thumbnail", steps.shrink, {"thumbnail": _SIZE}, (_BEFORE,)),
    Operation(
        "resize",
        resize,
        {
            "size": _SIZE,
            "filter": partial(known, names=FILTERS),
            "fit": partial(known, names=FITS),
            "crop_fraction": fraction,
            "fill": partial(integers, names=("red", "green", "blue"), low=0, high=255),
        },
        (_TO, _FILTER, _FIT),
        line=lambda p: f"to {sides(p.size or (0, 0))}, filter {p.filter}, {_fit_words(p)} ({FITS[p.fit]})",
    ),
    Operation(
        "channels",
        steps.order_channels,
        {"channels": lambda _, value: known("channel order", value, steps.CHANNELS)},
        (_CHANNELS,),
        steps.restore_channels,
        lambda p: f"{p.channels} ({steps.CHANNELS[p.channels]})",
    ),
    Operation(
        "invert",
        lambda x, _: steps.invert(x),
        {"invert": partial(instance, kind=bool, words="True or False")},
        (_POLARITY,),
        lambda x, _: steps.invert(x),
        lambda _: f"255 {MINUS} x",
    ),
    # The field is checked by ScalingField.
    Operation("scale", scale, {"scaling": lambda _, value: value}, (_SCALING,), unscale),
    Operation("cast", steps.cast_uint8, {"cast": optional(partial(known, names=("uint8",)))}, (_CAST,)),
    Operation(
        "layout",
        # The leading axis comes with the layout, if there are not many pictures already.
        lambda x, layout: steps.arrange(x if x.ndim == 4 else x[None], layout),
        {"layout": partial(known, names=steps.LAYOUTS)},
        (_LAYOUT,),
        steps.arrange_back,
        lambda p: f"{p.layout} {steps.LAYOUTS[p.layout]}",
    ),
)
"""Every step, in the order in which they run."""
_PLACE = next(place for place, operation in enumerate(PIPELINE, 1) if operation.name == "resize")
TO_SIZE, TO_TENSOR = PIPELINE[:_PLACE], PIPELINE[_PLACE:]
"""The steps from a photo to the network's size, and those after it, which take many pictures as well."""
