"""The types of arrays and paths, named once; shapes are given where they are used."""

from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = dict[str, Array]
Pixels = NDArray[np.uint8]
"""8-bit levels 0..255."""
Levels = NDArray[np.uint8] | NDArray[np.float32]
"""8-bit levels, or in the same range what resizing leaves unrounded."""
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Floats = NDArray[np.floating]
Int16 = NDArray[np.int16]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]
AnyPath = str | PathLike[str]
JSONObject = dict[str, Any]
