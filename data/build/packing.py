"""Make a ``.keras`` file smaller without changing a weight, and compile its network beside it.

Float32 weights hardly compress as they are (91 % with deflate); with the bytes of equal significance side by
side they come to 83 %. Keras reads the filtered file as any other.
What is compiled goes to ``data/models/compiled/``, named by the digest of the weights as in the cache folder.
"""

import io
import tempfile
import zipfile
from pathlib import Path

import h5py

from kit.classifier import loading, store
from kit.classifier.store import PREFIX

WEIGHTS = "model.weights.h5"
# Smaller arrays are not worth a chunk of their own.
SMALLEST = 64
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
                    packed = filtered(data) if info.filename == WEIGHTS else data
                    new.writestr(
                        zipfile.ZipInfo(info.filename), packed, zipfile.ZIP_DEFLATED, 9
                    )
        compile_beside(store.write_model(network, path, contract, saved.statistics))


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
