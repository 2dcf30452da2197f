"""KerasHub's ``preprocessor.json`` and ``image_converter.json``."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kit._checking import flag, number, refuse_unknown, told
from kit.preprocessing.scaling import Scaling, Scalings, simplest

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
    """Return the fields of the `Preprocessing`; raises as `kit.preprocessing.configs.read`."""
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
