"""Make a ``.keras`` file smaller without changing a weight, and compile its network beside it.

Float32 weights hardly compress as they are (91 % with deflate); with the bytes of equal significance side by
side they come to 83 %. Keras reads the filtered file as any other.
What is compiled goes to ``data/models/compiled/``, named by the digest of the weights as in the cache folder.
"""

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import h5py

from kit.classifier import loading, store
from kit.classifier.store import PREFIX

WEIGHTS = "model.weights.h5"
# Smaller arrays are not worth a chunk of their own.
SMALLEST = 64
# What Keras writes from 3.14 on where nobody has set it; earlier releases refuse a file that names it.
NEWER = {"input_axes": None, "output_axes": None}
NEWER |= {"renorm": False, "renorm_clipping": None, "renorm_momentum": 0.99}
FILLED_IN = ("format", "weights_sha256", "statistics_sha256")


def pack(path: Path) -> None:
    """Rewrite a file that ``Classifier.save`` wrote with packed weights, and compile it."""
    saved = store.read_model(path)
    if saved.contract is None:
        raise ValueError(
            f"Expected a file that Classifier.save wrote, received {path.name!r}; save it so first"
        )
    contract = {
        key: value for key, value in saved.contract.items() if key not in FILLED_IN
    }
    with tempfile.TemporaryDirectory() as folder:
        network = Path(folder) / path.name
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(network, "w") as new:
            for info in old.infolist():
                if not info.filename.startswith(PREFIX):
                    data = old.read(info)
                    if info.filename == WEIGHTS:
                        data = filtered(data)
                    elif info.filename == "config.json":
                        data = json.dumps(without_newer(json.loads(data)))
                    new.writestr(
                        zipfile.ZipInfo(info.filename), data, zipfile.ZIP_DEFLATED, 9
                    )
        compile_beside(store.write_model(network, path, contract, saved.statistics))


def without_newer(config: Any) -> Any:
    """Return a configuration as Keras wrote it before it had more to say, so that Keras 3.13 opens it."""
    if isinstance(config, list):
        return [without_newer(value) for value in config]
    if not isinstance(config, dict):
        return config
    return {
        key: without_newer(value)
        for key, value in config.items()
        if (key, value) not in NEWER.items()
    }


def compile_beside(opened: store.Archive) -> None:
    """Compile a network for those who open it here."""
    loading.BUNDLED.mkdir(exist_ok=True)
    compiled = loading.convert(opened, opened.preprocessing())
    compiled.write(loading.BUNDLED / f"{opened.digest}.zip")


def filtered(data: bytes) -> bytes:
    """Return the contents of an HDF5 file with shuffle and gzip filters on its larger arrays."""

    def copy(old: h5py.Group, new: h5py.Group) -> None:
        new.attrs.update(old.attrs)
        for name, item in old.items():
            if isinstance(item, h5py.Group):
                copy(item, new.create_group(name))
            elif item.size < SMALLEST:
                old.copy(item, new, name=name)
            else:
                copied = new.create_dataset(
                    name,
                    data=item[()],
                    chunks=item.shape,
                    shuffle=True,
                    compression="gzip",
                    compression_opts=9,
                )
                copied.attrs.update(item.attrs)

    target = io.BytesIO()
    with (
        h5py.File(io.BytesIO(data)) as old,
        h5py.File(target, "w", libver="latest") as new,
    ):
        copy(old, new)
    return target.getvalue()
