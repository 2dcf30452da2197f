"""Writes down what the kit says of bundled models and images: ``python -m tests.said``.

All of it, so that a word, a unit, an order or a default that changes is seen, and is to be read in the file.
`tests/test_said.py` compares the words exactly, and numbers but for rounding.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import kit
from kit import samples
from kit.classifier.architecture import architecture_and_weights, layers_of
from kit.classifier.predictions import Predictions
from kit.diagnosis.checks_input import check_files, check_tensors
from kit.diagnosis.checks_network import (
    check_calls,
    check_determinism,
    check_head,
    check_nan,
    check_norms,
    check_trained,
    nonfinite_outputs_finding,
)
from kit.diagnosis.class_order import check_class_order, known_orders
from kit.diagnosis.inside import Inside, check_scaling_inside
from kit.explorer.explorer import Explorer
from kit.explorer.settings import neutral
from kit.explorer.why import explain_changes
from kit.perturbation import PARAMETERS
from kit.perturbation.conditions import ALTERATIONS, CONDITIONS, IMAGE_CAUSES, measures
from kit.preprocessing.trace import StepRecord
from kit.robustness import flip
from kit.robustness.costs import fault_costs
from tests import forms, networks
from tests.explorer.page import deliver, listen, panel, searched

FILE = Path(__file__).parent / "data" / "said.txt"
LITE = samples.classifier("efficientnet_lite0")
FASHION = samples.classifier("fashion_mnist")
PROFILED = samples.classifier("fashion_mnist_no_batchnorm")
BARE = networks.with_first_layers(
    PROFILED, replace(PROFILED.first_layers, profile=None)
)
"""Nothing is known of its training images."""
PHOTOS = samples.photos("imagenet")
CLASSES = samples.labels("imagenet")
CLOTHES = samples.photos("fashion_mnist")
LABELS = samples.labels("fashion_mnist")
TALL = kit.Photo.from_array(samples.photo("cat.jpg").pixels[60:260, 100:220], "tall")


def diagnosis(classifier, photos, labels=None, *, changes=(), **given):
    """What is said where a preprocessing is in use that differs by these changes."""
    used = classifier.preprocessing.replace(**dict(changes))
    found = kit.diagnose(classifier.using(used), photos, labels, **given)
    return "\n".join((repr(found), str(found), str(found.details()), found.limits))


def careless(pixels):
    """Swaps red and blue, and scales otherwise."""
    steps = LITE.preprocessing.replace(channels="bgr", scaling="0..1")
    return steps.apply(kit.Photo.from_array(pixels))


def comparison(first, second, photos, labels=None):
    return str(kit.compare(first, second, photos, labels, progress=False))


def shift(first, second):
    return str(kit.shift(first, second, classifier=FASHION, progress=False))


def changed(photos, **settings):
    return [kit.Perturbation(**settings).apply(photo) for photo in photos]


def app_outputs():
    """What an app of whole numbers has for some clothes."""
    return (
        np.round(FASHION.predict(CLOTHES[6:9]).probabilities * 256).clip(0, 255) - 128
    )


def sweep(axes, labels=LABELS[:6]):
    found = kit.sweep(FASHION, CLOTHES[:6], axes, labels, progress=False)
    return f"{found!r}\n{found.table()}\n{json.dumps(found.to_dict())}"


def flips():
    ways = (("brightness", 1, 0), ("noise", 0, 100), ("jpeg_quality", 90, 1))
    return "\n".join(repr(flip(LITE, PHOTOS[0], *way)) for way in ways)


def heatmaps():
    maps = [kit.heatmap(LITE, photo, "tiger cat") for photo in (TALL, PHOTOS[0])]
    pictures = [blocks(each.overlay) for each in maps]
    return "\n".join([*map(repr, maps), *pictures])


def brief(content):
    """Return a message in which settings are those that are not neutral."""
    if isinstance(content, list):
        return list(map(brief, content))
    if not isinstance(content, dict):
        return content
    is_state = {"photo", "brightness"} <= content.keys()
    untouched = neutral("") if is_state else {}
    return {
        key: brief(value)
        for key, value in content.items()
        if not (key in untouched and value == untouched[key])
    }


def message(explorer, **content):
    """Answers to a message of the page, without pictures."""
    explorer.sent.clear()
    deliver(explorer, request="a.1", **content)
    searched(explorer)
    lines = [content["kind"]]
    for reply, buffers in explorer.sent:
        lengths = [len(part) for part in buffers or ()]
        lines.append(json.dumps([brief(reply), lengths], ensure_ascii=False))
    return "\n".join(lines)


def explorer(classifier, label):
    """What a page is told once, and what it gets for each kind of message."""
    tries = {"dark": {"brightness": 0.2}}
    shown = listen(
        Explorer(classifier, [TALL, PHOTOS[0]], [label, None], ahead=9, tries=tries)
    )
    shown.add(CLOTHES[0].pixels, name="mine", label=label)
    told = {**panel(shown), "classes": [], "notes": list(shown.classifier.notes)}
    for row in told["photos"]:
        row["thumbnail"] = len(row["thumbnail"]) > 0
    start = shown.settings | {"photo": "tall"}
    states = ({"noise": 20}, {"scaling": "range_0_1", "where": -1}, {"blur": 3})
    messages = (
        *({"kind": "settings", "settings": start | state} for state in states),
        {"kind": "judge", "settings": start, "photos": ["mine"]},
        {"kind": "remove", "name": "tall"},
        {"kind": "label", "photo": "mine", "label": ""},
        {"kind": "pin", "settings": start | {"photo": "mine"}},
    )
    if classifier is FASHION:
        asked = start | {"brightness": 0.1, "noise": 20, "polarity": "inverted"}
        messages = ({"kind": "why", "settings": asked},)
    answers = [message(shown, **content) for content in messages]
    about = json.dumps(brief(told), ensure_ascii=False)
    return "\n".join([about, *answers, repr(shown), repr(shown.labels)])


ASKED = (
    ("volleyball.jpg", {"noise": 60}),
    ("panda.jpg", {"brightness": 0.4, "noise": 60}),
    ("volleyball.jpg", {"brightness": 0.9, "noise": 60}),
    ("meerkats.jpg", {"noise": 20, "brightness": 0.5}),
    ("volleyball.jpg", {"noise": 60, "brightness": 0.1, "flip_horizontal": True}),
    (
        "espresso.jpg",
        {"noise": 60, "brightness": 0.4, "scaling": "missing_scaling"},
    ),
    ("espresso.jpg", {"brightness": 0.9, "flip_horizontal": True}),
    ("cat.jpg", {"seed": 5}),
    ("panda.jpg", {"occlusion": 0.5, "occlusion_x": 0.2}),
    ("espresso.jpg", {"scaling": "caffe_means", "depth": "depth_clipped"}),
    ("panda.jpg", {"fit": "fit_letterbox"}),
    ("espresso.jpg", {"depth": "depth_clipped"}),
    ("cat.jpg", {"contrast": 0.6}),
    ("espresso.jpg", {"brightness": 0.8, "scaling": "caffe_means"}),
    ("cat.jpg", {"snow": 2.4}),
)
"""What is changed about photos when it is asked why: alone, together, harmless, helpful, or a mistake."""


def checks():
    """What is found in heads, weights and layers that are made for it."""
    layers = layers_of(architecture_and_weights(FASHION)[0])
    last = layers[-1]
    outputs = np.array([[0.2, 0.3, 0.1], [0.25, 0.28, 0.2]], np.float32)
    loss = {"config": {"name": "categorical_crossentropy", "from_logits": True}}

    def head(activation, columns=3, loss=None):
        settings = {**last.settings, "activation": activation}
        changed = [*layers[:-1], replace(last, settings=settings)]
        return check_head(changed, outputs[:, :columns], {"loss": loss})

    random = replace(last, training=True, settings={"rate": 0.5})
    weights = {"dense": (np.array([1, np.nan, 2e19, 0], np.float32),)}
    findings = (
        head("softmax", columns=1),
        head("sigmoid"),
        head({"class_name": "function", "config": "sigmoid"}, columns=2),
        head("softmax", loss=loss),
        head("linear", loss="categorical_crossentropy"),
        check_head([*layers, replace(last, kind="Softmax", name="again")], outputs),
        check_nan(weights),
        *(
            nonfinite_outputs_finding(
                np.array([[0, np.nan, 1, 1]], np.float32), weights
            )
            for weights in ({}, {"last": ()})
        ),
        check_calls([*layers, random]),
        *of_weights(layers),
        *of_predictions(),
        *of_preprocessing(LITE.preprocessing),
    )
    return "\n".join(f"{finding!r}\n{finding}" for finding in findings)


def of_weights(layers):
    norms = [layer.name for layer in layers if layer.kind == "BatchNormalization"]
    kernel = np.random.default_rng(0).uniform(-1, 1, (40, 10)) * np.sqrt(6 / 50)
    for mean, variance, steps in (
        (0, 1, {}),
        (1, 0.72895, {"optimizer": [np.array(3)]}),
    ):
        averages = np.array([mean]), np.array([variance])
        labels = np.full(16, -1)
        yield check_norms(layers, dict.fromkeys(norms, averages) | steps, labels, 10)
    yield check_trained(layers, {layers[-1].name: (kernel, np.zeros(10))})


def of_predictions():
    # The probability of one class falls by more than that of any rises.
    rows = iter(np.array([[[0.9, 0.05, 0.05]], *[[[0.3, 0.35, 0.35]]] * 8]))
    by_name = [*range(6)] * 4
    for predict in (lambda _: next(rows), lambda x: np.full((len(x), 1), x.mean())):
        predictor = SimpleNamespace(predict_tensors=predict)
        yield check_determinism(predictor, np.zeros((1, 2, 2, 1), np.float32))
    for order in ([1, 0, 2, 3, 4, 5], [2, 0, 4, 1, 5, 3]):
        answers = np.eye(6)[order * 4], tuple("abcdef"), np.array(by_name), ("",) * 24
        yield check_class_order(Predictions(*answers))


def of_preprocessing(used):
    for scaling in ("0..255", "-1..1"):
        yield check_scaling_inside(Inside("Rescaling", scaling), used)
    for changes in (
        {"cast": "uint8"},
        {"layout": "reshaped"},
        {"scaling": ("lite", "0..1")},
        {"scaling": kit.Scaling(-0.5)},
    ):
        yield check_tensors(used.replace(**changes))
    careless = kit.Decoding(exif=False, depth="clip", matte=None)
    for changes, photos in (
        ({"thumbnail": (60, 60)}, PHOTOS[:2]),
        ({}, [CLOTHES[0], PHOTOS[0]]),
        ({"decoding": careless}, samples.photos("special")),
    ):
        broken = LITE.using(used.replace(**changes))
        yield from check_files(broken, photos, np.full(len(photos), -1))


def changes():
    """What is said of changes, a line for each photo."""
    shown = Explorer(LITE, PHOTOS, CLASSES)
    lines = []
    for name, settings in ASKED:
        shown.settings = {"photo": name, **settings}
        answer, _ = explain_changes(shown.view, shown._view_of)
        lines.append(json.dumps(brief(answer), ensure_ascii=False))
    return "\n".join(lines)


def stated(row):
    """What a row of the table of properties states beside its functions."""
    return {
        name: value
        for name, value in vars(row).items()
        if not callable(value) and name != "alterations"
    }


def properties():
    """What is measured in images, done to them and undone: means of sixteen blocks."""
    rows = (*CONDITIONS.values(), *ALTERATIONS.values())
    lines = [str(stated(row)) for row in rows]
    for photo in (TALL, samples.photo("castle.jpg"), samples.photos("special")[0]):
        values = measures(photo, CONDITIONS.values(), window=150)
        lines += [
            f"{photo.name} {row.label} {row.unit}: {value:.4g}"
            for row, value in zip(CONDITIONS.values(), values, strict=True)
        ]
    for name, row in ALTERATIONS.items():
        altered = row.apply(TALL, row.strengths[1])
        lines.append(f"{name} {row.unit} {blocks(altered.pixels)}")
    for name, row in IMAGE_CAUSES.items():
        amount = 1.02 * row.amounts[1][1] if row.amounts else 9
        spoilt = row.done(TALL, amount).pixels
        found = row.amount(row.measured(spoilt), spoilt)
        lines.append(f"{name} {row.unusual(row.ordinary)} {found:.4g} {row.advice}")
        lines += [
            f"{name} undone {blocks(pixels)}" for pixels in row.undo(spoilt, amount)
        ]
    return "\n".join(lines)


def blocks(pixels):
    numbers = StepRecord.of("perturb", pixels).numbers()
    return " ".join(f"{number:.1f}" for number in numbers)


SHUFFLED = 3, 0, 12, 7, 1, 10, 9, 2, 11, 8, 4, 6, 5
FORMS = "softmax twice", "sigmoids", "per cent", "height and width"
FORMS += "classes reversed", "classes permuted"
FIRST = CLOTHES[200:216]
TRUTH = LABELS[200:216]
SAID = {
    "clothes as they are": lambda: diagnosis(FASHION, FIRST, TRUTH),
    "clothes without labels": lambda: diagnosis(FASHION, FIRST),
    "clothes called by the next class": lambda: diagnosis(
        FASHION, CLOTHES[:40], [(label + 1) % 10 for label in LABELS[:40]]
    ),
    "clothes that are not scaled": lambda: diagnosis(
        PROFILED, FIRST, TRUTH[:3] + (None,) * 13, changes={"scaling": ()}
    ),
    "dim and turned clothes": lambda: diagnosis(
        PROFILED, FIRST, changes={"layout": "transposed", "invert": True}
    ),
    "inverted clothes that are not scaled": lambda: diagnosis(
        PROFILED, FIRST, changes={"invert": True, "scaling": ()}
    ),
    "inverted clothes by their labels": lambda: diagnosis(
        BARE, FIRST, TRUTH, changes={"invert": True}
    ),
    "turned clothes of which three are labelled": lambda: diagnosis(
        BARE, FIRST[:3], TRUTH[:3], changes={"layout": "transposed"}
    ),
    "a noisy photo": lambda: diagnosis(
        LITE, changed([samples.photo("volleyball.jpg")], noise=60), ["volleyball"]
    ),
    "a dark photo": lambda: diagnosis(
        LITE, kit.Perturbation(brightness=0.08).apply(PHOTOS[4]), CLASSES[4:5]
    ),
    "special files": lambda: diagnosis(
        LITE,
        samples.photos("special"),
        changes={"decoding": kit.Decoding(exif=False, matte=None)},
    ),
    "a careless function": lambda: diagnosis(LITE, PHOTOS[:2], preprocess=careless),
    "a function that is checked": lambda: str(kit.check(LITE, PHOTOS[:2], careless)),
    "two trainings": lambda: comparison(
        FASHION, samples.classifier("fashion_mnist_500"), CLOTHES[:30], LABELS[:30]
    ),
    "another order of channels": lambda: comparison(
        LITE, lambda x: LITE.predict_tensors(x[..., ::-1]), PHOTOS[:2]
    ),
    "other forms": lambda: "\n".join(
        comparison(FASHION, forms.faults(FASHION)[kind][1], CLOTHES[6:9])
        for kind in FORMS
    ),
    "outputs of an app": lambda: comparison(FASHION, app_outputs(), CLOTHES[6:9]),
    "dark and noisy clothes": lambda: shift(
        list(samples.fashion_mnist_arrays("train")[0][:40]),
        changed(CLOTHES[:60], brightness=0.55, noise=14),
    ),
    "noisy training": lambda: shift(changed(CLOTHES[:40], noise=15), CLOTHES[500:540]),
    "a sweep": lambda: sweep({"brightness": (0.3, 1), "noise": (0, 60)}),
    "a sweep of one axis": lambda: sweep({"jpeg_quality": (5, None)}),
    "a sweep of a list": lambda: sweep([kit.Perturbation(), kit.Perturbation(blur=2)]),
    "mistakes": lambda: str(kit.mistakes(FASHION, CLOTHES, LABELS, progress=False)),
    "calibration": lambda: str(kit.calibrate(FASHION, CLOTHES, LABELS, progress=False)),
    "costs": lambda: str(fault_costs(FASHION, FIRST, TRUTH, progress=False)),
    "flips": flips,
    "heat maps": heatmaps,
    "adapting": lambda: "\n".join(kit.adapt(FASHION, CLOTHES[:12], prior=2).notes),
    "an explorer": lambda: explorer(LITE, "tiger cat"),
    "why": lambda: explorer(FASHION, "Bag"),
    "checks": checks,
    "orders": lambda: "\n".join(
        map(str, known_orders([f"n{number}" for number in SHUFFLED]).items())
    ),
    "changes": changes,
    "properties": properties,
    "perturbations": lambda: json.dumps(
        {
            name: asdict(row) | {"function": row.description, "label": row.label}
            for name, row in PARAMETERS.items()
        },
        ensure_ascii=False,
    ),
}
"""What is said, by what it is about."""

if __name__ == "__main__":
    sections = [f"# {name}\n{said()}\n" for name, said in SAID.items()]
    FILE.write_text("\n".join(sections), encoding="utf-8")
