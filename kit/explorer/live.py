"""What a page has that runs the network itself, on any photo."""

import gzip
import math
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np

from kit.classifier.engines import LiteEngine, is_lite, probabilities
from kit.classifier.intermediate import with_feature_map
from kit.classifier.metadata import litert_schema
from kit.classifier.network import trial_tensors
from kit.explorer import page
from kit.explorer.bench import Bench
from kit.explorer.panel import panel
from kit.explorer.protocol import Step
from kit.explorer.replies import in_short
from kit.explorer.settings import MAIN, Settings, changed_settings, step_words
from kit.explorer.shelf import Shelf
from kit.explorer.texts import MARKS
from kit.images.metadata import without_metadata
from kit.preprocessing import Preprocessing, faults
from kit.preprocessing.resizing import PILLOW

LARGEST = 40_000_000
"""Bytes of a network that a page takes."""
AHEAD = 320
"""Places of a slider to which the page looks ahead."""
EQUAL = 1e-3
"""Largest difference in a probability that shorter weights may make."""
SMALL = 4096
"""Bytes up to which constants stay as they are."""
WHOLE = 32767
"""Largest whole number of a weight in 16 bits."""
NOT_OFFERED = {"alpha_dropped", "depth_clipped"}
"""Faults of decoding that a browser, which decodes by itself, cannot repeat."""
WORDS = {
    "and": " and ",
    "fixed": "{changes}. Fixed: {prediction}",
    "marks": {
        "changed": "changed",
        "right": "✓ fixed",
        "same": "same prediction",
    },
    "others": "{count} others",
    "reduced": "reduced from {size}",
    "same": "the same class, {share}",
    "still": "still {after}",
    "tensor": (
        "dtype",
        "shape",
        "minimum",
        "maximum",
        "mean",
        "standard deviation",
    ),
    "together": "Only together: {changes}: without them {prediction}",
    "unchanged": "Your changes did not change the prediction: untouched it is {before}.",
    "untouched": "Untouched: {before}",
    "where": "Orange places speak for {name}; they do not say why.",
    "without": "{changes}: without it {prediction}",
}
"""What the page says, as `texts`, `replies` and `why` do."""


class PageError(ValueError):
    """Why a page cannot run a network, or show what it is to show."""


def _check(bench: Bench, states: Iterable[Settings]) -> None:
    """Refuse what a page does not compute."""
    compiled = bench.classifier.network.compiled
    used = {key for settings in states for key in changed_settings(settings)}
    used -= {*MAIN, "seed", *faults.STEPS}
    used |= NOT_OFFERED & {
        settings[step] for settings in states for step in faults.STEPS
    }
    trained = bench.trained
    if compiled.data is None or not is_lite(compiled.data):
        raise PageError(f"{compiled.runner} runs this network")
    if len(compiled.data) > LARGEST:
        raise PageError(f"this network has {len(compiled.data) / 1e6:.0f} MB")
    if None in compiled.input_shape or trained.size is None:
        raise PageError("this network takes images of any size")
    if bench.novelty is not None:
        raise PageError("this model tells images of none of its classes")
    if trained.filter not in page.FILTERS:
        raise PageError(f"pages do not resize by {trained.filter}")
    if used:
        raise PageError(f"pages do not compute {', '.join(sorted(used))}")


def parts(
    bench: Bench,
    shelf: Shelf,
    tries: Mapping[str, Settings],
    start: Settings,
    *,
    exact: bool,
) -> list[str]:
    """Return what a page has: the panel, the worker's script, its runtime, the network, then each photo.

    PageError says why there is no such page.
    """
    _check(bench, [start, *tries.values()])
    compiled = bench.classifier.network.compiled
    network, about = _network(bench, shelf, exact=exact)
    names = bench.classifier.class_names
    contents: dict[str, Any] = {
        **panel(bench, shelf, tries, ahead=AHEAD, latency=False),
        "alone": True,
        "mapless": about["map"] is None,
        "marks": MARKS,
        "start": start | {"where": None},
        "labels": {
            name: names[entry.label]
            for name, entry in shelf.items()
            if entry.label is not None
        },
        "live": about
        | {
            "head": compiled.head,
            "shape": compiled.input_shape,
            "temperature": bench.classifier.temperature,
            "seeds": _seeds([start, *tries.values()]),
            "words": WORDS,
            **_steps(bench.trained),
            "size": bench.trained.size,
        },
    }
    contents["sliders"] = [
        slider for slider in contents["sliders"] if slider["key"] in MAIN
    ]
    contents["path"] = _offered(contents["path"])
    script = (
        gzip.decompress(page.vendored("litert.js")) + page.joined(page.WORKER).encode()
    )
    photos = [without_metadata(entry.photo).file or b"" for entry in shelf.values()]
    binaries = [gzip.compress(script), page.vendored("litert.wasm"), network, *photos]
    return [page.packed(contents), *(b64encode(part).decode() for part in binaries)]


def _offered(path: Sequence[Step]) -> list[Step]:
    """Return the chips without the faults that a browser cannot repeat, nor those of which nothing is left."""
    steps: list[Step] = []
    for step in path:
        options = step.get("options", [])
        offered = [option for option in options if option[0] not in NOT_OFFERED]
        if options and len(offered) > 1:
            steps.append({**step, "options": offered})
        elif not options:
            steps.append(step)
    return steps


def _seeds(states: Sequence[Settings]) -> dict[int, dict[str, str]]:
    """Return the state of numpy's generator for each seed; as text, since its numbers have 128 bits."""
    seeds = {}
    for seed in {0, *(settings["seed"] for settings in states)}:
        state = np.random.PCG64(seed).state["state"]
        seeds[seed] = {"state": str(state["state"]), "increment": str(state["inc"])}
    return seeds


def _steps(trained: Preprocessing) -> dict[str, Any]:
    """Return the preprocessing as plain values, what each fault changes in them, and words for the chips."""
    steps = plain_steps(trained)
    changes: dict[str, dict[str, Any]] = {}
    words: dict[str, dict[str, str]] = {}
    for step in faults.STEPS:
        words[step] = {"": in_short(step_words(trained)[step])}
        changes[step] = {}
        for fault in faults.alternatives(trained, step):
            faulty = fault.apply(trained)
            words[step][fault.name] = in_short(step_words(faulty)[step])
            values = plain_steps(faulty)
            changes[step][fault.name] = {
                name: value for name, value in values.items() if value != steps[name]
            }
    return {"steps": steps, "faults": changes, "stepWords": words}


def plain_steps(preprocessing: Preprocessing) -> dict[str, Any]:
    """Return the fields of a preprocessing and its decoding as JSON takes them."""
    fields = asdict(preprocessing)
    fields |= fields.pop("decoding")
    version = fields["pillow"] or PILLOW
    return fields | {"pillow": version, "shrinks": PILLOW}


def _network(bench: Bench, shelf: Shelf, *, exact: bool) -> tuple[bytes, Any]:
    """Return a network for one image as the page unpacks it, and what the page has to know to do so.

    Weights have 16 bits and a scale for each channel, unless that changes a probability by more than `EQUAL`.
    """
    compiled = bench.classifier.network.compiled
    data, head, constants = _for_one(compiled.data or b"")
    short, restored, weights = _shortened(data, constants)
    tensors = [bench.trained.apply(entry.photo) for entry in shelf.values()]
    trials = trial_tensors(compiled.input_shape, bench.trained)
    batch = np.concatenate([*trials, *tensors])
    rows = LiteEngine(restored, threads=1).predict(batch)
    expected = bench.classifier.predict_tensors(batch)
    difference = np.abs(probabilities(rows, compiled.head) - expected).max()
    if exact or difference > EQUAL:
        short = data
        weights = []
    about = {"network": {"length": len(data), "weights": weights}, "map": head}
    return gzip.compress(short, 6, mtime=0), about


def _for_one(compiled: bytes) -> tuple[bytes, Any, list[tuple[Any, int]]]:
    """Return a network for one image whose second output is its last feature map.

    Beside it, where its last layer is, and its large constants, each with the axis of its channels.
    """
    litert = litert_schema()
    weights = None
    with suppress(ValueError):
        compiled, weights = with_feature_map(compiled)
    model = litert.ModelT.InitFromPackedBuf(compiled, 0)
    [graph] = model.subgraphs
    for tensor in graph.tensors:
        if tensor.shapeSignature is not None:
            tensor.shapeSignature = np.abs(tensor.shapeSignature)
    if graph.tensors[graph.inputs[0]].type != litert.TensorType.FLOAT32:
        raise PageError("this network takes whole numbers")
    depthwise = {
        operator.inputs[1]
        for operator in graph.operators
        if model.operatorCodes[operator.opcodeIndex].builtinCode
        == litert.BuiltinOperator.DEPTHWISE_CONV_2D
    }
    constants = []
    for number, tensor in enumerate(graph.tensors):
        raw = model.buffers[tensor.buffer].data
        if (
            tensor.type == litert.TensorType.FLOAT32
            and raw is not None
            and len(raw) >= SMALL
        ):
            values = raw.view("<f4").reshape(tensor.shape)
            constants.append((values, values.ndim - 1 if number in depthwise else 0))
    builder = litert.flatbuffers.Builder(len(compiled) + (1 << 16))
    builder.Finish(model.Pack(builder), b"TFL3")  # the mark of the format
    data = bytes(builder.Output())
    start = -1 if weights is None else data.find(weights.tobytes())
    if weights is None or start < 0:
        return data, None, constants
    shape = graph.tensors[graph.outputs[1]].shape[1:].tolist()
    head = {"start": start, "count": weights.size, "rows": len(weights), "shape": shape}
    return data, head, constants


def _shortened(
    data: bytes, constants: Iterable[tuple[Any, int]]
) -> tuple[bytes, bytes, list[dict[str, int]]]:
    """Return a network in short, the network that a page makes of it, and where its weights are.

    In short it has empty constants; after it come the scales, the low bytes of all weights, the high bytes.
    """
    file = bytearray(data)
    restored = bytearray(data)
    weights = []
    scales = []
    wholes = []
    for values, axis in constants:
        start = data.find(values.tobytes())
        others = tuple(other for other in range(values.ndim) if other != axis)
        scale = np.abs(values).max(axis=others, keepdims=True) / np.float32(WHOLE)
        scale[scale == 0] = 1
        whole = np.rint(values / scale).astype("<i2")
        file[start : start + values.nbytes] = bytes(values.nbytes)
        restored[start : start + values.nbytes] = (whole * scale).tobytes()
        scales.append(scale.ravel())
        wholes.append(whole.ravel())
        weights.append(
            {
                "start": start,
                "count": values.size,
                "channels": scale.size,
                "inner": math.prod(values.shape[axis + 1 :]),
            }
        )
    scale_bytes = b"".join(scale.tobytes() for scale in scales)
    whole_bytes = b"".join(whole.tobytes() for whole in wholes)
    planes = whole_bytes[::2] + whole_bytes[1::2]
    return bytes(file) + scale_bytes + planes, bytes(restored), weights
