"""Preprocessing as `keras.applications`, KerasHub, Hugging Face and timm describe it."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kit._checking import flag, instance, integers, known, nearest, number, parsed, refuse_unknown, told
from kit.preprocessing.resizing import LARGEST_SIDE, Size
from kit.preprocessing.scaling import SCALINGS, Scaling, Scalings, simplest

Fields = dict[str, Any]
Content = Mapping[str, Any]


class Family(NamedTuple):
    """One module of ``keras.applications``: its scaling, and the input side of each model."""

    scaling: str
    sides: Mapping[str, int]


def _models(prefix: str, names: str, *sides: int) -> Mapping[str, int]:
    listed = [prefix + name for name in names.split(",")]
    return dict(zip(listed, sides if len(sides) > 1 else sides * len(listed), strict=True))


_CONVNEXT = _models("ConvNeXt", "Tiny,Small,Base,Large,XLarge", 224)
_B = _models("EfficientNet", "B0,B1,B2,B3,B4,B5,B6,B7", 224, 240, 260, 300, 380, 456, 528, 600)
_V2 = _models("EfficientNetV2", "B0,B1,B2,B3,S,M,L", 224, 240, 260, 300, 384, 480, 480)
FAMILIES: Mapping[str, Family] = {
    "convnext": Family("0..255", _CONVNEXT),
    "densenet": Family("imagenet", _models("DenseNet", "121,169,201", 224)),
    "efficientnet": Family("0..255", _B),
    "efficientnet_v2": Family("0..255", _V2),
    "inception_resnet_v2": Family("-1..1", _models("InceptionResNetV2", "", 299)),
    "inception_v3": Family("-1..1", _models("InceptionV3", "", 299)),
    "mobilenet": Family("-1..1", _models("MobileNet", "", 224)),
    "mobilenet_v2": Family("-1..1", _models("MobileNetV2", "", 224)),
    "mobilenet_v3": Family("0..255", _models("MobileNetV3", "Large,Small", 224)),
    "nasnet": Family("-1..1", _models("NASNet", "Mobile,Large", 224, 331)),
    "resnet": Family("caffe", _models("ResNet", "50,101,152", 224)),
    "resnet_v2": Family("-1..1", _models("ResNet", "50V2,101V2,152V2", 224)),
    "vgg16": Family("caffe", _models("VGG16", "", 224)),
    "vgg19": Family("caffe", _models("VGG19", "", 224)),
    "xception": Family("-1..1", _models("Xception", "", 299)),
}


def fields_for(name: str) -> Fields:
    """Return the fields of the `Preprocessing` for a family or a model of ``keras.applications``.

    A module ("mobilenet_v2", meaning its first model) or a model ("MobileNetV2"), in any spelling; a
    ValueError gives the nearest one.
    """
    models = {model: key for key, family in FAMILIES.items() for model in family.sides}
    names = {_plain(each): each for each in (*models, *FAMILIES)}
    wanted = names.get(_plain(str(name)))
    if wanted is None:
        known_names = f"a model of keras.applications or one of {', '.join(FAMILIES)}"
        hint = nearest(str(name), names.values())
        raise ValueError(f"Expected {known_names}; received {name!r}{hint}")
    family = FAMILIES[models.get(wanted, wanted)]
    side = family.sides.get(wanted, next(iter(family.sides.values())))
    channels = "bgr" if family.scaling == "caffe" else "rgb"
    return {"size": (side, side), "channels": channels, "scaling": family.scaling}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_CONVERTER = (
    *("name", "trainable", "dtype", "image_size", "scale", "offset", "interpolation", "antialias"),
    *("crop_to_aspect_ratio", "pad_to_aspect_ratio", "bounding_box_format", "data_format"),
)


def _require(holds: Any, expected: str, received: object) -> None:
    if not holds:
        raise ValueError(f"Expected {expected}, received {told(str(received))}; write the preprocessing out")


def _keras_hub(content: Content) -> Fields:
    outer = instance("config", content.get("config"), Mapping, "an object")
    nested = outer.get("image_converter", content)
    config = nested.get("config") if isinstance(nested, Mapping) else None
    config = instance("the config of image_converter", config, Mapping, "an object")
    refuse_unknown(config, _CONVERTER)
    fields: Fields = {"size": config.get("image_size"), "scaling": _product(config)}
    if fields["size"] is not None:
        fields |= _keras_resizing(config)
    if config.get("data_format") == "channels_first":
        fields["layout"] = "channels_first"
    return fields


def _keras_resizing(config: Content) -> Fields:
    methods = ("nearest", "bilinear", "bicubic")
    method = known("interpolation", config.get("interpolation", "bilinear"), methods)
    smooth = flag(config, "antialias", default=False) and method != "nearest"
    crop = flag(config, "crop_to_aspect_ratio", default=True)
    pad = flag(config, "pad_to_aspect_ratio", default=False)
    _require(not (crop and pad), "crop_to_aspect_ratio or pad_to_aspect_ratio", "both as true")
    fit = "crop" if crop else "pad" if pad else "squash"
    return {"filter": f"tf_{method}{'_antialias' * smooth}", "fit": fit}


def _product(config: Content) -> Scalings:
    # x * scale + offset becomes (x - mean) / std; a Scaling of both checks their numbers.
    given = Scaling(1.0, config.get("offset"), config.get("scale"))
    pair = 0.0 if given.mean is None else given.mean, 1.0 if given.std is None else given.std
    offset, scale = np.broadcast_arrays(*pair)
    return simplest((Scaling(1.0, (-offset / scale).tolist(), (1 / scale).tolist()),))


PILLOW_CODES = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
_IMAGENET = SCALINGS["imagenet"][0]
_TIMM: Fields = {"interpolation": "bicubic", "crop_pct": 0.875, "crop_mode": "center"}
_TIMM |= {"mean": _IMAGENET.mean, "std": _IMAGENET.std}


def _timm(content: Content) -> Fields:
    config = instance("pretrained_cfg", content.get("pretrained_cfg", content), Mapping, "an object")
    config = _TIMM | {key: value for key, value in config.items() if value is not None}
    size: Any = config.get("input_size")
    fits = isinstance(size, (list, tuple)) and len(size) == 3 and size[0] in {1, 3}
    _require(fits, "input_size as [3, height, width] or [1, height, width]", size)
    mode = known("crop_mode", config["crop_mode"], ("center", "squash"))
    _require(mode == "squash" or size[1] == size[2], "a square input_size with crop_mode center", size)
    return {
        "layout": "channels_first",
        "channels": "rgb" if size[0] == 3 else "gray",
        "filter": known("interpolation", config["interpolation"], PILLOW_CODES),
        "scaling": simplest((Scaling(255.0, config["mean"], config["std"]),)),
        **_window((size[1], size[2]), number("crop_pct", config["crop_pct"]), squashed=mode == "squash"),
    }


def _window(size: Size, fraction: float, *, squashed: bool) -> Fields:
    if squashed and fraction == 1:
        return {"size": size, "fit": "squash"}
    return {"size": size, "fit": "squash_crop" if squashed else "resize_crop", "crop_fraction": fraction}


_READ = ("do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb", "do_reduce_labels")


def _hugging_face(content: Content) -> Fields:
    kind = str(content.get("image_processor_type") or content.get("feature_extractor_type") or "")
    unread = [key for key in content if key.startswith("do_") or key == "rescale_offset"]
    unread = [key for key in unread if content[key] and key not in _READ]
    if kind.startswith("EfficientNet") and content.get("include_top") is not False:
        unread.append("include_top, which divides by image_std twice")
    steps = "no step beyond resizing, center crop, rescaling and normalization"
    _require(not unread, steps, ", ".join(unread))
    fields: Fields = {"layout": "channels_first", "size": None, "scaling": _rescaled(content)}
    cropping = flag(content, "do_center_crop", default=False)
    if flag(content, "do_resize", default="size" in content):
        code = content.get("resample", 2)
        _require(type(code) is int and 0 <= code <= 5, "resample as a Pillow code 0..5", code)
        crop = _sides("crop_size", content.get("crop_size")) if cropping else None
        fields |= {"filter": PILLOW_CODES[code], **_cropped(content, kind, crop)}
    else:
        _require(not cropping, "do_resize with do_center_crop", "a crop alone, which depends on the photo")
    return fields


def _cropped(content: Content, kind: str, crop: Size | None) -> Fields:
    size: Any = content.get("size")
    # A bare number is both sides, but the shorter one for CLIP.
    shortest = kind.startswith("CLIP")
    if isinstance(size, int) and (shortest or crop is None):
        size = {"shortest_edge": size} if shortest else {"height": size, "width": size}
    named = isinstance(size, Mapping) and set(size) in ({"shortest_edge"}, {"height", "width"})
    _require(named, "size with height and width, or with shortest_edge", size)
    squashed = "height" in size
    whole = _sides("size", size if squashed else size["shortest_edge"])
    _require(squashed or crop, "do_center_crop with shortest_edge", "none: the photo decides the size")
    height, width = crop or whole
    inside = height <= whole[0] and height * whole[1] == width * whole[0]
    _require(inside, f"a crop_size within {whole}, in its proportions", crop)
    return _window((height, width), height / whole[0], squashed=squashed)


def _sides(what: str, value: Any) -> Size:
    if isinstance(value, Mapping):
        value = (value.get("height"), value.get("width"))
    value = (value, value) if isinstance(value, int) else value
    height, width = integers(what, value, ("height", "width"), 1, LARGEST_SIDE)
    return height, width


def _rescaled(content: Content) -> Scalings:
    mean, std = content.get("image_mean"), content.get("image_std")
    normalize = flag(content, "do_normalize", default=mean is not None)
    rescale = flag(content, "do_rescale", default=normalize)
    _require(not normalize or None not in (mean, std), "image_mean and image_std with do_normalize", "none")
    factor = number("rescale_factor", content.get("rescale_factor", 1 / 255)) if rescale else 1.0
    _require(abs(factor) > 1e-30, "a rescale_factor other than 0", factor)
    divisor = round(1 / factor, 9)  # 1 / 255 is a little less
    return simplest((Scaling(divisor, mean, std) if normalize else Scaling(divisor),))


_HUGGING_FACE = ("do_resize", "do_normalize", "do_rescale", "image_processor_type", "feature_extractor_type")
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
    content: Content = config if isinstance(config, Mapping) else {}
    if not isinstance(config, Mapping):
        file = Path(config)
        data = parsed(f"the file {file.name}", file.read_bytes())
        content = instance(file.name, data, Mapping, "a JSON object")
    for keys, read in _READERS.items():
        if any(key in content for key in keys):
            return read(content)
    formats = "a preprocessing file of KerasHub, Hugging Face or timm (see Preprocessing.from_config)"
    raise ValueError(f"Expected {formats}, received an object with {list(content)[:6]}")
