"""Networks of other formats, run for the first time in the process that `loading` starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kit.classifier.child import answer
from kit.classifier.engines import OPEN_SIDE, engine_of


def _run(_file: Path, folder: Path) -> Mapping[str, Any]:
    for data in filter(None, (path.read_bytes() for path in sorted(folder.glob("*.network")))):
        engine = engine_of(data, threads=1)
        engine.predict(np.zeros((1, *(side or OPEN_SIDE for side in engine.input_shape)), np.float32))
    return {}


if __name__ == "__main__":
    answer(_run)
