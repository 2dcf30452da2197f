"""Journals of sweeps and finished sweeps, with flipped bits, lost lines, and rows that were forged whole."""

import json
import tempfile
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np

import kit
from kit.robustness import Sweep
from kit.robustness.storage import Journal
from tests.hostile.mutations import changed, damaged

DOCUMENTED = (ValueError, OSError)
EARLIER = Path(__file__).parents[1] / "data" / "earlier_interrupted.parquet.partial"
GRID = {"brightness": [0.3, 1.0, 1.8], "noise": [0, 80]}


def _sweep(path=None):
    photos, labels = (kind("fashion_mnist")[:3] for kind in (kit.samples.photos, kit.samples.labels))
    return kit.sweep(
        kit.samples.classifier("fashion_mnist"), photos, GRID, labels=labels, path=path, progress=False
    )


@cache
def known():
    """The sweep, its journal with all rows and flips, and its file."""
    place = Path(tempfile.mkdtemp()) / "sweep.parquet"
    kept = {}

    def keep(*_):
        (journal,) = set(place.parent.iterdir()) - {place}
        kept["journal"] = journal.read_bytes()

    leave, Journal.__exit__ = Journal.__exit__, lambda self, *what: (keep(self), leave(self, *what))[1]
    try:
        swept = _sweep(place)
    finally:
        Journal.__exit__ = leave
    return swept, kept["journal"], place.read_bytes()


def _forged(random):
    """A line with other content and a checksum that is right."""
    lines = known()[1].splitlines()
    place = int(random.integers(len(lines)))
    text = json.dumps(changed(json.loads(lines[place].partition(b" ")[2]), random)).encode()
    lines[place] = b"%08x %s" % (crc32(text), text)
    return b"\n".join(lines) + b"\n"


def corpus(count, seed):
    for number in range(count):
        random = np.random.default_rng([seed, number])
        kind = str(random.choice(("journal", "journal", "forged", "earlier", "parquet", "bit")))
        data = {"earlier": EARLIER.read_bytes, "parquet": lambda: known()[2]}.get(kind, lambda: known()[1])()
        if kind == "forged":
            yield f"{number:06}-forged.partial", _forged(random)
        elif kind == "bit":
            flipped = bytearray(data)
            flipped[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
            yield f"{number:06}-bit.partial", bytes(flipped)
        else:
            yield f"{number:06}-{kind}.{'parquet' if kind == 'parquet' else 'partial'}", damaged(data, random)


def open_one(path):
    """Go on with it; what comes out is what an undisturbed sweep gives, or one line says why not."""
    if path.suffix == ".parquet":
        assert Sweep.from_parquet(path) == known()[0]
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sweep.parquet.partial").write_bytes(path.read_bytes())
        result = _sweep(Path(folder) / "sweep.parquet")
    # Whoever forges a checksum can forge answers; arrows of an earlier version had none.
    assert "forged" in path.name or "earlier" in path.name or result == known()[0]
