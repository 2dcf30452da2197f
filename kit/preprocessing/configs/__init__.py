"""Reading the preprocessing files of KerasHub, Hugging Face and timm.

What a file says and a `Preprocessing` cannot express raises; what it expresses only nearly, or what the
file leaves open, becomes a note in words.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kit._checking import parsed
from kit.preprocessing.configs import hugging_face, keras_hub, timm
from kit.preprocessing.configs.keras_hub import Fields

MAX_BYTES = 1 << 20


def read(config: str | Path | Mapping[str, Any]) -> Fields:
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
    for kind in (keras_hub, hugging_face, timm):
        if kind.recognises(content):
            fields: Fields = kind.read(content)
            return fields
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
