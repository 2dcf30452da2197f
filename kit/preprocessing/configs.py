"""Preprocessing as `keras.applications`, KerasHub, Hugging Face, timm and torchvision describe it."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from kit._checking import (
    first_line,
    known,
    letters,
    nearest,
    parsed,
    printable,
    small_file,
)
from kit.preprocessing.resizing import Size
from kit.preprocessing.scaling import SCALINGS, Scaling, simplest

Fields = dict[str, Any]
"""Of a `Preprocessing`."""

Content = dict[str, Any]
"""Of a file, with the keys of its library."""

Options = dict[str, Any]
"""Arguments of a transform, by name."""


class Family(NamedTuple):
    """One module of ``keras.applications``: its scaling, and the input side of each model."""

    scaling: str
    sides: Mapping[str, int]


def _of_side(side_pixels: int, *names: str) -> dict[str, int]:
    return dict.fromkeys(names, side_pixels)


FAMILIES: dict[str, Family] = {
    "convnext": Family(
        "0..255",
        _of_side(
            224,
            "ConvNeXtTiny",
            "ConvNeXtSmall",
            "ConvNeXtBase",
            "ConvNeXtLarge",
            "ConvNeXtXLarge",
        ),
    ),
    "densenet": Family(
        "imagenet", _of_side(224, "DenseNet121", "DenseNet169", "DenseNet201")
    ),
    "efficientnet": Family(
        "0..255",
        {
            "EfficientNetB0": 224,
            "EfficientNetB1": 240,
            "EfficientNetB2": 260,
            "EfficientNetB3": 300,
            "EfficientNetB4": 380,
            "EfficientNetB5": 456,
            "EfficientNetB6": 528,
            "EfficientNetB7": 600,
        },
    ),
    "efficientnet_v2": Family(
        "0..255",
        {
            "EfficientNetV2B0": 224,
            "EfficientNetV2B1": 240,
            "EfficientNetV2B2": 260,
            "EfficientNetV2B3": 300,
            "EfficientNetV2S": 384,
            "EfficientNetV2M": 480,
            "EfficientNetV2L": 480,
        },
    ),
    "inception_resnet_v2": Family("-1..1", {"InceptionResNetV2": 299}),
    "inception_v3": Family("-1..1", {"InceptionV3": 299}),
    "mobilenet": Family("-1..1", {"MobileNet": 224}),
    "mobilenet_v2": Family("-1..1", {"MobileNetV2": 224}),
    "mobilenet_v3": Family(
        "0..255", _of_side(224, "MobileNetV3Large", "MobileNetV3Small")
    ),
    "nasnet": Family("-1..1", {"NASNetMobile": 224, "NASNetLarge": 331}),
    "resnet": Family("caffe", _of_side(224, "ResNet50", "ResNet101", "ResNet152")),
    "resnet_v2": Family(
        "-1..1", _of_side(224, "ResNet50V2", "ResNet101V2", "ResNet152V2")
    ),
    "vgg16": Family("caffe", {"VGG16": 224}),
    "vgg19": Family("caffe", {"VGG19": 224}),
    "xception": Family("-1..1", {"Xception": 299}),
}


def keras_application_fields(name: str) -> Fields:
    """Return the fields of the `Preprocessing` for a family or a model of ``keras.applications``.

    A module ("mobilenet_v2", meaning its first model) or a model ("MobileNetV2"), in any spelling; a
    ValueError gives the nearest one.
    """
    # Each model has one side of its square input; the name of a family stands for its first model.
    family_and_side = {
        known_name: (family, side)
        for module, family in FAMILIES.items()
        for known_name, side in (
            (module, next(iter(family.sides.values()))),
            *family.sides.items(),
        )
    }
    # Case and what is neither a letter nor a digit do not count.
    spelling = letters(str(name))
    for known_name, (family, side) in family_and_side.items():
        if letters(known_name) == spelling:
            # Caffe's means are in the order blue, green, red.
            channels = "bgr" if family.scaling == "caffe" else "rgb"
            scaling = family.scaling
            return {"size": (side, side), "channels": channels, "scaling": scaling}
    raise ValueError(
        f"Expected a model of keras.applications or one of {', '.join(FAMILIES)};"
        f" received {name!r}{nearest(str(name), family_and_side)}"
    )


_CONVERTER_SETTINGS = (
    "name",
    "trainable",
    "dtype",
    "image_size",
    "scale",
    "offset",
    "interpolation",
    "antialias",
    "crop_to_aspect_ratio",
    "pad_to_aspect_ratio",
    "bounding_box_format",
    "data_format",
)


def _require_expressible(condition: object, received: str) -> None:
    if not condition:
        raise ValueError(
            f"Expected what a Preprocessing has, received {printable(received)};"
            " write the fields out"
        )


def _keras_hub_fields(content: Content) -> Fields:
    # A preprocessor has its converter inside; the file of a converter is one itself.
    config = content["config"].get("image_converter", content)["config"]
    for setting in config:
        # Raises for any other setting.
        known("setting", setting, _CONVERTER_SETTINGS)
    # x * scale + offset becomes (x - mean) / std. A Scaling of both checks their numbers: in it, the offset
    # is called mean, and the scale std.
    checked = Scaling(1.0, config.get("offset"), config.get("scale"))
    scale_or_1 = 1.0 if checked.std is None else checked.std
    offset, scale = np.broadcast_arrays(checked.mean or 0.0, scale_or_1)
    mean = (-offset / scale).tolist() if offset.any() else None
    scaling = Scaling(1.0, mean, (1 / scale).tolist())
    fields: Fields = {
        "size": config.get("image_size"),
        "scaling": simplest((scaling,)),
        "layout": config.get("data_format", "channels_last"),
    }
    # A converter without a size does not resize, so neither filter nor fit is said.
    if fields["size"] is None:
        return fields
    method = config.get("interpolation", "bilinear")
    # Antialiased only where the converter says so; nearest ignores it.
    suffix = "_antialias" if config.get("antialias") and method != "nearest" else ""
    fit = "pad" if config.get("pad_to_aspect_ratio") else "squash"
    # A converter crops unless it says that it does not, and then it pads nothing.
    if config.get("crop_to_aspect_ratio", True):
        fit = "crop"
    return fields | {"filter": f"tf_{method}{suffix}", "fit": fit}


_IMAGENET = SCALINGS["imagenet"][0]
_TIMM_DEFAULTS: Content = {
    "interpolation": "bicubic",
    "crop_pct": 0.875,
    "crop_mode": "center",
    "mean": _IMAGENET.mean,
    "std": _IMAGENET.std,
}


def _timm_fields(content: Content) -> Fields:
    settings = content.get("pretrained_cfg", content)
    # None stands for timm's default; `input_size` has none, so that a file without it is refused.
    config = _TIMM_DEFAULTS | {
        key: value for key, value in settings.items() if value is not None
    }
    channel_count, height, width = config["input_size"]
    crop_mode = known("crop_mode", config["crop_mode"], ("center", "squash"))
    is_squashed = crop_mode == "squash"
    _require_expressible(
        is_squashed or height == width,
        f"input_size {height, width} with crop_mode center",
    )
    return {
        "layout": "channels_first",
        # `read_configs` refuses the file where this raises.
        "channels": {3: "rgb", 1: "gray"}[channel_count],
        "filter": config["interpolation"],
        "scaling": simplest((Scaling(255.0, config["mean"], config["std"]),)),
        **_size_and_fit((height, width), config["crop_pct"], is_squashed=is_squashed),
    }


def _size_and_fit(size: Size, crop_fraction: float, *, is_squashed: bool) -> Fields:
    # Resized in proportion or squashed to `size` over the fraction, and the centre of `size` is cut out.
    fit = "resize_crop"
    if is_squashed:
        fit = "squash" if crop_fraction == 1 else "squash_crop"
    return {"size": size, "fit": fit, "crop_fraction": crop_fraction}


_SUPPORTED_STEPS = {
    "do_resize",
    "do_center_crop",
    "do_rescale",
    "do_normalize",
    "do_convert_rgb",
}


def _hugging_face_fields(content: Content) -> Fields:
    # Newer files name the class of the processor by the first key, older ones by the second.
    processor_class = str(
        content.get("image_processor_type") or content.get("feature_extractor_type")
    )
    active_steps = {
        key
        for key, value in content.items()
        if value and re.match("do_|rescale_offset", key)
    }
    unsupported = sorted(active_steps - _SUPPORTED_STEPS)
    if (
        processor_class.startswith("EfficientNet")
        and content.get("include_top") is not False
    ):
        unsupported.append("include_top, which divides by image_std twice")
    # LeViT enlarges by 256 / 224 before the crop, which its files do not say; ConvNeXt only to less than 384.
    is_squashed = processor_class.startswith("ConvNext") and content.get("size") == 384
    is_enlarged = content.get("crop_pct") and not is_squashed
    if is_enlarged or processor_class.startswith("Levit"):
        unsupported.append("crop_pct, by which it resizes to more than size")
    _require_expressible(not unsupported, ", ".join(unsupported))
    mean = content.get("image_mean")
    std = content.get("image_std")
    is_normalized = content.get("do_normalize", mean is not None)
    _require_expressible(
        not is_normalized or None not in (mean, std),
        "do_normalize without image_mean or image_std",
    )
    divisor = 1.0
    # Older files do not say so; transformers then rescales.
    if content.get("do_rescale", True):
        divisor = 1 / content.get("rescale_factor", 1 / 255)
    scaling = Scaling(divisor, mean, std) if is_normalized else Scaling(divisor)
    fields: Fields = {
        "layout": "channels_first",
        "size": None,
        # By its name, if it is a usual one.
        "scaling": simplest((scaling,)),
    }
    crop_size = (
        _height_and_width(content["crop_size"])
        if content.get("do_center_crop")
        else None
    )
    # Files that have a size but do not say whether they resize do; without resizing, the size stays None.
    if not content.get("do_resize", "size" in content):
        _require_expressible(
            crop_size is None, "a crop alone, which depends on the photo"
        )
        return fields
    # Pillow's number of a filter.
    resampling = Image.Resampling(content.get("resample", Image.Resampling.BILINEAR))
    size_and_fit = _hugging_face_size_and_fit(
        content.get("size"), crop_size, processor_class
    )
    return fields | size_and_fit | {"filter": resampling.name.lower()}


def _hugging_face_size_and_fit(
    size: Any, crop_size: Size | None, processor_class: str
) -> Fields:
    # A bare number is the shorter side for CLIP, else both; beside a crop it may be either, and is refused.
    if isinstance(size, int) and processor_class.startswith("CLIP"):
        size = {"shortest_edge": size}
    elif isinstance(size, int) and crop_size is None:
        size = {"height": size, "width": size}
    is_known = isinstance(size, Mapping) and set(size) in (
        {"shortest_edge"},
        {"height", "width"},
    )
    _require_expressible(is_known, f"size {size}")
    is_squashed = "height" in size
    # Of a photo resized to a shortest edge, a square of it is there in any case.
    resized_height, resized_width = _height_and_width(
        size if is_squashed else size["shortest_edge"]
    )
    _require_expressible(
        is_squashed or crop_size, "shortest_edge alone: the photo decides the size"
    )
    height, width = crop_size or (resized_height, resized_width)
    # A Preprocessing has one fraction for both sides, so what is cut out must keep the proportions.
    is_fraction = (
        height <= resized_height and height * resized_width == width * resized_height
    )
    _require_expressible(
        is_fraction, f"crop_size {crop_size} of {resized_height, resized_width}"
    )
    return _size_and_fit(
        (height, width), height / resized_height, is_squashed=is_squashed
    )


def _height_and_width(size: Any) -> Size:
    # A number stands for both sides.
    if isinstance(size, Mapping):
        return size["height"], size["width"]
    return size, size


_KERAS_MODES = {"tf": "mobilenet", "torch": "densenet", "caffe": "resnet"}
"""Of `preprocess_input`, and a family that is scaled so."""


def _torchvision_fields(printed: str) -> Fields:
    """Read what transforms of torchvision, timm or open_clip are printed as, as Hugging Face names it."""
    # The text becomes Python that is parsed, not run; what is printed with an address, such as the function
    # _convert_to_rgb, is left out.
    lines = re.sub(r"<[^<>]*rgb[^<>]*>", "", printed, flags=re.IGNORECASE).split("\n")
    # Each transform is printed on a line of its own, without commas; before the first there must be none.
    stripped = [line.strip().rstrip(",") for line in lines if line.strip()]
    expression = ", ".join(stripped).replace("(,", "(")
    # What the transforms do, in the words of a file of Hugging Face; later ones overwrite earlier ones.
    content: Content = {"do_rescale": False}
    for name, options in _transforms(ast.parse(expression, mode="eval").body):
        _require_expressible(
            name in _TRANSFORMS, f"{name}; give the transforms of an evaluation"
        )
        _require_expressible(
            name != "Resize" or "crop_size" not in content,
            "a crop before Resize, which depends on the photo",
        )
        content |= _TRANSFORMS[name](options)
    # Of channels, a file of Hugging Face says nothing.
    channels = content.pop("channels", "rgb")
    return _hugging_face_fields(content) | {"channels": channels}


def _transforms(node: Any) -> Iterator[tuple[str, Options]]:
    """Yield the name and the arguments of each transform, those of a Compose one by one."""
    if isinstance(node, ast.List):
        nested_nodes = node.elts
    else:
        # A call, whose name may have a module before it.
        name = ast.unparse(node.func).rpartition(".")[2]
        # Options are printed with their names; what is printed without one is a transform, or a list of them.
        nested_nodes = node.args
        if name != "Compose":
            options = {
                keyword.arg: _printed_value(keyword.value) for keyword in node.keywords
            }
            yield name, options
    for nested_node in nested_nodes:
        yield from _transforms(nested_node)


def _printed_value(node: ast.expr) -> Any:
    """Return a value that is printed: numbers, or the last part of a name such as that of a filter."""
    # Of tensor([0.485, ...]) the list, of InterpolationMode.BICUBIC the name of the filter.
    text = ast.unparse(node).removeprefix("tensor")
    with suppress(ValueError):  # a name is no literal
        return ast.literal_eval(text)
    return text.rpartition(".")[2].upper()


def _torchvision_resize_as_hugging_face(options: Options) -> Content:
    _require_expressible(
        not options.get("max_size"), "max_size: the photo decides the size"
    )
    # Two are the height and the width, one is the shorter side.
    lengths = np.atleast_1d(options["size"]).tolist()
    edges = ("height", "width") if len(lengths) == 2 else ("shortest_edge",)
    resampling = Image.Resampling[options.get("interpolation", "BILINEAR")]
    return {"size": dict(zip(edges, lengths, strict=True)), "resample": resampling}


def _torchvision_crop_as_hugging_face(options: Options) -> Content:
    # One number stands for both sides.
    height, width = np.resize(options["size"], 2).tolist()
    return {"do_center_crop": True, "crop_size": {"height": height, "width": width}}


def _torchvision_normalize_as_hugging_face(options: Options) -> Content:
    return {"image_mean": options["mean"], "image_std": options["std"]}


def _torchvision_preset_as_hugging_face(options: Options) -> Content:
    # The transforms that come with weights of torchvision: resized, cropped, divided by 255, normalized.
    return {
        **_torchvision_resize_as_hugging_face(
            options | {"size": options["resize_size"]}
        ),
        **_torchvision_crop_as_hugging_face({"size": options["crop_size"]}),
        **_torchvision_normalize_as_hugging_face(options),
        "do_rescale": True,
    }


_AS_TENSOR = ("ToTensor", "MaybeToTensor", "ConvertImageDtype")
_NEUTRAL = ("ToImage", "PILToTensor", "ToPureTensor")
_TRANSFORMS: Mapping[str, Callable[[Options], Content]] = {
    "Resize": _torchvision_resize_as_hugging_face,
    "CenterCrop": _torchvision_crop_as_hugging_face,
    "Grayscale": lambda options: {
        "channels": {1: "gray", 3: "gray_rgb"}[options["num_output_channels"]]
    },
    "ToDtype": lambda options: {"do_rescale": options.get("scale", False)},
    "Normalize": _torchvision_normalize_as_hugging_face,
    "ImageClassification": _torchvision_preset_as_hugging_face,
    **dict.fromkeys(_AS_TENSOR, lambda _: {"do_rescale": True}),
    **dict.fromkeys(_NEUTRAL, lambda _: {}),
}
"""What each transform says in the words of Hugging Face."""


# By which keys each format is recognized, and what reads it.
_READERS: Mapping[str, tuple[tuple[str, ...], Callable[[Content], Fields]]] = {
    "KerasHub": (("class_name",), _keras_hub_fields),
    "Hugging Face": (
        (
            "do_resize",
            "do_normalize",
            "do_rescale",
            "image_processor_type",
            "feature_extractor_type",
        ),
        _hugging_face_fields,
    ),
    "timm": (("pretrained_cfg", "input_size"), _timm_fields),
}


_FORMATS = f"what {', '.join(_READERS)}, torchvision or Keras has (see Preprocessing.from_config)"


def read_configs(config: Any) -> Fields:
    """Return the fields of a `Preprocessing` that a file, its parsed content, or an object describes.

    Parameters
    ----------
    config
        Path or content of a KerasHub ``preprocessor.json`` or ``image_converter.json``, a Hugging Face
        ``preprocessor_config.json``, or a timm ``config.json``; recognized by content. A processor of Hugging
        Face or a ``data_config`` of timm; transforms of torchvision, or the text that they are printed as; or
        a mode of Keras's `preprocess_input`. ValueError or TypeError for content that is none of these, or
        that cannot be expressed; OSError if the file cannot be read.
    """
    # A processor of Hugging Face gives the content of its file.
    content = config.to_dict() if hasattr(config, "to_dict") else config
    if isinstance(content, str) and content in _KERAS_MODES:
        # A mode is the scaling of a family, without a size.
        return keras_application_fields(_KERAS_MODES[content]) | {"size": None}
    # Transforms of torchvision, or the text that they are printed as.
    if re.match(r"\s*(Compose|ImageClassification)\(", str(content)):
        content = str(content)
    elif not isinstance(content, Mapping):
        try:
            json_bytes = small_file(Path(content))
        except (OSError, TypeError) as error:
            # A file that cannot be read, or what is no path; error 2 is that there is no such file.
            received = re.sub(r"^\[Errno 2\][^:]*:", "no file", first_line(error))
            raise type(error)(
                f"Expected {_FORMATS}, received {received};"
                " Preprocessing.for_application knows the models of keras.applications"
            ) from None
        content = parsed(f"the file {Path(content).name}", json_bytes)
    received = f"an object with {list(content)[:6]}"
    try:
        if isinstance(content, str):
            return _torchvision_fields(content)
        # Each format is known by its keys, of which one is enough.
        for keys, fields_of_format in _READERS.values():
            if any(key in content for key in keys):
                return fields_of_format(content)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        SyntaxError,
        TypeError,
        ValueError,
    ) as error:
        # The kit's own messages begin so and say what is wrong; others come from values it did not expect.
        if str(error).startswith("Expected"):
            raise
        received = f"one that cannot be read ({first_line(error)})"
    raise ValueError(f"Expected {_FORMATS}, received {received}")
