"""timm's ``pretrained_cfg``, alone or in a ``config.json``."""

from collections.abc import Mapping
from typing import Any

from kit._checking import instance, known, number
from kit.preprocessing.configs.hugging_face import PILLOW_CODES, TORCH
from kit.preprocessing.configs.keras_hub import Fields
from kit.preprocessing.scaling import Scaling, simplest

DEFAULTS: Mapping[str, Any] = {
    "interpolation": "bicubic",
    "crop_pct": 0.875,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}


def recognises(content: Mapping[str, Any]) -> bool:
    """Tell whether a JSON object is timm's."""
    return isinstance(content.get("pretrained_cfg"), Mapping) or "input_size" in content


def read(content: Mapping[str, Any]) -> Fields:
    """Return the fields of the `Preprocessing`; raises as `kit.preprocessing.configs.read`."""
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
