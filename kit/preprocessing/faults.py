"""The catalogue of preprocessing faults: each one an edit of a correct preprocessing.

One table with several readers: the explorer's switches, the lessons, and whatever measures or searches for
faults. A fault that changes nothing on a given preprocessing (no colour to swap in a grey network) returns it
unchanged, so :meth:`Fault.changes` tells which faults apply. Faults compose by applying one after the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from kit.preprocessing import Preprocessing
from kit.preprocessing.scaling import SCALINGS, Scaling

Edit = Callable[[Preprocessing], Preprocessing]


@dataclass(frozen=True)
class Fault:
    """One way in which a picture is prepared differently from the training pictures.

    Attributes
    ----------
    name
        Key in :data:`CATALOGUE`.
    cause
        Name of the cause in the closed set of causes; several faults can share one.
    step
        Preprocessing step that the fault changes, a key of :data:`STEPS`.
    title
        What is done instead, in a few words, for menus and tables.
    origin
        How it comes about, in one sentence.
    quiet
        True where the fault moves predictions so little that evidence cannot single it out.
    """

    name: str
    cause: str
    step: str
    title: str
    origin: str
    quiet: bool = False
    edit: Edit = field(default=lambda preprocessing: preprocessing, repr=False, compare=False)

    def apply(self, preprocessing: Preprocessing) -> Preprocessing:
        """Return `preprocessing` with the fault in it; the very same value where the fault does not apply."""
        return self.edit(preprocessing)

    def changes(self, preprocessing: Preprocessing) -> bool:
        """Whether the fault makes a difference to `preprocessing`."""
        return self.apply(preprocessing) != preprocessing


STEPS: Mapping[str, str] = MappingProxyType(
    {
        "exif": "Orientation",
        "alpha": "Transparency",
        "depth": "16-bit pictures",
        "thumbnail": "Size before",
        "filter": "Resize filter",
        "fit": "Resize fit",
        "channels": "Channels",
        "polarity": "Polarity",
        "scaling": "Scaling",
        "cast": "Data type",
        "layout": "Layout",
    }
)
"""Preprocessing steps in the order in which they run, with their labels."""


def _set(**changes: object) -> Edit:
    return lambda preprocessing: preprocessing.replace(**changes)


def _decode(**changes: object) -> Edit:
    return lambda preprocessing: preprocessing.replace(
        decoding=replace(preprocessing.decoding, **changes)  # type: ignore[arg-type]
    )


def _if_colour(edit: Edit) -> Edit:
    return lambda preprocessing: preprocessing if preprocessing.channels == "gray" else edit(preprocessing)


def _if_square(edit: Edit) -> Edit:
    def apply(preprocessing: Preprocessing) -> Preprocessing:
        size = preprocessing.size
        return edit(preprocessing) if size is not None and size[0] == size[1] else preprocessing

    return apply


def _swap_channels(preprocessing: Preprocessing) -> Preprocessing:
    swapped = {"rgb": "bgr", "bgr": "rgb"}
    return preprocessing.replace(channels=swapped.get(preprocessing.channels, preprocessing.channels))


def _scale_twice(preprocessing: Preprocessing) -> Preprocessing:
    # A network with its scaling inside expects 0..255: dividing by 255 outside scales its pictures twice.
    return preprocessing.replace(scaling=preprocessing.scaling * 2 or SCALINGS["0..1"])


def _without_mean_std(preprocessing: Preprocessing) -> Preprocessing:
    divisors = tuple(Scaling(divisor=step.divisor) for step in preprocessing.scaling if step.divisor != 1)
    return preprocessing.replace(scaling=divisors)


def _thumbnail(preprocessing: Preprocessing) -> Preprocessing:
    if preprocessing.size is None:
        return preprocessing
    height, width = preprocessing.size
    return preprocessing.replace(thumbnail=(max(height // 4, 1), max(width // 4, 1)))


_ALL = (
    Fault(
        "exif_ignored",
        "exif_orientation",
        "exif",
        "EXIF tag ignored",
        "The loader shows the pixels as the sensor stored them; phones then deliver pictures on their side.",
        edit=_decode(exif=False),
    ),
    Fault(
        "alpha_dropped",
        "alpha_matte",
        "alpha",
        "dropped, hidden colour shows",
        "convert('RGB') throws the alpha channel away, and whatever colour lies under it appears.",
        edit=_decode(matte=None),
    ),
    Fault(
        "alpha_black",
        "alpha_matte",
        "alpha",
        "on black",
        "Transparent pixels are put on black while the training pictures had another background.",
        edit=_decode(matte=(0, 0, 0)),
    ),
    Fault(
        "depth_clipped",
        "bit_depth",
        "depth",
        "cut at 255",
        "A 16-bit picture is cut at 255 instead of divided by 257, so nearly all of it turns white.",
        edit=_decode(depth="clip"),
    ),
    Fault(
        "small_before",
        "target_size",
        "thumbnail",
        "made small first",
        "The picture went through a thumbnail a quarter of the network's size and was enlarged again.",
        edit=_thumbnail,
    ),
    Fault(
        "filter_nearest",
        "resize_filter",
        "filter",
        "nearest",
        "Keras's load_img resizes without a filter unless told otherwise.",
        quiet=True,
        edit=_set(filter="nearest"),
    ),
    Fault(
        "filter_bilinear",
        "resize_filter",
        "filter",
        "bilinear, antialiased",
        "Pillow's and torchvision's filter where training used another.",
        quiet=True,
        edit=_set(filter="bilinear"),
    ),
    Fault(
        "filter_bicubic",
        "resize_filter",
        "filter",
        "bicubic, antialiased",
        "Pillow's default filter where training used another.",
        quiet=True,
        edit=_set(filter="bicubic"),
    ),
    Fault(
        "filter_tf_bilinear",
        "resize_filter",
        "filter",
        "bilinear, not antialiased",
        "tf.image.resize and Keras's dataset loaders do not antialias unless told to.",
        quiet=True,
        edit=_set(filter="tf_bilinear"),
    ),
    Fault(
        "fit_squash",
        "resize_fit",
        "fit",
        "squashed",
        "The picture is resized to a square without regard to its aspect ratio.",
        quiet=True,
        edit=_set(fit="squash", crop_fraction=1.0),
    ),
    Fault(
        "fit_crop_all",
        "resize_fit",
        "fit",
        "largest centred crop",
        "The centre is cropped without the margin that training cut away.",
        quiet=True,
        edit=_set(fit="crop", crop_fraction=1.0),
    ),
    Fault(
        "fit_crop_margin",
        "resize_fit",
        "fit",
        "centred crop of 87.5 %",
        "An ImageNet evaluation crop is applied to a network that was trained on whole pictures.",
        quiet=True,
        edit=_set(fit="crop", crop_fraction=0.875),
    ),
    Fault(
        "fit_letterbox",
        "resize_fit",
        "fit",
        "letterboxed on black",
        "The picture is padded to a square as object detectors do.",
        edit=_set(fit="letterbox", crop_fraction=1.0),
    ),
    Fault(
        "channels_swapped",
        "channel_order",
        "channels",
        "red and blue swapped",
        "OpenCV reads BGR and the network wants RGB, or the other way round.",
        edit=_swap_channels,
    ),
    Fault(
        "gray_input",
        "grayscale",
        "channels",
        "grey, repeated",
        "A grey picture, or one made grey, is repeated over the three channels.",
        edit=_if_colour(_set(channels="gray_rgb")),
    ),
    Fault(
        "inverted",
        "inverted_polarity",
        "polarity",
        "black and white exchanged",
        "Dark on light where the training pictures are light on dark.",
        edit=lambda preprocessing: preprocessing.replace(invert=not preprocessing.invert),
    ),
    Fault(
        "missing_scaling",
        "missing_scaling",
        "scaling",
        "left out",
        "The training loader scaled the pixels; the code that predicts does not.",
        edit=_set(scaling=()),
    ),
    Fault(
        "double_scaling",
        "double_scaling",
        "scaling",
        "done twice",
        "A loader that scales already, or a Rescaling layer in the network, and the division by hand on top.",
        edit=_scale_twice,
    ),
    Fault(
        "range_0_1",
        "wrong_range",
        "scaling",
        "to 0..1",
        "The pixels are divided by 255 out of habit.",
        edit=_set(scaling=SCALINGS["0..1"]),
    ),
    Fault(
        "range_minus1_1",
        "wrong_range",
        "scaling",
        "to −1..1",
        "preprocess_input of another network family.",
        edit=_set(scaling=SCALINGS["-1..1"]),
    ),
    Fault(
        "missing_mean_std",
        "wrong_mean_std",
        "scaling",
        "without mean and standard deviation",
        "The division is there and the normalisation is forgotten.",
        edit=_without_mean_std,
    ),
    Fault(
        "imagenet_mean_std",
        "wrong_mean_std",
        "scaling",
        "by ImageNet mean and standard deviation",
        "The usual torchvision normalisation on a network that was trained with another.",
        edit=_if_colour(_set(scaling=SCALINGS["imagenet"])),
    ),
    Fault(
        "caffe_means",
        "wrong_mean_std",
        "scaling",
        "minus Caffe's channel means",
        "preprocess_input of ResNet50 or VGG16 on another network.",
        edit=_if_colour(_set(scaling=SCALINGS["caffe"])),
    ),
    Fault(
        "cast_to_uint8",
        "dtype_cast",
        "cast",
        "cast to uint8 after scaling",
        "Scaled values are stored as whole numbers, and nearly all of them become 0.",
        edit=_set(cast="uint8"),
    ),
    Fault(
        "transposed",
        "channel_layout",
        "layout",
        "height and width exchanged",
        "Column-major data, EMNIST's files, or a wrong axis order in transpose.",
        edit=_if_square(_set(layout="transposed")),
    ),
    Fault(
        "reshaped",
        "channel_layout",
        "layout",
        "reshaped instead of transposed",
        "np.reshape to channels first scrambles the picture; only moving the axis is right.",
        edit=_if_colour(_set(layout="reshaped")),
    ),
)

CATALOGUE: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in _ALL})
"""Every fault by name, grouped by step in the order of :data:`STEPS`."""


def alternatives(preprocessing: Preprocessing, step: str) -> tuple[Fault, ...]:
    """Faults of one step that change `preprocessing`, without two that come to the same.

    Raises
    ------
    ValueError
        If `step` is no key of :data:`STEPS`.
    """
    if step not in STEPS:
        msg = f"Expected a preprocessing step of {', '.join(STEPS)}; received {step!r}"
        raise ValueError(msg)
    distinct: dict[Preprocessing, Fault] = {}
    for fault in CATALOGUE.values():
        if fault.step == step and fault.changes(preprocessing):
            distinct.setdefault(fault.apply(preprocessing), fault)
    return tuple(distinct.values())
