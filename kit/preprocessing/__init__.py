"""Preprocessing: how a photo becomes the tensor that a network sees, as one frozen value."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from kit._arrays import Array, Float32, JSONObject, Pixels
from kit._checking import built, guiding, instance, parsed
from kit._reporting import changed
from kit.images.opening import Decoding
from kit.images.photo import Source, load_image
from kit.preprocessing.comparison import (
    Comparison,
    arrays_by_step,
    compare_pipelines,
    relative_distance,
)
from kit.preprocessing.configs import keras_application_fields, read_configs
from kit.preprocessing.pipeline import (
    LAYOUTS,
    PIPELINE,
    Pipeline,
    run,
    run_back,
)
from kit.preprocessing.resizing import PILLOW, SAMPLERS
from kit.preprocessing.scaling import SCALINGS, Scaling

if TYPE_CHECKING:
    from kit.preprocessing.black_box import Code

FORMAT = "kit.preprocessing"
VERSION = 1


@guiding
@dataclass(frozen=True, repr=False)
class Preprocessing(Pipeline):
    """The steps from a photo to a tensor.

    Their order: decode, thumbnail, resize, channels, polarity, scaling, cast, layout.

    Parameters
    ----------
    size
        (height, width) of the tensor, or one number for both; None leaves resizing out. In a classifier, the
        default becomes what its network takes.
    filter, fit
        A name of `kit.preprocessing.resizing.FILTERS` and one of `kit.preprocessing.resizing.FITS`.
    crop_fraction
        The part of each side that the fits with "crop" in their name keep, in (0, 1].
    fill
        RGB levels around what the fits "letterbox" and "pad" leave empty.
    thumbnail
        (height, width) into which the image is shrunk first, as `Image.thumbnail` without `reducing_gap`.
    channels
        A name of `kit.preprocessing.pipeline.CHANNELS`.
    invert
        Whether levels x become 255 - x.
    scaling
        A name of `SCALINGS`, a factor such as 1/255, a Scaling, or a sequence of them; kept as a tuple of
        Scaling.
    cast
        "uint8" cuts the decimals off after scaling and wraps around at 256, a frequent mistake.
    layout
        A name of `kit.preprocessing.pipeline.LAYOUTS`.
    decoding
        How a file becomes RGB.
    pillow
        Version of Pillow whose filters these are, such as 12.3; 0 for the installed one, which is then saved.
        The tensors are those of that version: from 13.0 on, tall images are resized in another order.

    Raises
    ------
    TypeError, ValueError
        With one line that says what was expected and received.
    """

    def __repr__(self) -> str:
        # Only fields that differ from their defaults, as "fit='crop', scaling=(Scaling(divisor=255.0),)".
        settings = changed(self)
        for name, scalings in SCALINGS.items():
            settings = settings.replace(f"scaling={scalings}", f"scaling={name!r}")
        return f"Preprocessing({settings})"

    @property
    def input_shape(self) -> tuple[int, int, int] | None:
        """(H, W, C) of the tensor before the layout step; None where the photo decides the size."""
        return None if self.size is None else (*self.size, self.channel_count)

    def apply(self, photo: Source) -> Float32:
        """Return the tensor of one photo, or of anything that `kit.load_image` opens.

        Returns
        -------
        array
            float32 in new memory, (1, H, W, C), or (1, C, H, W) for the layout "channels_first".
        """
        # A batch of one image: (1, H, W, C), or as the layout has it.
        tensor: Float32 = run(PIPELINE, self, load_image(photo))
        return tensor

    __call__ = apply

    def steps(self, photo: Source) -> dict[str, Array]:
        """Return what each step leaves of a photo, read-only, by its name; the last array equals `apply`."""
        return arrays_by_step(self, load_image(photo))

    def image(self, tensor: ArrayLike) -> Pixels:
        """Return what a network that expects this preprocessing sees in a tensor, as RGB.

        Layout, scaling, inversion and channel order are undone; resizing and a cast are not.

        Parameters
        ----------
        tensor
            Any number type, one image with or without the leading axis of 1, in this value's layout.

        Returns
        -------
        array
            uint8 (H, W, 3), rounded and clipped to 0..255; not-a-number becomes 0.

        Raises
        ------
        ValueError
            If the tensor cannot have this layout.
        """
        array = np.asarray(tensor, dtype=np.float32)
        one_image = array[0] if array.ndim == 4 and array.shape[0] == 1 else array
        channel_axis = 0 if self.layout == "channels_first" else -1
        if one_image.ndim != 3 or one_image.shape[channel_axis] != self.channel_count:
            raise ValueError(
                f"Expected a tensor {LAYOUTS[self.layout]} with C = {self.channel_count},"
                f" received {array.shape}"
            )
        # RGB (H, W, 3), of a grey tensor, too; its size stays, as resizing cannot be undone, nor can a cast.
        levels = np.rint(run_back(self, one_image))
        pixels = np.nan_to_num(levels, nan=0.0).clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(pixels)

    def describe(self) -> tuple[str, ...]:
        """Return one line in words for each step that does something."""
        return tuple(
            f"{operation.name}: {operation.described(self)}"
            for operation in PIPELINE
            if not operation.skipped(self)
        )

    def compare(
        self, other: "Preprocessing | Code", photo: Source | None = None
    ) -> Comparison:
        """Find out how another preprocessing, or your own function, differs from this one.

        Parameters
        ----------
        other
            A Preprocessing, or a function of what `kit.check` lists. It returns numbers (H, W, C), (C, H, W)
            or (H, W), with or without a leading axis of 1. Decoding is compared only where it opens the file.
            Or the tensor that other code made of the photo.
        photo
            Anything that `kit.load_image` opens.

        Raises
        ------
        TypeError
            If `other` is neither, or a function without a photo. What a function raises is a difference.
        """
        opened = None if photo is None else load_image(photo)
        # Two values are compared field by field; a photo only adds what the fields do to it.
        if isinstance(other, Preprocessing):
            return compare_pipelines(self, other, opened)
        if opened is None or not (callable(other) or hasattr(other, "__array__")):
            raise TypeError(
                "Expected a Preprocessing, or a function or tensor and a photo,"
                f" received {other!r}, {photo!r}"
            )
        # Only here, so that a classifier opens sooner.
        from kit.preprocessing.black_box import comparison_with_code, read

        # Of other code all that is known is what it makes of the photo, which is decoded as here.
        decoded = opened.decoded(self.decoding)
        reading = read(self, other, [decoded])
        return comparison_with_code(
            self, reading, reading.called[0], decoded, effect=relative_distance
        )

    def to_dict(self) -> JSONObject:
        """Return this value as plain lists, numbers and texts, with its format and version."""
        # Through JSON, so that tuples become lists, however deep.
        fields = json.loads(json.dumps(asdict(self)))
        # Pillow's own filters, which are no samplers, depend on its version; 0 stands for the installed one.
        if self.filter not in SAMPLERS:
            fields["pillow"] = self.pillow or PILLOW
        return {"format": FORMAT, "version": VERSION, **fields}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the value that `to_dict` wrote; fields left out have their defaults.

        TypeError or ValueError for another format or version, an unknown key (the message names the nearest
        one) or a bad value.
        """
        fields = dict(instance("a preprocessing", data, Mapping, "a JSON object"))
        fields.pop("notes", None)  # of earlier versions
        received = fields.pop("format", None), fields.pop("version", None)
        if received != (FORMAT, VERSION):
            raise ValueError(
                f"Expected format {FORMAT!r} in version {VERSION}, received {received};"
                " or use Preprocessing.from_config"
            )
        if isinstance(fields.get("scaling"), list):
            fields["scaling"] = [
                built(Scaling, "scaling", scaling) for scaling in fields["scaling"]
            ]
        if "decoding" in fields:
            fields["decoding"] = built(Decoding, "decoding", fields["decoding"])
        # Checked as by the constructor; fields that are missing get their defaults.
        return built(cls, "a preprocessing", fields)

    @classmethod
    def for_application(cls, name: str) -> Self:
        """Return what a family or a model of ``keras.applications`` expects, as its ``preprocess_input``.

        Equal bit for bit. Where it does nothing, as for EfficientNet, the network scales 0..255 itself,
        unless it was built with ``include_preprocessing=False``. Keras says nothing of resizing.

        Parameters
        ----------
        name
            A module ("mobilenet_v2") or a model ("MobileNetV2"), which sets the size.

        Raises
        ------
        ValueError
            For another name; the message gives the nearest one.
        """
        return cls(**keras_application_fields(name))

    @classmethod
    def from_config(cls, config: Any) -> Self:
        """Return what a file of KerasHub, Hugging Face or timm describes, or one of their objects.

        Or transforms of torchvision, a mode of Keras's ``preprocess_input``, and more: see `read_configs`.

        Where it is silent, its library's defaults count. Equal up to float32 rounding, to resizing and
        cropping in one step, and to KerasHub's rounding of resized uint8 images.

        Raises
        ------
        ValueError, TypeError, OSError
            For a file that is none of these or describes what cannot be expressed.
        """
        return cls(**read_configs(config))

    def to_json(self) -> str:
        """Return this value as JSON text; `from_json` gives back an equal value, to the last bit."""
        return json.dumps(self.to_dict(), indent=2)

    @lru_cache  # noqa: B019 (the values are small, and asked for with every move of a slider)
    def to_code(self) -> str:
        """Return Python that makes an equal value where ``kit`` is imported."""
        return re.sub(r"\b[A-Z]\w*\(", r"kit.\g<0>", repr(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the value that `to_json` wrote; raises as `from_dict`, and a ValueError if it is no JSON."""
        return cls.from_dict(parsed("a preprocessing", text))
