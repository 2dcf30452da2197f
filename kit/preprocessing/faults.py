"""The catalogue of preprocessing faults: each one an edit of a correct preprocessing.

One table with several readers: the explorer's switches, the lessons, and whatever measures or searches for
faults. A fault that changes nothing on a given preprocessing (no colour to swap in a grey network) returns it
unchanged, so `Fault.changes` tells which faults apply. Faults compose by applying one after the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kit.preprocessing import Preprocessing
from kit.preprocessing.pipeline import CHOICES, Changes, decoding_changes
from kit.preprocessing.scaling import SCALINGS, Scaling

Edit = Callable[[Preprocessing], Changes]


@dataclass(frozen=True)
class Fault:
    """One way in which an image is prepared differently from the training images.

    Attributes
    ----------
    name
        Key in `CATALOGUE`.
    cause
        Name of the cause in the closed set of causes; several faults can share one.
    step
        Preprocessing step that the fault changes, a key of `STEPS`.
    title
        What is done instead, in a few words, for menus and tables.
    edit
        From a preprocessing to the fields that the fault changes; empty where it does not apply.
    """

    name: str
    cause: str
    step: str
    title: str
    edit: Edit = field(repr=False)

    def apply(self, preprocessing: Preprocessing) -> Preprocessing:
        """Return `preprocessing` with the fault in it; the very same value where the fault does not apply."""
        changes = self.edit(preprocessing)
        return preprocessing.replace(**changes) if changes else preprocessing

    def changes(self, preprocessing: Preprocessing) -> bool:
        """Whether the fault makes a difference to `preprocessing`."""
        return self.apply(preprocessing) != preprocessing


def _fault(name: str, cause: str, title: str, edit: Edit) -> Fault:
    # A choice is a step as people see it, with the causes that it can have.
    step = next(choice.name for choice in CHOICES if cause in choice.causes)
    return Fault(name, cause, step, title, edit)


def _setting(**changes: Any) -> Edit:
    # The same fields, whatever the preprocessing.
    return lambda _: changes


def _decoding(**changes: Any) -> Edit:
    return lambda preprocessing: decoding_changes(preprocessing, **changes)


def _if_colour(**changes: Any) -> Edit:
    # One grey channel has no colours: the fault does not apply, and no field changes.
    return lambda preprocessing: {} if preprocessing.channels == "gray" else changes


def _if_resized(**changes: Any) -> Edit:
    # Without a size, images stay as large as they are: there is nothing to resize.
    return lambda preprocessing: changes if preprocessing.size else {}


def _if_square(**changes: Any) -> Edit:
    # Without a size, the photo decides it, which may not be square, as (0, 1) is not.
    return lambda preprocessing: (
        changes if len(set(preprocessing.size or (0, 1))) == 1 else {}
    )


def _if_channels_last(edit: Edit) -> Edit:
    # A network that takes channels first refuses the shapes that these edits lead to.
    return lambda preprocessing: (
        edit(preprocessing) if preprocessing.layout == "channels_last" else {}
    )


def _scale_twice(preprocessing: Preprocessing) -> Changes:
    # The tuple of its scalings, repeated. One without any expects 0..255 and scales inside: dividing by 255
    # outside scales its images twice.
    return {"scaling": (preprocessing.scaling * 2) or SCALINGS["0..1"]}


def _without_mean_std(preprocessing: Preprocessing) -> Changes:
    # The fault, done to a right preprocessing: of each scaling only its division stays, where there is one.
    return {
        "scaling": tuple(
            Scaling(step.divisor) for step in preprocessing.scaling if step.divisor != 1
        )
    }


def _shrunk_to_quarter_first(preprocessing: Preprocessing) -> Changes:
    # Without a size, the photo decides it, and the fault does not apply.
    if preprocessing.size is None:
        return {}
    height, width = preprocessing.size
    # In pixels. Photos are shrunk to a thumbnail before they are resized.
    return {"thumbnail": (max(height // 4, 1), max(width // 4, 1))}


_SWAPPED = {"rgb": {"channels": "bgr"}, "bgr": {"channels": "rgb"}}

CATALOGUE: Mapping[str, Fault] = {
    row[0]: _fault(*row)
    for row in (
        # The loader shows the pixels as the sensor stored them; phones then deliver images on their side.
        ("exif_ignored", "exif_orientation", "EXIF tag ignored", _decoding(exif=False)),
        # convert('RGB') throws the alpha channel away, and whatever colour lies under it appears.
        (
            "alpha_dropped",
            "alpha_matte",
            "dropped, hidden colour shows",
            _decoding(matte=None),
        ),
        # Transparent pixels are put on black while the training images had another background.
        ("alpha_black", "alpha_matte", "on black", _decoding(matte=(0, 0, 0))),
        # A 16-bit image is clipped at 255 instead of divided by 257, so nearly all of it turns white.
        ("depth_clipped", "bit_depth", "clipped at 255", _decoding(depth="clip")),
        # The image went through a thumbnail a quarter of the network's size and was enlarged again.
        ("small_before", "target_size", "to a quarter first", _shrunk_to_quarter_first),
        # Keras's load_img resizes without a filter unless you set one.
        ("filter_nearest", "resize_filter", "nearest", _if_resized(filter="nearest")),
        # Pillow's and torchvision's filter where training used another.
        (
            "filter_bilinear",
            "resize_filter",
            "bilinear, antialiased",
            _if_resized(filter="bilinear"),
        ),
        # Pillow's default filter where training used another.
        (
            "filter_bicubic",
            "resize_filter",
            "bicubic, antialiased",
            _if_resized(filter="bicubic"),
        ),
        # tf.image.resize and Keras's dataset loaders do not antialias by default.
        (
            "filter_tf_bilinear",
            "resize_filter",
            "bilinear, not antialiased",
            _if_resized(filter="tf_bilinear"),
        ),
        # The image is resized to a square without regard to its aspect ratio.
        (
            "fit_squash",
            "resize_fit",
            "squashed",
            _if_resized(fit="squash", crop_fraction=1.0),
        ),
        # The centre is cropped without the margin that training cut away.
        (
            "fit_crop_all",
            "resize_fit",
            "largest centred crop",
            _if_resized(fit="crop", crop_fraction=1.0),
        ),
        # An ImageNet evaluation crop is applied to a network that was trained on whole images.
        (
            "fit_crop_margin",
            "resize_fit",
            "centred crop of 87.5 %",
            _if_resized(fit="crop", crop_fraction=0.875),
        ),
        # The image is padded to a square as object detectors do.
        (
            "fit_letterbox",
            "resize_fit",
            "letterboxed on black",
            _if_resized(fit="letterbox", crop_fraction=1.0, fill=(0, 0, 0)),
        ),
        # OpenCV reads BGR and the network wants RGB, or the other way round.
        (
            "channels_swapped",
            "channel_order",
            "red and blue swapped",
            lambda p: _SWAPPED.get(p.channels, {}),
        ),
        # A grey image, or one made grey, is repeated over the three channels.
        ("gray_input", "grayscale", "grey, repeated", _if_colour(channels="gray_rgb")),
        # Dark on light where the training images are light on dark.
        (
            "inverted",
            "inverted_polarity",
            "black and white swapped",
            lambda p: {"invert": not p.invert},
        ),
        # The training code scales the pixels; the code that predicts does not.
        ("missing_scaling", "missing_scaling", "left out", _setting(scaling=())),
        # The loader or a Rescaling layer scales, and your code scales again.
        ("double_scaling", "double_scaling", "done twice", _scale_twice),
        # The pixels are divided by 255 out of habit.
        ("range_0_1", "wrong_range", "to 0..1", _setting(scaling="0..1")),
        # The preprocess_input of another model family.
        ("range_minus1_1", "wrong_range", "to −1..1", _setting(scaling="-1..1")),
        # The code divides by 255 and forgets to normalise.
        (
            "missing_mean_std",
            "wrong_mean_std",
            "without mean and standard deviation",
            _without_mean_std,
        ),
        # The usual torchvision normalisation on a network that was trained with another.
        (
            "imagenet_mean_std",
            "wrong_mean_std",
            "by ImageNet mean and standard deviation",
            _if_colour(scaling="imagenet"),
        ),
        # preprocess_input of ResNet50 or VGG16 on another network.
        (
            "caffe_means",
            "wrong_mean_std",
            "minus Caffe's channel means",
            _if_colour(scaling="caffe"),
        ),
        # Scaled values are stored as whole numbers, and nearly all of them become 0.
        (
            "cast_to_uint8",
            "dtype_cast",
            "to uint8 after scaling",
            _setting(cast="uint8"),
        ),
        # Column-major data, EMNIST's files, or a wrong axis order in transpose.
        (
            "transposed",
            "channel_layout",
            "height and width swapped",
            _if_channels_last(_if_square(layout="transposed")),
        ),
        # np.reshape to channels first scrambles the image; only moving the axis is right.
        (
            "reshaped",
            "channel_layout",
            "reshaped instead of transposed",
            _if_channels_last(_if_colour(layout="reshaped")),
        ),
    )
}
"""Every fault by name, grouped by step in the order of :data:`STEPS`."""

STEPS: Mapping[str, str] = {
    choice.name: choice.label
    for choice in CHOICES
    if any(fault.step == choice.name for fault in CATALOGUE.values())
}
"""Preprocessing steps in the order in which they run, with their labels."""


def alternatives(preprocessing: Preprocessing, step: str = "") -> tuple[Fault, ...]:
    """Faults of one step, a key of `STEPS`, or of all, that change `preprocessing`; none twice."""
    distinct: dict[Preprocessing, Fault] = {}
    for fault in CATALOGUE.values():
        # An empty step stands for all of them.
        if step in {"", fault.step} and fault.changes(preprocessing):
            # Of faults that come to the same, the first of the catalogue stays.
            distinct.setdefault(fault.apply(preprocessing), fault)
    return tuple(distinct.values())
