"""The bundled photographs that are sent through a pipeline in place of the user's.

Scale and colour faults lie in the pipeline and not in the picture, so any ordinary photographs show them. The
probes are those bundled photographs whose class is not known: whatever is tried out or reported on labelled
photographs never meets one of them.
"""

import json
from functools import cache
from pathlib import Path

from kit.images import Photo, PhotoError, load_image

# Beside the package, which is therefore installed editable.
_FOLDER = Path(__file__).resolve().parents[2] / "data" / "photographs"


@cache
def probes() -> tuple[Photo, ...]:
    """Load the probe photographs; none where ``data/`` does not lie beside ``kit/``."""
    try:
        index = json.loads((_FOLDER / "index.json").read_text(encoding="utf-8"))
        return tuple(
            load_image(_FOLDER / entry["file"])
            for entry in index
            if entry["kind"] == "photograph" and entry["imagenet_class"] is None
        )
    except (FileNotFoundError, PhotoError):
        return ()
