"""Hugging Face's ``preprocessor_config.json``."""

from collections.abc import Mapping
from typing import Any

from kit._checking import flag, integers, number, told
from kit.preprocessing.configs.keras_hub import PRODUCT, Fields
from kit.preprocessing.resizing import LARGEST_SIDE
from kit.preprocessing.scaling import Scaling, Scalings, simplest

PILLOW_CODES = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
TORCH = "the layout is PyTorch's; a Keras network takes replace(layout='channels_last')"
_KNOWN_STEPS = {
    *("do_resize", "do_center_crop", "do_rescale", "do_normalize"),
    *("do_convert_rgb", "do_reduce_labels", "do_flip_channel_order"),
}
_CONVNEXT = ("ConvNext", "Convnext")
# How a bare number as size is meant, by the beginning of the processor's name.
_SQUARE = ("ViT", "DeiT", "Beit")
_SHORTEST = ("CLIP", *_CONVNEXT)


def recognises(content: Mapping[str, Any]) -> bool:
    """Tell whether a JSON object is Hugging Face's."""
    keys = {"image_processor_type", "feature_extractor_type", "do_resize", "do_normalize", "do_rescale"}
    return bool(keys & set(content))


def read(content: Mapping[str, Any]) -> Fields:
    """Return the fields of the `Preprocessing`; raises as `kit.preprocessing.configs.read`."""
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
    if kind.startswith(_CONVNEXT):
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
