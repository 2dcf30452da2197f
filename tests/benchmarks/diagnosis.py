"""How often `kit.diagnose` names the right cause: ``diagnosis.py --json FILE [--models …] [--n 1,4,16]``.

Every fault of the catalogue that makes a difference is put into every network, and random draws of 1, 4 and
16 pictures are diagnosed, with and without their labels.

Networks
    The bundled ones; EfficientNet-Lite0 with its scaling inside, which takes 0..255, and as if it had no
    batch normalization, with a profile of every other photograph, tried on the rest; MobileNetV3Small of
    keras.applications, which scales inside, trained here on coloured clothes; and networks that are
    trained here on scikit-learn's digits (if it is installed), in three scalings, with and without batch
    normalization. Those without it, and all for small pictures, carry a profile of 40 training pictures.
Pictures
    Photographs: those with a known class, which are no probes. Clothes: the second half of the held-back
    ones. Digits: the last 397. Thresholds were chosen on EfficientNet-Lite1, on other networks, and on none
    of these clothes and digits.
Counted
    ``hit``: the first cause that is named is the fault's, or comes to the very same on this network.
    ``wrong``: another is named. ``silent``: called clean. The rest is ``cannot_tell``. ``accused``: a
    healthy pipeline for which a cause is named, also with pictures that are unlike those of the training:
    on white and grey ones for networks of photographs, photographs for the others. Faults that leave every
    tensor of the draw as it was are left out, quiet ones counted apart.
Rivals
    ``confidence``: the candidate with the highest mean confidence, where it leads what is in use by a
    threshold that is chosen on these very draws: at its best. ``reference``: assertions on channels, scale
    and rotation against the right tensor of the same picture (as ML-EXray describes them), which a user
    does not have; every cause of scaling counts as right where it finds the scale wrong.
"""

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))  # a script starts with its own folder in place of the project's

import kit  # noqa: E402
from kit.diagnosis.search.candidates import candidates  # noqa: E402
from kit.diagnosis.search.evaluator import Evaluator  # noqa: E402
from kit.images import Photo  # noqa: E402
from kit.preprocessing.scaling import SCALINGS  # noqa: E402

BUNDLED = ("efficientnet_lite0", "fashion_mnist", "fashion_mnist_no_batchnorm")
MODELS = (
    *BUNDLED,
    "efficientnet_lite0_inside",
    "efficientnet_lite0_profiled",
    "mobilenet_v3_small",
    *(f"digits_{scaling}{kind}" for scaling in ("0..1", "-1..1", "0..255") for kind in ("", "_no_batchnorm")),
)
SCALING = {"missing_scaling", "double_scaling", "wrong_range", "wrong_mean_std"}
CONFIDENCES = np.linspace(0, 0.5, 51)


@dataclass
class Bench:
    """A network with pictures that it is tried on."""

    name: str
    classifier: Any
    photos: Sequence[Photo]
    labels: Sequence[int]
    photographic: bool


def inside() -> Any:
    """EfficientNet-Lite0 with its scaling inside."""
    import keras  # noqa: PLC0415 (heavy)

    plain = kit.samples.classifier("efficientnet_lite0")
    entry = keras.Input((224, 224, 3))
    scaled = keras.layers.Rescaling(1 / 128, -127 / 128)(entry)
    model = keras.Model(entry, plain.model(scaled), name="efficientnet_lite0_inside")
    return kit.Classifier(model, plain.preprocessing.replace(scaling="0..255"), plain.class_names)


def mobilenet() -> Bench:
    """MobileNetV3Small of keras.applications, its scaling inside, trained on coloured clothes at 64 x 64.

    The pictures of the training are a quarter of the bundled ones, each in a colour of its class, so that the
    order of the channels matters.
    """
    import keras  # noqa: PLC0415 (heavy)

    def pictures(split: str, part: slice) -> tuple[list[Photo], list[int]]:
        tiles, labels = kit.samples.fashion_mnist_arrays(split)
        tints = np.random.default_rng(3).uniform(0.2, 1, (10, 3))
        found = []
        for tile, label in zip(tiles[part], labels[part], strict=True):
            large = Image.fromarray(tile).resize((64, 64), Image.Resampling.BILINEAR)
            found.append(
                Photo.from_array(np.rint(np.asarray(large)[..., None] * tints[label]).astype(np.uint8))
            )
        return found, labels[part].tolist()

    keras.utils.set_random_seed(5)
    model = keras.applications.MobileNetV3Small(
        (64, 64, 3), weights=None, classes=10, include_preprocessing=True
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # 0.999 is for millions of pictures
    steps = kit.Preprocessing(size=(64, 64), scaling="0..255")
    photos, truth = pictures("train", slice(0, 2500))
    tensors = np.concatenate([steps.apply(photo) for photo in photos])
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(tensors, np.array(truth), epochs=8, batch_size=50, verbose=0)
    plain = keras.models.clone_model(model)
    plain.set_weights(model.get_weights())
    classifier = kit.Classifier(plain, steps, [str(place) for place in range(10)])
    classifier = knowing(classifier, photos[:50])
    held_back, labels = pictures("test", slice(1000, 1400))
    return Bench("mobilenet_v3_small", classifier, held_back, labels, photographic=False)


def digits(name: str) -> Bench:
    """A network trained on scikit-learn's digits, 8 x 8, grey."""
    import keras  # noqa: PLC0415 (heavy)
    from sklearn.datasets import load_digits  # noqa: PLC0415 (not needed otherwise)

    scaling = name.split("_")[1]
    normalized = not name.endswith("_no_batchnorm")
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.images))
    pictures = np.round(data.images[order] * 255 / 16).astype(np.uint8)
    truth = data.target[order]
    photos = [Photo.from_array(picture) for picture in pictures]
    steps = kit.Preprocessing(size=(8, 8), channels="gray", scaling=scaling)
    tensors = np.concatenate([steps.apply(photo) for photo in photos[:1200]])
    keras.utils.set_random_seed(11)
    x = entry = keras.Input((8, 8, 1))
    for filters in (16, 16, 32):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=not normalized)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x) if normalized else x
        x = keras.layers.ReLU()(x)
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D()(x))
    model = keras.Model(entry, keras.layers.Dense(10, activation="softmax")(x), name="digits")
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    model.fit(tensors, truth[:1200], epochs=15, batch_size=64, verbose=0)
    plain = keras.models.clone_model(model)
    plain.set_weights(model.get_weights())
    classifier = kit.Classifier(plain, steps, [str(digit) for digit in range(10)])
    classifier = knowing(classifier, photos[:40])
    return Bench(name, classifier, photos[1400:], truth[1400:].tolist(), photographic=False)


def knowing(classifier: kit.Classifier, photos: Sequence[Photo]) -> kit.Classifier:
    """The same network with a profile of these training pictures."""
    return classifier.with_reference(classifier.reference.with_pictures(photos, classifier.tensor))


def bench(name: str) -> Bench:
    """Make or load one network."""
    if name.startswith("digits"):
        return digits(name)
    if name.startswith("mobilenet"):
        return mobilenet()
    if name.startswith("fashion"):
        photos, labels = (
            kit.samples.photos("fashion_mnist")[1000:],
            kit.samples.labels("fashion_mnist")[1000:],
        )
        return Bench(name, kit.samples.classifier(name), photos, labels, photographic=False)
    classifier = inside() if name.endswith("_inside") else kit.samples.classifier("efficientnet_lite0")
    pairs = zip(kit.samples.photos("imagenet"), kit.samples.labels("imagenet"), strict=True)
    # One photograph is out of focus, so that naming its blur is no false accusation.
    photos, labels = zip(*(pair for pair in pairs if pair[0].name != "clock_blurred.jpg"), strict=True)
    if name.endswith("_profiled"):
        profiled = replace(knowing(classifier, photos[::2]).first_layers, means=None, variances=None)
        classifier = classifier.with_reference(classifier.reference.with_first_layers(profiled))
        photos, labels = photos[1::2], labels[1::2]
    return Bench(name, classifier, photos, labels, photographic=True)


def cut_out(photo: Photo) -> Photo:
    """The middle of a photograph on white, as in a shop."""
    height, width = photo.size
    mask = Image.new("L", (width, height), 0)
    ImageDraw.Draw(mask).ellipse((width * 0.2, height * 0.2, width * 0.8, height * 0.8), fill=255)
    white = Image.new("RGB", (width, height), (255, 255, 255))
    white.paste(Image.fromarray(photo.pixels), mask=mask)
    return Photo.from_array(np.asarray(white), photo.name)


def grey(photo: Photo) -> Photo:
    """The same in grey."""
    return Photo.from_array(np.asarray(Image.fromarray(photo.pixels).convert("L")), photo.name)


def healthy_kinds(subject: Bench) -> dict[str, Sequence[Photo]]:
    """Pictures on which a healthy pipeline must not be accused."""
    kinds: dict[str, Sequence[Photo]] = {"ordinary": subject.photos}
    if subject.photographic:
        kinds["on white"] = [cut_out(photo) for photo in subject.photos]
        kinds["grey"] = [grey(photo) for photo in subject.photos]
    else:
        kinds["photographs"] = kit.samples.photos("photographs")
    return kinds


def harmful(subject: Bench) -> Iterator[kit.faults.Fault]:
    """Faults that change the tensors of the pictures at all, each only once."""
    right = subject.classifier.preprocessing
    first = subject.photos[0]
    seen = [right.apply(first)]
    for fault in kit.faults.CATALOGUE.values():
        tensor = fault.apply(right).apply(first)
        # Two parts in a hundred of the range: (x - 127) / 128 is no fault where x / 127.5 - 1 is right.
        if all(np.abs(tensor - other).max() > 0.02 * np.ptp(seen[0]) for other in seen):
            seen.append(tensor)
            yield fault


def causes_of(fault: kit.faults.Fault, right: kit.Preprocessing) -> set[str]:
    """The fault's cause, and those of faults that come to the very same."""
    broken = fault.apply(right)
    return {other.cause for other in kit.faults.CATALOGUE.values() if other.apply(right) == broken}


def reference(broken: np.ndarray, right: np.ndarray) -> str:
    """Assert channels, rotation and scale against the right tensor."""
    if np.allclose(broken, right, atol=1e-3 * np.ptp(right)):
        return ""

    def alike(one: np.ndarray, other: np.ndarray) -> bool:
        varied = one.std() > 0 and other.std() > 0
        return bool(varied and np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.999)

    if alike(broken, right):
        return "scale"
    if right.shape[-1] == 3 and alike(broken[..., ::-1], right):
        return "channel_order"
    if right.shape[1] == right.shape[2] and alike(broken.swapaxes(1, 2), right):
        return "channel_layout"
    return ""


def confidences(classifier: Any, photos: Sequence[Photo], in_use: kit.Preprocessing) -> tuple[float, str]:
    """Lead in mean confidence of the most confident candidate, and its cause."""
    base = classifier.probabilities(photos, preprocessing=in_use).max(axis=1).mean()
    best = max(
        (
            float(classifier.probabilities(photos, preprocessing=one.preprocessing).max(axis=1).mean()),
            one.cause,
        )
        for one in candidates(in_use)
        if not one.quiet and one.step not in {"exif", "alpha", "depth"}
    )
    return best[0] - float(base), best[1]


def run(  # noqa: C901 (one loop over draws, faults and labels)
    subject: Bench, counts: Sequence[int], draws: int, healthy: int, seed: int, *, rivals: bool
) -> dict[str, Any]:
    """Put every fault into one network, and leave it healthy in as many draws as asked; return the tables."""
    random = np.random.default_rng(seed)
    right = subject.classifier.preprocessing
    faults = list(harmful(subject))
    table: dict[str, Counter[str]] = defaultdict(Counter)
    confusion: dict[str, Counter[str]] = defaultdict(Counter)
    leads: list[tuple[float, bool, bool]] = []
    asserted: Counter[bool] = Counter()
    seconds: list[float] = []

    def diagnosed(
        photos: Sequence[Photo], labels: Sequence[int] | None, in_use: kit.Preprocessing
    ) -> tuple[str, set[str]]:
        subject.classifier.preprocessing = in_use
        started = time.perf_counter()
        result = kit.diagnose(subject.classifier, photos, labels)
        seconds.append(time.perf_counter() - started)
        subject.classifier.preprocessing = right
        best = result.best
        return result.verdict, set() if best is None else {best.cause, *best.equivalent}

    def drawn(count: int, there: int) -> list[int]:
        chosen: list[int] = random.choice(there, min(count, there), replace=False).tolist()
        return chosen

    for count in counts:
        for _ in range(draws):
            chosen = drawn(count, len(subject.photos))
            photos = [subject.photos[index] for index in chosen]
            labels = [subject.labels[index] for index in chosen]
            for fault in faults:
                if fault.step in {"exif", "alpha", "depth"}:
                    continue
                broken = fault.apply(right)
                wanted = causes_of(fault, right)
                for known in (False, True):
                    verdict, causes = diagnosed(photos, labels if known else None, broken)
                    cause = min(causes & wanted, default=min(causes, default=""))
                    outcome = "hit" if cause in wanted else "wrong" if cause else verdict
                    outcome = "silent" if outcome == "clean" else outcome
                    group = "quiet" if fault.quiet else "loud"
                    table[f"{group}, {'labels' if known else 'no labels'}, N={count}"][outcome] += 1
                    table[f"{fault.name}, {'labels' if known else 'no labels'}, N={count}"][outcome] += 1
                    confusion[fault.name][cause or outcome] += 1
                if rivals and not fault.quiet:
                    lead, cause = confidences(subject.classifier, photos, broken)
                    leads.append((lead, cause in wanted, False))
                    said = reference(broken.apply(photos[0]), right.apply(photos[0]))
                    asserted[said in wanted or (said == "scale" and bool(wanted & SCALING))] += 1
            if rivals:
                leads.append((confidences(subject.classifier, photos, right)[0], False, True))
        for _ in range(healthy):
            for kind, pictures in healthy_kinds(subject).items():
                chosen = drawn(count, len(pictures))
                some = [pictures[index] for index in chosen]
                labels = [subject.labels[index] for index in chosen] if kind == "ordinary" else None
                for known in (False, True) if kind == "ordinary" else (False,):
                    verdict, causes = diagnosed(some, labels if known else None, right)
                    cause = min(causes, default="")
                    told = "labels" if known else "no labels"
                    table[f"healthy, {kind}, {told}, N={count}"]["accused" if cause else verdict] += 1
                    confusion[f"healthy, {kind}"][cause or verdict] += 1
    shares = {
        key: {name: n / sum(row.values()) for name, n in sorted(row.items())} for key, row in table.items()
    }
    return {
        "faults": [fault.name for fault in faults],
        "shares": shares,
        "draws": {key: sum(row.values()) for key, row in table.items()},
        "confusion": {key: dict(row) for key, row in confusion.items()},
        "seconds": {"median": float(np.median(seconds)), "largest": float(np.max(seconds))},
        "rivals": _rivals(leads, asserted) if rivals else {},
    }


def _rivals(leads: Sequence[tuple[float, bool, bool]], asserted: Counter[bool]) -> dict[str, Any]:
    """Hit rates; confidence with the threshold that serves it best at 2 % accusations or fewer."""
    best: dict[str, float] = {}
    for threshold in CONFIDENCES:
        named = [(hit, healthy) for lead, hit, healthy in leads if lead > threshold]
        faulty = sum(not healthy for _, _, healthy in leads)
        accused = sum(healthy for _, healthy in named) / max(sum(healthy for _, _, healthy in leads), 1)
        hits = sum(hit for hit, _ in named)
        wrong = sum(not hit and not healthy for hit, healthy in named)
        row = {
            "threshold": float(threshold),
            "hit": hits / faulty,
            "wrong": wrong / faulty,
            "accused": accused,
        }
        rank = (accused <= 0.02, row["hit"])
        if not best or rank > (best["accused"] <= 0.02, best["hit"]):
            best = row
    return {"confidence": best, "reference": {"hit": asserted[True] / max(asserted.total(), 1)}}


def cheapest(candidate_count: int = 30, photo_count: int = 4) -> dict[str, float]:
    """Seconds for candidates x photographs at 224 x 224 by the cheapest evidence, and for bare passes."""
    classifier = kit.samples.classifier("efficientnet_lite0")
    right, photos = classifier.preprocessing, kit.samples.photos("imagenet")[:photo_count]
    tried = [
        right.replace(channels=channels, invert=invert, scaling=scaling)
        for scaling in SCALINGS.values()
        for channels in ("rgb", "bgr")
        for invert in (False, True)
    ]
    tried = [*tried, *(p.replace(crop_fraction=1.0) for p in tried)][:candidate_count]
    tensors = np.repeat(np.concatenate([right.apply(photo) for photo in photos]), candidate_count, axis=0)
    rows: dict[str, list[float]] = {"evidence": [], "bare passes": [], "default call": []}
    for _ in range(5):
        started = time.perf_counter()
        classifier.engine.predict(tensors)
        rows["bare passes"].append(time.perf_counter() - started)
        evaluator = Evaluator(classifier, classifier.first_layers)
        started = time.perf_counter()
        for preprocessing in tried:
            evaluator.moments(photos, preprocessing)
        rows["evidence"].append(time.perf_counter() - started)
        started = time.perf_counter()
        kit.diagnose(classifier, photos)
        rows["default call"].append(time.perf_counter() - started)
    found = {name: float(np.median(values)) for name, values in rows.items()}
    ratios = np.array(rows["evidence"]) / np.array(rows["bare passes"])
    return {**found, "candidates": len(tried), "ratio": float(np.median(ratios))}


def show(name: str, result: dict[str, Any]) -> None:
    """Print the tables of one network."""
    print(f"\n{name}: {len(result['faults'])} faults, median {result['seconds']['median']:.2f} s")
    columns = ("hit", "wrong", "cannot_tell", "silent", "accused", "clean")
    print(f"{'':44s}" + "".join(f"{column:>12s}" for column in columns))
    for key, row in result["shares"].items():
        print(f"{key:44s}" + "".join(f"{row.get(column, 0):12.1%}" for column in columns))
    for key, row in result["confusion"].items():
        print(f"  {key}: " + ", ".join(f"{cause} {count}" for cause, count in row.items()))
    for rival, row in result["rivals"].items():
        print(f"  rival {rival}: " + ", ".join(f"{part} {value:.2f}" for part, value in row.items()))


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--n", default="1,4,16", help="numbers of pictures, with commas")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--healthy", type=int, help="draws without a fault; as many as --draws if not given")
    parser.add_argument("--seed", type=int, default=2026, help="of the draws, so that runs can be added up")
    parser.add_argument("--speed", action="store_true", help="measure the time alone")
    parser.add_argument("--no-rivals", action="store_true")
    given = parser.parse_args()
    counts = [int(part) for part in given.n.split(",")]
    results: dict[str, Any] = {}
    if given.speed:
        results["speed"] = cheapest()
        print(", ".join(f"{name} {value:.2f}" for name, value in results["speed"].items()))
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        return
    for name in given.models:
        healthy = given.draws if given.healthy is None else given.healthy
        subject, rivals = bench(name), not given.no_rivals
        results[name] = run(subject, counts, given.draws, healthy, given.seed, rivals=rivals)
        show(name, results[name])
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
