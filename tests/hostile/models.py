"""Hostile model files, made from bundled ones and from nothing but a seed.

`corpus` yields whole files that are damaged or forged in every place that is read; `compiled_corpus` yields
files whose compiled form alone was changed and whose digests were computed anew, as anybody can. `open_one`
does with one of them what a person would do with a model that they were sent.
"""

import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kit import Classifier
from kit.classifier import store
from kit.classifier.architecture import architecture_and_weights, layers_of
from kit.classifier.conversion import import_keras
from kit.classifier.first_layers import FirstLayers
from kit.classifier.golden import golden_in

MODELS = Path(__file__).resolve().parents[2] / "data" / "models"
SOURCES = ("fashion_mnist_500", "fashion_mnist_no_batchnorm", "fashion_mnist")

_Random = np.random.Generator
_WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_VALUES = (
    None,
    True,
    -1,
    0,
    1,
    2**31,
    2**63,
    1e308,
    -0.0,
    "",
    "relu",
    "\ud800",
    "a" * 5000,
    [],
    {},
    [[]],
    [None] * 9,
)


def open_one(path: Path) -> None:
    """Open a file, read all that it carries, and answer one tensor.

    Raises
    ------
    ValueError, TypeError, OSError
        In one line: what is documented.
    """
    classifier = Classifier.load(path)
    assert all("\n" not in note for note in classifier.notes)
    repr(classifier)
    shape = [1, *(side or 32 for side in classifier.input_shape)]
    rows = classifier.predict_tensors(np.zeros(shape, np.float32))
    assert rows.shape == (1, len(classifier.class_names))
    config, _ = architecture_and_weights(classifier)
    layers_of(config)
    reference = classifier.reference
    repr(reference)
    if reference.first_layers is not None:
        reference.first_layers.measure(np.zeros(shape, np.float32))
    reference.properties  # noqa: B018 (is read when it is asked for)
    golden_in(reference.golden)


def compiled_corpus(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield files with a changed compiled form, by name; every fourth has other first layers instead."""
    for number in range(count):
        random = np.random.default_rng((seed, number))
        source = MODELS / f"{SOURCES[number % len(SOURCES)]}.keras"
        opened = store.read(source)
        members = {name: opened.member(name) for name in (store.COMPILED, store.FIRST_LAYERS)}
        if number % 4 == 3:
            layers = FirstLayers.from_bytes(members[store.FIRST_LAYERS])
            kind, changed = _mutated(layers.compiled, random)
            widths, profile = layers.widths, layers.profile
            members[store.FIRST_LAYERS] = FirstLayers(changed, widths, profile=profile).to_bytes()
            kind = f"first-layers-{kind}"
        else:
            kind, members[store.COMPILED] = _mutated(members[store.COMPILED], random)
        yield f"{number:06}-compiled-{kind}.keras", _forged(source, members=members)


def corpus(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield whole files, by name; the kinds take turns. Keras is loaded before, as after a training."""
    import_keras()
    for number in range(count):
        random = np.random.default_rng((seed, number))
        source = MODELS / f"{SOURCES[int(random.integers(len(SOURCES)))]}.keras"
        make = KINDS[number % len(KINDS)]
        yield f"{number:06}-{make.__name__.strip('_')}.keras", make(source, random)


def _mutated(data: bytes, random: _Random) -> tuple[str, bytes]:
    """Change bytes; half of the time where the format keeps its tables, which is at both ends."""
    changed = bytearray(data)
    kind = ("bits", "words", "cut", "zeros", "copied", "inserted")[int(random.integers(6))]

    def place(width: int) -> int:
        size = len(data)
        low, high = ((0, size), (0, min(size, 4096)), (max(0, size - 20_000), size))[int(random.integers(3))]
        return int(random.integers(low, max(low + 1, high - width)))

    if kind == "bits":
        for _ in range(int(random.integers(1, 9))):
            changed[place(1)] ^= 1 << int(random.integers(8))
    elif kind == "words":
        for _ in range(int(random.integers(1, 5))):
            at = place(4) & ~3
            changed[at : at + 4] = struct.pack("<I", _WORDS[int(random.integers(len(_WORDS)))])
    elif kind == "cut":
        del changed[place(1) :]
    elif kind == "zeros":
        at = place(64)
        changed[at : at + 64] = bytes(64)
    elif kind == "copied":
        at, other = place(32), place(32)
        changed[at : at + 32] = changed[other : other + 32]
    else:
        changed[place(1) : 0] = random.bytes(int(random.integers(1, 40)))
    return kind, bytes(changed)


def _forged(source: Path, *, members: dict[str, bytes | None] | None = None, **contract: Any) -> bytes:
    """Write a file anew with other members or values in its contract, and with digests that fit."""
    opened = store.read(source)
    kept = {name: opened.member(name) for name in opened.contract["members"]}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "forged.keras"
        store.write(source, target, {**opened.contract, **contract}, {**kept, **(members or {})})
        return target.read_bytes()


def _zipped(
    source: Path, change: Callable[[str, bytes], bytes | None], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """Zip a file anew; the change gives the content of each member, None to leave it out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(buffer, "w", method) as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(zipfile.ZipInfo(name), content, method)  # without the time of day
    return buffer.getvalue()


def _raw_bytes(source: Path, random: _Random) -> bytes:
    return _mutated(source.read_bytes(), random)[1]


def _weights(source: Path, random: _Random) -> bytes:
    return _zipped(source, lambda name, data: _mutated(data, random)[1] if name.endswith(".h5") else data)


def _weights_plain(source: Path, random: _Random) -> bytes:
    def change(name: str, data: bytes) -> bytes | None:
        if name.startswith(store.CONTRACT[:4]):
            return None
        return _mutated(data, random)[1] if name.endswith(".h5") else data

    return _zipped(source, change)


def _config(source: Path, random: _Random) -> bytes:
    def change(name: str, data: bytes) -> bytes | None:
        if name.startswith(store.CONTRACT[:4]):
            return None
        return _other_leaf(data, random) if name == "config.json" else data

    return _zipped(source, change)


def _contract(source: Path, random: _Random) -> bytes:
    return _zipped(source, lambda name, data: _other_leaf(data, random) if name == store.CONTRACT else data)


def _json_bytes(source: Path, random: _Random) -> bytes:
    return _zipped(source, lambda name, data: _mutated(data, random)[1] if name.endswith(".json") else data)


def _missing(source: Path, random: _Random) -> bytes:
    with zipfile.ZipFile(source) as old:
        names = old.namelist()
    gone = names[int(random.integers(len(names)))]
    return _zipped(source, lambda name, data: None if name == gone else data)


def _method(source: Path, random: _Random) -> bytes:
    method = (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)[int(random.integers(2))]
    return _zipped(source, lambda _, data: data, method)


def _encrypted(source: Path, random: _Random) -> bytes:
    """Set the flag of encryption in the directory of the zip."""
    data = bytearray(source.read_bytes())
    places = [at for at in range(len(data) - 4) if data[at : at + 4] == b"PK\x01\x02"]
    data[places[int(random.integers(len(places)))] + 8] |= 1
    return bytes(data)


def _bomb(source: Path, random: _Random) -> bytes:
    """Members that unpack to many times their size."""
    name = ("config.json", store.CONTRACT, "metadata.json", "assets/a.txt")[int(random.integers(4))]
    content = (b" ", b"[", b"0,", b'{"a":')[int(random.integers(4))] * int(random.integers(1 << 20, 1 << 25))
    data = _zipped(source, lambda each, old: content if each == name else old)
    buffer = io.BytesIO(data)
    if name.startswith("assets"):
        with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as whole:
            whole.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _declared(source: Path, random: _Random) -> bytes:
    """Layers that declare more than their weights have."""
    size = int(10 ** random.uniform(4, 10))
    key = (b'"units": 10', b'"filters": 32', b'"pool_size": [2, 2]', b"28, 28, 1")[int(random.integers(4))]
    new = key.rstrip(b"0123456789]") + str(size).encode() + (b"]" if key.endswith(b"]") else b"")

    def change(name: str, data: bytes) -> bytes | None:
        if name.startswith(store.CONTRACT[:4]):
            return None
        return data.replace(key, new) if name == "config.json" else data

    return _zipped(source, change)


def _arrays(source: Path, random: _Random) -> bytes:
    """Arrays of first layers that declare more than there is, or are of another kind."""
    shape = (int(2 ** random.uniform(0, 40)),)
    kind = ("<f8", "|O", "<U4", "|b1", "<M8[s]")[int(random.integers(5))]
    header, buffer = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": kind, "fortran_order": False, "shape": shape})
    names = ("compiled", "widths", "epsilon", "means", "variances", "profile")
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), header.getvalue() + random.bytes(16))
    return _forged(source, members={store.FIRST_LAYERS: buffer.getvalue()})


def _members(source: Path, random: _Random) -> bytes:
    """Statistics and golden pictures of another form."""
    content = (b"[]", b"null", b"[" * 9999, b'{"format":1}', random.bytes(99), b'[{"name":"\\ud800"}]')
    chosen = content[int(random.integers(len(content)))]
    name = (store.PROPERTIES, store.GOLDEN, store.NOVELTY)[int(random.integers(3))]
    return _forged(source, members={name: chosen})


def _swapped(source: Path, random: _Random) -> bytes:
    """The compiled form of another network, with a digest that fits."""
    other = MODELS / f"fashion_mnist_{('2000', '5000', '10000')[int(random.integers(3))]}.keras"
    return _forged(source, members={store.COMPILED: store.read(other).member(store.COMPILED)})


def _stated(source: Path, random: _Random) -> bytes:
    """A contract that says something else of the same network."""
    changes = (
        {"head": ("logits", "sigmoid", "binary_logit", "log_softmax")[int(random.integers(4))]},
        {"output_count": int(random.integers(1, 1 << 40))},
        {"input_shape": [None, None, 1]},
        {"input_shape": [1 << 20, 1 << 20, 3]},
        {"reason": "it says so", "max_difference": 1.0},
        {"class_names": ["a"] * int(random.integers(1, 1 << 16))},
        {"temperature": 1e-300},
    )
    return _forged(source, **changes[int(random.integers(len(changes)))])


def _other_leaf(data: bytes, random: _Random) -> bytes:
    """Put another value, or nothing, in one place of a JSON text."""
    content = json.loads(data)
    places: list[tuple[Any, Any]] = []
    pending: list[Any] = [content]
    while pending:
        value = pending.pop()
        pairs = (
            value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
        )
        for key, inner in list(pairs):
            places.append((value, key))
            pending.append(inner)
    for _ in range(int(random.integers(1, 3))):
        holder, key = places[int(random.integers(len(places)))]
        if isinstance(holder, dict) and random.random() < 0.2:
            holder.pop(key, None)
        elif isinstance(holder, dict) or key < len(holder):
            holder[key] = _VALUES[int(random.integers(len(_VALUES)))]
    return json.dumps(content).encode()


KINDS: tuple[Callable[[Path, _Random], bytes], ...] = (
    _raw_bytes,
    _contract,
    _stated,
    _swapped,
    _json_bytes,
    _missing,
    _method,
    _encrypted,
    _bomb,
    _arrays,
    _members,
    _weights,
    _config,
    _declared,
    _weights_plain,
)
