"""What each family of ``keras.applications`` expects, as a table; Keras itself is not needed.

Sources: ``preprocess_input`` of each module of Keras 3.15 and the default input size of each model.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from kit._checking import nearest

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
