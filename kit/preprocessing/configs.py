"""Preprocessing from `keras.applications`, KerasHub, Hugging Face and timm."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from kit._checking import flag, instance, integers, known, nearest, number, parsed, refuse_unknown, told
from kit.preprocessing.resizing import LARGEST_SIDE
from kit.preprocessing.scaling import Scaling, Scalings, simplest

_INSIDE = "preprocess_input does nothing for this family: the network takes 0..255 and scales it itself"
_OPTION = f"{_INSIDE}, unless it was built with include_preprocessing=False"
_RESIZING = "keras.applications says nothing about resizing; load_img takes nearest unless told otherwise"


@dataclass(frozen=True)
class Family:
    """One module of ``keras.applications``: scaling, channel order and the input side of its models."""

    scaling: str
    channels: str
    sides: Mapping[str, int]
    notes: tuple[str, ...] = (_RESIZING,)


def _same(side: int, *models: str) -> Mapping[str, int]:
    return MappingProxyType(dict.fromkeys(models, side))


def _numbered(prefix: str, sides: Mapping[str, int]) -> Mapping[str, int]:
    return MappingProxyType({prefix + suffix: side for suffix, side in sides.items()})


_B = {"B0": 224, "B1": 240, "B2": 260, "B3": 300, "B4": 380, "B5": 456, "B6": 528, "B7": 600}
_V2 = {"B0": 224, "B1": 240, "B2": 260, "B3": 300, "S": 384, "M": 480, "L": 480}
_CONVNEXT = _same(224, *(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")))

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "convnext": Family("0..255", "rgb", _CONVNEXT, (_OPTION, _RESIZING)),
        "densenet": Family("imagenet", "rgb", _same(224, "DenseNet121", "DenseNet169", "DenseNet201")),
        "efficientnet": Family("0..255", "rgb", _numbered("EfficientNet", _B), (_INSIDE, _RESIZING)),
        "efficientnet_v2": Family("0..255", "rgb", _numbered("EfficientNetV2", _V2), (_OPTION, _RESIZING)),
        "inception_resnet_v2": Family("-1..1", "rgb", _same(299, "InceptionResNetV2")),
        "inception_v3": Family("-1..1", "rgb", _same(299, "InceptionV3")),
        "mobilenet": Family("-1..1", "rgb", _same(224, "MobileNet")),
        "mobilenet_v2": Family("-1..1", "rgb", _same(224, "MobileNetV2")),
        "mobilenet_v3": Family(
            "0..255", "rgb", _same(224, "MobileNetV3Large", "MobileNetV3Small"), (_OPTION, _RESIZING)
        ),
        "nasnet": Family("-1..1", "rgb", MappingProxyType({"NASNetMobile": 224, "NASNetLarge": 331})),
        "resnet": Family("caffe", "bgr", _same(224, "ResNet50", "ResNet101", "ResNet152")),
        "resnet_v2": Family("-1..1", "rgb", _same(224, "ResNet50V2", "ResNet101V2", "ResNet152V2")),
        "vgg16": Family("caffe", "bgr", _same(224, "VGG16")),
        "vgg19": Family("caffe", "bgr", _same(224, "VGG19")),
        "xception": Family("-1..1", "rgb", _same(299, "Xception")),
    }
)


def fields_for(name: str) -> dict[str, Any]:
    """Return the fields of the `Preprocessing` that a family or a model of ``keras.applications`` expects.

    Parameters
    ----------
    name
        A family's module ("mobilenet_v2") or a model ("MobileNetV2"); case and punctuation do not matter. A
        family stands for its first model.

    Raises
    ------
    ValueError
        For a name that Keras 3.15 does not have; the message gives the nearest one.
    """
    names = {_plain(key): key for key in FAMILIES}
    names |= {_plain(model): model for family in FAMILIES.values() for model in family.sides}
    wanted = names.get(_plain(name), name) if isinstance(name, str) else name
    if wanted not in names.values():
        hint = nearest(wanted, names.values()) if isinstance(wanted, str) else ""
        families = ", ".join(FAMILIES)
        raise ValueError(
            f"Expected a model of keras.applications or one of {families}; received {wanted!r}{hint}"
        )
    key = next(key for key, family in FAMILIES.items() if wanted == key or wanted in family.sides)
    family = FAMILIES[key]
    side = family.sides.get(wanted, next(iter(family.sides.values())))
    return {
        "size": (side, side),
        "channels": family.channels,
        "scaling": family.scaling,
        "notes": family.notes,
    }


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


Fields = dict[str, Any]

PRODUCT = "the file multiplies where this divides: equal up to float32 rounding"
_CONVERTER_KEYS = (
    *("name", "trainable", "dtype", "image_size", "scale", "offset", "interpolation", "antialias"),
    *("crop_to_aspect_ratio", "pad_to_aspect_ratio", "bounding_box_format", "data_format"),
    *("height", "width", "mean", "variance", "build_config"),
)


def recognises(content: Mapping[str, Any]) -> bool:
    """Tell whether a JSON object is KerasHub's."""
    return "class_name" in content and isinstance(content.get("config"), Mapping)


def read(content: Mapping[str, Any]) -> Fields:
    """Return the fields of the `Preprocessing`; raises as `kit.preprocessing.configs.read_configs`."""
    outer = content["config"]
    nested = outer.get("image_converter", None if "config_file" in outer else content)
    if nested is None:
        return {"size": None, "notes": ("this preprocessor has no image converter: nothing is done",)}
    if not isinstance(nested, Mapping) or not isinstance(nested.get("config"), Mapping):
        raise TypeError(f"Expected an image_converter with its config, received {nested!r}")
    config = nested["config"]
    refuse_unknown(config, _CONVERTER_KEYS)
    notes = []
    sides = [config["height"], config.get("width")] if "height" in config else None
    size = config.get("image_size") or sides
    fields: Fields = {"size": None if size in (None, [None, None]) else size}
    if fields["size"] is not None:
        fields |= _keras_resizing(config)
        notes.append(
            "KerasHub rounds after resizing a uint8 picture; here decimals stay, as for a float picture"
        )
    if config.get("data_format") == "channels_first":
        fields["layout"] = "channels_first"
    fields["scaling"] = _product(config)
    notes += [PRODUCT] * bool(fields["scaling"])
    dtype = config.get("dtype")
    named = dtype.get("config", dtype) if isinstance(dtype, Mapping) else None
    policy = named.get("name") if isinstance(named, Mapping) else dtype
    if policy not in (None, "float32"):
        notes.append(f"KerasHub computes this in {told(str(policy))[:60]}; here it is float32")
    return {**fields, "notes": tuple(notes)}


def _keras_resizing(config: Mapping[str, Any]) -> Fields:
    antialias = flag(config, "antialias", default=False)
    interpolation = config.get("interpolation", "bilinear")
    if interpolation not in {"nearest", "bilinear", "bicubic"}:
        raise ValueError(
            f"Expected the interpolation nearest, bilinear or bicubic, received {interpolation!r}"
        )
    crop = flag(config, "crop_to_aspect_ratio", default=True)
    pad = flag(config, "pad_to_aspect_ratio", default=False)
    if crop and pad:
        raise ValueError(
            "Expected one of crop_to_aspect_ratio and pad_to_aspect_ratio, received both as true"
        )
    smooth = "_antialias" if antialias and interpolation != "nearest" else ""
    return {"filter": f"tf_{interpolation}{smooth}", "fit": "crop" if crop else "pad" if pad else "squash"}


def _product(config: Mapping[str, Any]) -> Scalings:
    """Return x * scale + offset, or the older (x * scale - mean) / sqrt(variance), as (x - mean) / std."""
    scale, offset = _levels(config.get("scale"), 1.0), _levels(config.get("offset"), 0.0)
    if config.get("mean") is not None and config.get("variance") is not None:
        variance = _levels(config["variance"], 1.0)
        if not np.all((variance > 1e-12) & (variance < 1e12)):
            raise ValueError(f"Expected a variance above 0, received {config['variance']!r}")
        std = np.sqrt(variance)
        scale, offset = scale / std, -_levels(config["mean"], 0.0) / std
    if not np.all((np.abs(scale) > 1e-12) & (np.abs(scale) < 1e12) & (np.abs(offset) < 1e12)):
        raise ValueError(
            f"Expected a scale other than 0 and an offset, received {config.get('scale')!r} and"
            f" {config.get('offset')!r}"
        )
    if np.all(scale == 1) and np.all(offset == 0):
        return ()
    scale, offset = np.broadcast_arrays(scale, offset)
    return simplest((Scaling(1.0, (-offset / scale).tolist(), (1 / scale).tolist()),))


def _levels(value: Any, default: float) -> Any:
    if value is None:
        return np.array(default)
    if not isinstance(value, (list, tuple)):
        return np.array(number("a level", value))
    return np.array([number("a level", part) for part in value])


PILLOW_CODES = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
TORCH = "the layout is PyTorch's; a Keras network takes replace(layout='channels_last')"
_KNOWN_STEPS = {
    *("do_resize", "do_center_crop", "do_rescale", "do_normalize"),
    *("do_convert_rgb", "do_reduce_labels", "do_flip_channel_order"),
}
_CONVNEXT_hugging_face = ("ConvNext", "Convnext")
# How a bare number as size is meant, by the beginning of the processor's name.
_SQUARE = ("ViT", "DeiT", "Beit")
_SHORTEST = ("CLIP", *_CONVNEXT_hugging_face)


def recognises_hugging_face(content: Mapping[str, Any]) -> bool:
    """Tell whether a JSON object is Hugging Face's."""
    keys = {"image_processor_type", "feature_extractor_type", "do_resize", "do_normalize", "do_rescale"}
    return bool(keys & set(content))


def read_hugging_face(content: Mapping[str, Any]) -> Fields:
    """Return the fields of the `Preprocessing`; raises as `kit.preprocessing.configs.read_configs`."""
    kind = str(content.get("image_processor_type") or content.get("feature_extractor_type") or "")
    for key, value in content.items():
        if key.startswith("do_") and value is True and key not in _KNOWN_STEPS:
            raise ValueError(
                f"Expected no step beyond resize, crop, rescale and normalise, received {told(key)}: true"
            )
    notes = [TORCH]
    fields: Fields = {"layout": "channels_first", "size": None}
    if flag(content, "do_flip_channel_order", default=False):
        fields["channels"] = "bgr"
    crop = content.get("crop_size") if flag(content, "do_center_crop", default=False) else None
    if flag(content, "do_resize", default="size" in content):
        fields["filter"] = _filter(content, notes)
        fields |= _resized(content, kind, crop, notes)
    elif crop is not None:
        raise ValueError(
            "Expected do_resize with do_center_crop, received a crop alone, which depends on the photo"
        )
    fields["scaling"] = _scaling(content, notes, efficientnet=kind.startswith("EfficientNet"))
    if kind.endswith("Fast"):
        notes.append("the Fast processors resize with torchvision, which may differ from Pillow by one level")
    return {**fields, "notes": tuple(notes)}


def _filter(content: Mapping[str, Any], notes: list[str]) -> str:
    code = content.get("resample")
    if code is None:
        notes.append("the file does not say how it resamples: bilinear is assumed")
        return "bilinear"
    if isinstance(code, bool) or not isinstance(code, int) or not 0 <= code < len(PILLOW_CODES):
        raise ValueError(f"Expected resample as a Pillow code 0..5, received {code!r}")
    return PILLOW_CODES[code]


def _resized(content: Mapping[str, Any], kind: str, crop: Any, notes: list[str]) -> Fields:
    size = content.get("size")
    if isinstance(size, int):
        size = _meant(size, kind, square=kind.startswith(_SQUARE) or crop is None)
    if not isinstance(size, Mapping):
        raise TypeError(f"Expected size as a number or an object, received {size!r}")
    if set(size) == {"height", "width"}:
        return _squashed(_sides(size), crop, notes)
    if set(size) != {"shortest_edge"}:
        names = told(", ".join(size))
        raise ValueError(f"Expected size with height and width, or shortest_edge; received {names}")
    (edge,) = integers("shortest_edge", [size["shortest_edge"]], ["pixels"], 1, LARGEST_SIDE)
    if kind.startswith(_CONVNEXT_hugging_face):
        return _convnext(content, edge, crop, notes)
    if crop is None:
        raise ValueError(
            "Expected do_center_crop with shortest_edge, received none: the photo decides the size"
        )
    height, width = _sides(crop)
    if height != width:
        raise ValueError(f"Expected a square crop with shortest_edge, received {height} x {width}")
    _refuse_padding((edge, edge), (height, width))
    return _cut(height, height / edge, f"shortest edge {edge} and crop {height}", notes)


def _meant(size: int, kind: str, *, square: bool) -> Mapping[str, int]:
    if kind.startswith(_SHORTEST):
        return {"shortest_edge": size}
    if square:
        return {"height": size, "width": size}
    raise ValueError(
        f"Expected size as {{'shortest_edge': {size}}} or {{'height': {size}, 'width': {size}}}, received "
        f"{size}, which {kind or 'a file without image_processor_type'} leaves open; write it out"
    )


def _convnext(content: Mapping[str, Any], edge: int, crop: Any, notes: list[str]) -> Fields:
    if crop is not None:
        raise ValueError("Expected no do_center_crop for ConvNeXT, which crops by crop_pct; received both")
    if edge >= 384:
        notes.append("ConvNeXT squashes at sizes of 384 and more and leaves crop_pct unused")
        return {"size": (edge, edge), "fit": "squash"}
    if content.get("crop_pct") is None:
        notes.append("the file has no crop_pct: ConvNeXT's default of 0.875 is assumed")
    fraction = number("crop_pct", content.get("crop_pct") or 0.875)
    return _cut(edge, fraction, f"crop_pct {fraction:g}", notes)


def _squashed(size: tuple[int, int], crop: Any, notes: list[str]) -> Fields:
    if crop is None or _sides(crop) == size:
        return {"size": size, "fit": "squash"}
    height, width = _sides(crop)
    _refuse_padding(size, (height, width))
    if height * size[1] != width * size[0]:
        raise ValueError(f"Expected a crop of the proportions of {size}, received {(height, width)}")
    notes.append(f"size {size[0]} and crop {height} became crop_fraction {height / size[0]:g}")
    return {"size": (height, width), "fit": "squash_crop", "crop_fraction": height / size[0]}


def _cut(side: int, fraction: float, source: str, notes: list[str]) -> Fields:
    notes.append(f"{source} became crop_fraction {fraction:g}, in one resampling")
    notes.append(
        "where the margin is odd, slow processors cut one pixel further up and left than torchvision"
    )
    return {"size": (side, side), "fit": "resize_crop", "crop_fraction": fraction}


def _sides(crop: Any) -> tuple[int, int]:
    if isinstance(crop, Mapping) and set(crop) == {"height", "width"}:
        crop = (crop["height"], crop["width"])
    sides = (crop, crop) if isinstance(crop, int) else crop
    height, width = integers("crop_size", sides, ("height", "width"), 1, LARGEST_SIDE)
    return height, width


def _refuse_padding(size: tuple[int, int], crop: tuple[int, int]) -> None:
    if crop[0] > size[0] or crop[1] > size[1]:
        raise ValueError(
            f"Expected a crop no larger than the size {size}, received {crop}, which would be padded"
        )


def _scaling(content: Mapping[str, Any], notes: list[str], *, efficientnet: bool) -> Scalings:
    mean, std = content.get("image_mean"), content.get("image_std")
    normalise = flag(content, "do_normalize", default=mean is not None)
    rescale = flag(content, "do_rescale", default=normalise)
    if "do_rescale" not in content and rescale:
        notes.append(
            "the file does not mention do_rescale: 1/255 is assumed, as older processors do it unasked"
        )
    if normalise and (mean is None or std is None):
        raise ValueError("Expected image_mean and image_std with do_normalize, received none; write them out")
    if not rescale:
        return simplest((Scaling(1.0, mean, std),)) if normalise else ()
    factor = number("rescale_factor", content.get("rescale_factor", 1 / 255))
    if abs(factor) < 1e-30:
        raise ValueError(f"Expected a rescale_factor other than 0, received {factor:g}")
    notes.append(PRODUCT)
    whole = round(1 / factor)
    divisor = whole if whole and 1 / whole == factor else 1 / factor
    if flag(content, "rescale_offset", default=False):
        shifted = (Scaling(divisor, 1.0), *((Scaling(1.0, mean, std),) if normalise else ()))
    else:
        shifted = (Scaling(divisor, mean, std) if normalise else Scaling(divisor),)
    if normalise and flag(content, "include_top", default=efficientnet):
        # Their EfficientNet divides by the standard deviation once more in front of a classifier.
        return (*shifted, Scaling(1.0, None, std))
    return simplest(shifted)


DEFAULTS: Mapping[str, Any] = {
    "interpolation": "bicubic",
    "crop_pct": 0.875,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}


def recognises_timm(content: Mapping[str, Any]) -> bool:
    """Tell whether a JSON object is timm's."""
    return isinstance(content.get("pretrained_cfg"), Mapping) or "input_size" in content


def read_timm(content: Mapping[str, Any]) -> Fields:
    """Return the fields of the `Preprocessing`; raises as `kit.preprocessing.configs.read_configs`."""
    config = instance("pretrained_cfg", content.get("pretrained_cfg", content), Mapping, "an object")
    missing = [key for key in DEFAULTS if config.get(key) is None]
    config = {**config, **{key: DEFAULTS[key] for key in missing}}
    size = config.get("input_size")
    if not isinstance(size, (list, tuple)) or len(size) != 3 or size[0] not in {1, 3}:
        raise ValueError(
            f"Expected input_size as [3, height, width] or [1, height, width], received {size!r}"
        )
    notes = [TORCH]
    notes += [f"the file leaves out {', '.join(missing)}: timm's defaults are taken"] if missing else []
    larger = [key for key in ("test_input_size", "test_crop_pct") if config.get(key) is not None]
    notes += [f"{' and '.join(larger)} not used: timm takes them only when asked"] if larger else []
    return {
        "layout": "channels_first",
        "channels": "rgb" if size[0] == 3 else "gray",
        "filter": known("interpolation", config["interpolation"], PILLOW_CODES),
        "size": (size[1], size[2]),
        "scaling": simplest((Scaling(255.0, config["mean"], config["std"]),)),
        **_fit(config, square=size[1] == size[2], notes=notes),
        "notes": tuple(notes),
    }


def _fit(config: Mapping[str, Any], *, square: bool, notes: list[str]) -> Fields:
    mode, fraction = config.get("crop_mode") or "center", number("crop_pct", config["crop_pct"])
    if mode == "squash":
        return {"fit": "squash"} if fraction == 1 else {"fit": "squash_crop", "crop_fraction": fraction}
    if mode == "border" and fraction == 1:
        notes.append("where the margin is odd, timm's border may lie one pixel further up and left")
        mean = config["mean"] if len(config["mean"]) == 3 else list(config["mean"]) * 3
        return {"fit": "letterbox", "fill": tuple(round(255 * level) for level in mean)}
    if mode != "center":
        received = f"{mode!r} with {fraction:g}"
        raise ValueError(f"Expected crop_mode center, squash or border with crop_pct 1, received {received}")
    if not square:
        raise ValueError(
            f"Expected a square input_size with crop_mode center, received {config['input_size']}"
        )
    return {"fit": "resize_crop", "crop_fraction": fraction}


MAX_BYTES = 1 << 20
_KINDS = ((recognises, read), (recognises_hugging_face, read_hugging_face), (recognises_timm, read_timm))


def read_configs(config: str | Path | Mapping[str, Any]) -> Fields:
    """Return the fields of a `Preprocessing` that a file or its parsed content describes.

    Parameters
    ----------
    config
        Path or content of a KerasHub ``preprocessor.json`` or ``image_converter.json``, a Hugging Face
        ``preprocessor_config.json``, or a timm ``config.json`` or ``pretrained_cfg``; told apart by content.

    Raises
    ------
    ValueError, TypeError
        For content that is none of these, or that cannot be expressed; OSError if the file cannot be read.
    """
    content = config if isinstance(config, Mapping) else _parsed(Path(config))
    for recognised, reader in _KINDS:
        if recognised(content):
            return reader(content)
    keys = ", ".join(map(repr, list(content)[:6])) or "nothing"
    raise ValueError(
        "Expected a preprocessing file of KerasHub, Hugging Face or timm (see Preprocessing.from_config), "
        f"received an object with {keys}"
    )


def _parsed(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        kind = ValueError if path.exists() else FileNotFoundError
        raise kind(f"Expected an existing JSON file, received {str(path)!r}, which is none; check the path")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"Expected a JSON file of at most {MAX_BYTES} bytes, received a larger {path.name}")
    content = parsed(f"the file {path.name}", data)
    if not isinstance(content, Mapping):
        raise TypeError(f"Expected a JSON object in {path.name}, received {type(content).__name__}")
    return content
