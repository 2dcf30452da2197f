"""Preprocessing as `keras.applications`, KerasHub, Hugging Face and timm describe it."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from kit._checking import first_line, known, nearest, parsed, refuse_unknown, told
from kit.preprocessing.resizing import Size
from kit.preprocessing.scaling import SCALINGS, Scaling, simplest

Fields = dict[str, Any]
Content = Mapping[str, Any]


class Family(NamedTuple):
    """One module of ``keras.applications``: its scaling, and the input side of each model."""

    scaling: str
    sides: Mapping[str, int]


def _family(scaling: str, prefix: str, names: str, *sides: int) -> Family:
    listed = [prefix + name for name in names.split(",")]
    return Family(
        scaling,
        dict(
            zip(listed, sides if len(sides) > 1 else sides * len(listed), strict=True)
        ),
    )


_B, _V2 = (224, 240, 260, 300, 380, 456, 528, 600), (224, 240, 260, 300, 384, 480, 480)
FAMILIES: dict[str, Family] = {
    "convnext": _family("0..255", "ConvNeXt", "Tiny,Small,Base,Large,XLarge", 224),
    "densenet": _family("imagenet", "DenseNet", "121,169,201", 224),
    "efficientnet": _family("0..255", "EfficientNet", "B0,B1,B2,B3,B4,B5,B6,B7", *_B),
    "efficientnet_v2": _family("0..255", "EfficientNetV2", "B0,B1,B2,B3,S,M,L", *_V2),
    "inception_resnet_v2": _family("-1..1", "InceptionResNetV2", "", 299),
    "inception_v3": _family("-1..1", "InceptionV3", "", 299),
    "mobilenet": _family("-1..1", "MobileNet", "", 224),
    "mobilenet_v2": _family("-1..1", "MobileNetV2", "", 224),
    "mobilenet_v3": _family("0..255", "MobileNetV3", "Large,Small", 224),
    "nasnet": _family("-1..1", "NASNet", "Mobile,Large", 224, 331),
    "resnet": _family("caffe", "ResNet", "50,101,152", 224),
    "resnet_v2": _family("-1..1", "ResNet", "50V2,101V2,152V2", 224),
    "vgg16": _family("caffe", "VGG16", "", 224),
    "vgg19": _family("caffe", "VGG19", "", 224),
    "xception": _family("-1..1", "Xception", "", 299),
}


def fields_for(name: str) -> Fields:
    """Return the fields of the `Preprocessing` for a family or a model of ``keras.applications``.

    A module ("mobilenet_v2", meaning its first model) or a model ("MobileNetV2"), in any spelling; a
    ValueError gives the nearest one.
    """
    families = {
        model: family for family in FAMILIES.values() for model in family.sides
    } | FAMILIES
    spelled = {_plain(each): each for each in families}
    wanted = spelled.get(_plain(str(name)))
    if wanted is None:
        known_names = f"a model of keras.applications or one of {', '.join(FAMILIES)}"
        raise ValueError(
            f"Expected {known_names}; received {name!r}{nearest(str(name), spelled.values())}"
        )
    family = families[wanted]
    side = family.sides.get(wanted, next(iter(family.sides.values())))
    channels = "bgr" if family.scaling == "caffe" else "rgb"
    return {"size": (side, side), "channels": channels, "scaling": family.scaling}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_CONVERTER = (
    *(
        "name",
        "trainable",
        "dtype",
        "image_size",
        "scale",
        "offset",
        "interpolation",
        "antialias",
    ),
    *(
        "crop_to_aspect_ratio",
        "pad_to_aspect_ratio",
        "bounding_box_format",
        "data_format",
    ),
)


def _require(holds: Any, received: object) -> None:
    if not holds:
        text = f"Expected what a Preprocessing has, received {told(str(received))}; write the fields out"
        raise ValueError(text)


def _keras_hub(content: Content) -> Fields:
    config = content["config"].get("image_converter", content)["config"]
    refuse_unknown(config, _CONVERTER)
    # x * scale + offset becomes (x - mean) / std; a Scaling of both checks their numbers.
    given = Scaling(1.0, config.get("offset"), config.get("scale"))
    offset, scale = np.broadcast_arrays(
        given.mean or 0.0, 1.0 if given.std is None else given.std
    )
    scaling = simplest(
        (Scaling(1.0, (-offset / scale).tolist(), (1 / scale).tolist()),)
    )
    layout = config.get("data_format", "channels_last")
    fields: Fields = {
        "size": config.get("image_size"),
        "scaling": scaling,
        "layout": layout,
    }
    if fields["size"] is not None:
        crop, pad = (
            config.get("crop_to_aspect_ratio", True),
            config.get("pad_to_aspect_ratio"),
        )
        method = config.get("interpolation", "bilinear")
        smooth = "_antialias" if config.get("antialias") and method != "nearest" else ""
        fields |= {
            "filter": f"tf_{method}{smooth}",
            "fit": "crop" if crop else "pad" if pad else "squash",
        }
    return fields


_TIMM: Fields = {"interpolation": "bicubic", "crop_pct": 0.875, "crop_mode": "center"}
_TIMM |= {"mean": SCALINGS["imagenet"][0].mean, "std": SCALINGS["imagenet"][0].std}


def _timm(content: Content) -> Fields:
    given = content.get("pretrained_cfg", content)
    config = _TIMM | {key: value for key, value in given.items() if value is not None}
    channels, height, width = config["input_size"]
    squashed = known("crop_mode", config["crop_mode"], ("center", "squash")) == "squash"
    _require(
        squashed or height == width, f"input_size {height, width} with crop_mode center"
    )
    return {
        "layout": "channels_first",
        "channels": {3: "rgb", 1: "gray"}[channels],
        "filter": config["interpolation"],
        "scaling": simplest((Scaling(255.0, config["mean"], config["std"]),)),
        **_window((height, width), config["crop_pct"], squashed=squashed),
    }


def _window(size: Size, fraction: float, *, squashed: bool) -> Fields:
    fit = (
        "resize_crop" if not squashed else "squash" if fraction == 1 else "squash_crop"
    )
    return {"size": size, "fit": fit, "crop_fraction": fraction}


_READ = {"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"}


def _hugging_face(content: Content) -> Fields:
    kind = str(
        content.get("image_processor_type") or content.get("feature_extractor_type")
    )
    steps = {
        key
        for key, value in content.items()
        if value and re.match("do_|rescale_offset", key)
    }
    unread = sorted(steps - _READ)
    if kind.startswith("EfficientNet") and content.get("include_top") is not False:
        unread.append("include_top, which divides by image_std twice")
    _require(not unread, ", ".join(unread))
    mean, std = content.get("image_mean"), content.get("image_std")
    normalize = content.get("do_normalize", mean is not None)
    _require(
        not normalize or None not in (mean, std),
        "do_normalize without image_mean or image_std",
    )
    factor = (
        content.get("rescale_factor", 1 / 255)
        if content.get("do_rescale", normalize)
        else 1
    )
    divisor = round(1 / factor, 9)  # 1 / 255 is a little less
    scaling = simplest(
        (Scaling(divisor, mean, std) if normalize else Scaling(divisor),)
    )
    fields: Fields = {"layout": "channels_first", "size": None, "scaling": scaling}
    crop = _sides(content["crop_size"]) if content.get("do_center_crop") else None
    if content.get("do_resize", "size" in content):
        code = Image.Resampling(content.get("resample", 2))
        fields |= {
            "filter": code.name.lower(),
            **_cropped(content.get("size"), crop, kind),
        }
    else:
        _require(crop is None, "a crop alone, which depends on the photo")
    return fields


def _cropped(size: Any, crop: Size | None, kind: str) -> Fields:
    # A bare number is both sides, but the shorter one for CLIP.
    if isinstance(size, int) and kind.startswith("CLIP"):
        size = {"shortest_edge": size}
    elif isinstance(size, int) and crop is None:
        size = {"height": size, "width": size}
    named = isinstance(size, Mapping) and set(size) in (
        {"shortest_edge"},
        {"height", "width"},
    )
    _require(named, f"size {size}")
    squashed = "height" in size
    whole = _sides(size if squashed else size["shortest_edge"])
    _require(squashed or crop, "shortest_edge alone: the photo decides the size")
    height, width = crop or whole
    inside = height <= whole[0] and height * whole[1] == width * whole[0]
    _require(inside, f"crop_size {crop} of {whole}")
    return _window((height, width), height / whole[0], squashed=squashed)


def _sides(value: Any) -> Size:
    return (
        (value["height"], value["width"])
        if isinstance(value, Mapping)
        else (value, value)
    )


_HUGGING_FACE = (
    "do_resize",
    "do_normalize",
    "do_rescale",
    "image_processor_type",
    "feature_extractor_type",
)
# By which keys each format is recognized.
_READERS: Mapping[tuple[str, ...], Callable[[Content], Fields]] = {
    ("class_name",): _keras_hub,
    _HUGGING_FACE: _hugging_face,
    ("pretrained_cfg", "input_size"): _timm,
}


def read_configs(config: str | Path | Content) -> Fields:
    """Return the fields of a `Preprocessing` that a file or its parsed content describes.

    Parameters
    ----------
    config
        Path or content of a KerasHub ``preprocessor.json`` or ``image_converter.json``, a Hugging Face
        ``preprocessor_config.json``, or a timm ``config.json``; recognized by content.

    Raises
    ------
    ValueError, TypeError
        For content that is none of these, or that cannot be expressed; OSError if the file cannot be read.
    """
    content = config
    if not isinstance(content, Mapping):
        content = parsed(f"the file {Path(content).name}", Path(content).read_bytes())
    reason = f"an object with {list(content)[:6]}"
    try:
        for keys, read in _READERS.items():
            if any(key in content for key in keys):
                return read(content)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        if str(error).startswith("Expected"):
            raise
        reason = f"one that cannot be read ({first_line(error)})"
    formats = "a preprocessing file of KerasHub, Hugging Face or timm (see Preprocessing.from_config)"
    raise ValueError(f"Expected {formats}, received {reason}")
