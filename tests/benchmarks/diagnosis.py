"""How often `kit.diagnose` is right: ``--zoo FOLDER --json FILE [--only NAME …]``.

Every fault of the catalogue that makes a difference is put into every network of `zoo.py` (which trains them
into the folder), into EfficientNet-Lite0 and the bundled network for clothes. Draws of 1, 4 and 16 pictures
that no network was trained on are diagnosed, with and without labels, with and without a profile of training
pictures.

Columns
    ``right``: of all that is named, the share whose cause is the fault's, or comes to the very same, and
    whose fix does no harm. ``harmful``: of all fixes, the share under which the accuracy on 100 held-back
    images is more than 8 points below that of the right preprocessing.
    ``accused``: of healthy pipelines (also with images that are predicted wrongly, and with those from other
    sources: in other light, saved again, nearer, farther) and of faults that change no answer, the share for
    which a wrong cause is named.
    ``silent``: of faults that change a quarter of the answers, the share that is called clean, without a word
    of what cannot be judged. ``N=…``: of these faults, quiet ones left out, the share that is named rightly.
Left out
    The same for the search over preprocessings alone, each kind judged by limits and weights that were chosen
    on all other kinds, from a grid around those in use: what to expect on a kind that nobody chose by.
"""

import json
import statistics
import time
import zlib
from collections import Counter, defaultdict
from itertools import chain, product
from operator import itemgetter
from pathlib import Path

import numpy as np

import kit
from kit import samples
from kit.diagnosis.candidates import Evaluator
from kit.diagnosis.evidence import Grounds
from kit.images.photo import Photo
from tests.benchmarks import report, zoo
from tests.benchmarks.zoo_pictures import resaved

OF_FILES = {"exif", "alpha", "depth"}
HARM, LOSS = 0.25, 0.08
COUNTS, DRAWS, SEED = (1, 4, 16), 2, 2026
"""Of pictures, of draws for each, and where chance begins."""
LIGHTS = {
    "dim": {"brightness": 0.65},
    "dark": {"brightness": 0.35},
    "bright": {"brightness": 1.35},
    "flat": {"contrast": 0.4},
    "warm": {"white_balance": 0.5},
    "cool": {"white_balance": -0.5},
}
"""Other light than in training, as a `Perturbation` makes it."""
SOURCES = ("saved again", "nearer", "farther")
PAIRS = tuple(
    (one, other)
    for one in ("missing_scaling", "range_0_1", "missing_mean_std")
    for other in ("channels_swapped", "inverted", "transposed", "small_before")
)


class Remembering(Evaluator):
    """Keeps what it measured from one diagnosis of the same pictures to the next: only the time differs."""

    memory = {}, {}

    def __init__(self, *given):
        super().__init__(*given)
        self._results, self._resized = self.memory


def bundled():
    """EfficientNet-Lite0 with labelled photographs that are no probes, and the network for clothes."""
    left_out = {photo.name for photo in samples.typical()[0]} | {"clock_blurred.jpg"}
    photos = zip(samples.photos("imagenet"), samples.labels("imagenet"), strict=True)
    kept = [pair for pair in photos if pair[0].name not in left_out]
    classifier = samples.classifier("efficientnet_lite0")
    yield zoo.Subject("efficientnet_lite0", "photographs", classifier, kept, ())
    name = "fashion_mnist"
    pairs = list(zip(samples.photos(name), samples.labels(name), strict=True))
    classifier = samples.classifier(name)
    yield zoo.Subject(name, "clothes", classifier, pairs[1000:], pairs)


def other(photo, how):
    """The same picture as another source would have it."""
    height, width = photo.size
    if how in LIGHTS:
        return kit.Perturbation(**LIGHTS[how]).apply(photo)
    if how == "saved again":
        return resaved(photo, (width * 3 // 4, height * 3 // 4), 70)
    if how == "nearer":
        top, left = height // 10, width // 10
        return Photo.from_array(photo.pixels[top : height - top, left : width - left])
    pad = ((height // 7,) * 2, (width // 7,) * 2, (0, 0))
    return Photo.from_array(np.pad(photo.pixels, pad, mode="edge"))


def different(subject):
    """Faults that change the tensors of the pictures at all, each only once."""
    right = subject.classifier.preprocessing
    first = subject.photos[0]
    seen, found = [right.apply(first)], []
    for fault in kit.faults.CATALOGUE.values():
        tensor = fault.apply(right).apply(first)
        # Two parts in a hundred of the range: (x - 127) / 128 is no fault where x / 127.5 - 1 is right.
        if fault.step not in OF_FILES and all(
            np.abs(tensor - one).max() > 0.02 * np.ptp(seen[0]) for one in seen
        ):
            seen.append(tensor)
            found.append(fault)
    return found


def causes_of(broken, right):
    """Causes of all faults that come to the very same."""
    return {
        one.cause for one in kit.faults.CATALOGUE.values() if one.apply(right) == broken
    }


def run(subject):
    """Diagnose every case of one network; a row of plain values for each."""
    random = np.random.default_rng(SEED + zlib.crc32(subject.name.encode()))
    right, rows = subject.classifier.preprocessing, []
    # Without a profile, a network has the averages of BatchNorm or nothing but labels.
    known = [subject.profiled, subject.classifier]
    faults = different(subject)
    predicted = subject.classifier.probabilities(subject.photos[:200]).argmax(axis=1)
    missed = np.flatnonzero(predicted != subject.labels[:200])
    for count, _ in product(COUNTS, range(DRAWS)):
        chosen = random.choice(len(subject.photos), count, replace=False)
        photos = [subject.photos[place] for place in chosen]
        labels = [subject.labels[place] for place in chosen]
        cases = [("healthy", right, photos, labels)]
        for others in (tuple(LIGHTS), SOURCES):
            how = others[random.integers(len(others))]
            shifted = [other(photo, how) for photo in photos]
            cases.append((f"healthy, {how}", right, shifted, labels))
        cases += [(fault.name, fault.apply(right), photos, labels) for fault in faults]
        places = np.random.default_rng(len(rows)).permutation(missed)[:count]
        if len(places):
            wrong = [subject.photos[place] for place in places]
            truth = [subject.labels[place] for place in places]
            cases.append(("healthy, wrong", right, wrong, truth))
        for classifier in filter(None, known):
            Remembering.memory = {}, {}
            for case in cases:
                rows += diagnosed(subject, classifier, *case)
    return rows


def diagnosed(subject, classifier, case, in_use, photos, labels):
    """Yield the row with labels, and the one without where there is other evidence."""
    right, layers = classifier.preprocessing, classifier.first_layers
    wanted = set() if case.startswith("healthy") else causes_of(in_use, right)
    evaluator = Remembering(classifier, layers)
    averages = "averages" if evaluator.has_statistics else "none"
    before = evaluator.probabilities(photos, in_use).argmax(axis=1)
    changed = evaluator.probabilities(photos, right).argmax(axis=1) != before
    for given in (None, labels) if evaluator.has_statistics else (labels,):
        found = kit.diagnose(classifier.using(in_use), photos, given)
        best = found.best
        causes = set() if best is None else {best.cause, *best.equivalent}
        fix = None if best is None else best.fix.preprocessing
        kept = subject.accuracy(right if fix is None else fix)
        lost = round(subject.accuracy(right) - kept, 3)
        met = bool(causes & wanted) or fix == right
        yield {
            "network": subject.name,
            "kind": subject.kind,
            "statistics": averages if evaluator.training_profile is None else "profile",
            "N": len(photos),
            "labels": given is not None,
            "case": case,
            "quiet": case.startswith(("filter_", "fit_")) and case != "fit_letterbox",
            "harm": float(changed.mean()),
            "verdict": found.verdict,
            "undecided": found.undecided,
            "cause": "" if best is None else best.cause,
            "lost": lost,
            "right": met and lost <= LOSS,
            "scores": scores(evaluator, in_use, photos, given, right, wanted),
        }


def scores(evaluator, in_use, photos, labels, right, wanted):
    """Of every candidate: whether it is right, cause, step, at home, forbidden, and the sources' gains."""
    known = None if labels is None else np.array(labels)
    grounds = Grounds.of(evaluator, in_use, photos, known)
    names = [type(source).__name__ for source in grounds.sources] + ["rarity"]
    return [
        [
            score.candidate.preprocessing == right
            or bool(score.candidate.causes & wanted),
            score.candidate.cause,
            score.candidate.step,
            grounds.images_are_usual(score.candidate.preprocessing),
            score.vetoed,
            [
                [name, round(vote.gain, 3)]
                for name, vote in zip(names, score.votes, strict=True)
            ],
        ]
        for score in grounds.scores
    ]


GRID = {
    "named": (0.3, 0.4, 0.5, 0.65, 0.8),
    "lead": (0.1, 0.2, 0.3),
    "Averages": (0.7, 1.0, 1.4),
    "Ordinary": (0.7, 1.0, 1.4),
    "Certainty": (0.0, 0.5, 1.0, 1.5),
    "Labelled": (0.5, 1.0, 1.5),
    "Bundled": (0.5, 1.0, 1.5),
    "rarity": (0.5, 1.0, 1.5),
}
"""Limits in nats, and factors on the votes as they are."""


def decided(row, limits):
    """The row as it comes out by the scores alone under these limits."""
    weighed = [
        (sum(limits[name] * gain for name, gain in votes), *rest)
        for *rest, votes in row["scores"]
    ]
    if not weighed:
        return {**row, "verdict": "", "right": False}
    gain, right, cause, step, home, forbidden = max(weighed, key=itemgetter(0))
    others = [each[0] for each in weighed if each[2] != cause and each[3] != step]
    sure = gain >= limits["named"] and gain - max(others, default=-9) >= limits["lead"]
    named = sure and home and not forbidden
    return {**row, "verdict": "named" if named else "", "right": named and right}


def by_kind(rows):
    """The rows of each kind of network."""
    found = defaultdict(list)
    for row in rows:
        found[row["kind"]].append(row)
    return found


def chosen(rows):
    """Limits that serve these rows best, every kind counting once; each of `GRID` is gone along twice."""
    kinds = by_kind(rows).values()

    def cost(limits):
        total = 0.0
        for some in kinds:
            counts = columns([decided(row, limits) for row in some])
            share = {
                name: part / max(whole, 1) for name, (part, whole) in counts.items()
            }
            missed = sum(1 - share[name] for name in ("N=1", "N=4", "N=16"))
            total += 1 - share["right"] + 2 * share["accused"] + 0.1 * missed
        return total

    limits = {name: values[0] for name, values in GRID.items()}
    for name, values in 2 * tuple(GRID.items()):
        limits[name] = min(values, key=lambda value: cost({**limits, name: value}))
    return limits


def left_out(rows):
    """Each kind as the search alone judges it, by limits that were chosen on the others."""
    judged = {}
    for kind, own in by_kind(rows).items():
        limits = chosen([row for row in rows if row["kind"] != kind])
        judged[kind] = [decided(row, limits) for row in own]
    return judged | {"all": list(chain(*judged.values()))}


def pairs(subject):
    """Put two faults at once into a network, with its profile, and diagnose four pictures."""
    Remembering.memory = {}, {}
    random = np.random.default_rng(SEED)
    classifier = subject.profiled or subject.classifier
    right = classifier.preprocessing
    for one, second in PAIRS:
        first, other_fault = (kit.faults.CATALOGUE[name] for name in (one, second))
        half = first.apply(right)
        if not (first.changes(right) and other_fault.changes(half)):
            continue
        chosen = random.choice(len(subject.photos), 4, replace=False)
        photos = [subject.photos[place] for place in chosen]
        found = kit.diagnose(classifier.using(other_fault.apply(half)), photos)
        named = {
            cause
            for each in found.findings
            if each.verdict == "named"
            for cause in (each.cause, *each.equivalent)
        }
        wanted = causes_of(half, right), causes_of(other_fault.apply(right), right)
        met = sum(bool(causes & named) for causes in wanted)
        more = any("once that is fixed" in note for note in found.notes)
        words = ("none", "one, and told" if more else "one", "both")[met]
        pair = f"{one} and {second}"
        yield {"network": subject.name, "pair": pair, "found": words}


def columns(rows):
    """Counts (of, out of) for each column."""
    harmful = [row for row in rows if row["harm"] >= HARM]
    fine = [
        row
        for row in rows
        if row["case"].startswith("healthy") or (row["harm"] == 0 and not row["quiet"])
    ]
    named = [row for row in rows if row["verdict"] == "named"]
    accused = [row for row in fine if row["verdict"] == "named" and not row["right"]]
    silent = [
        row for row in harmful if row["verdict"] == "clean" and not row["undecided"]
    ]
    found = {
        "right": (sum(row["right"] for row in named), len(named)),
        "harmful": (sum(row["lost"] > LOSS for row in named), len(named)),
        "accused": (len(accused), len(fine)),
        "silent": (len(silent), len(harmful)),
    }
    for count in COUNTS:
        loud = [row for row in harmful if row["N"] == count and not row["quiet"]]
        found[f"N={count}"] = (sum(row["right"] for row in loud), len(loud))
    return found


def shown(groups):
    """Print the shares of each group of rows."""
    report.table(
        {"rows": group}
        | {
            name: f"{part / whole:.1%} of {whole}" if whole else ""
            for name, (part, whole) in columns(rows).items()
        }
        for group, rows in groups.items()
    )


def summary(rows, double):
    """Print all tables."""
    groups = dict(by_kind(rows)) | {"all": rows}
    groups["other light"] = [
        row for row in rows if row["case"].removeprefix("healthy, ") in LIGHTS
    ]
    for evidence in ("profile", "averages", "none"):
        some = [row for row in rows if row["statistics"] == evidence]
        groups[f"statistics: {evidence}"] = some
    shown(groups)
    print("by limits that were chosen on all other kinds, the search alone:")
    shown(left_out(rows))
    print("two faults at once:", Counter(row["found"] for row in double))


def speed():
    """Seconds of the default call with EfficientNet-Lite0, for one and for four photographs."""
    classifier = samples.classifier("efficientnet_lite0")
    classifier.first_layers  # noqa: B018 (read once for all)
    photos = samples.photos("imagenet")
    found = {}
    for count in (1, 4):
        seconds = []
        for place in range(7):
            some = photos[place : place + count]
            few = [Photo(photo.pixels.copy()) for photo in some]
            started = time.perf_counter()
            kit.diagnose(classifier, few)
            seconds.append(time.perf_counter() - started)
        found[f"{count} photographs"] = statistics.median(seconds)
    report.table([found])
    return found


def main():
    """Run what was asked for."""
    parser = report.parser(__doc__)
    parser.add_argument("--zoo", type=Path, help="folder that zoo.py wrote to")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="networks")
    parser.add_argument(
        "--add",
        nargs="+",
        type=Path,
        default=[],
        help="JSON files of other runs, to report on all",
    )
    parser.add_argument("--speed", action="store_true", help="measure the time alone")
    given = parser.parse_args()
    if given.speed:
        report.write(given.json, {"speed": speed()})
        return
    kit.diagnosis.Evaluator = Remembering
    rows, double = [], []
    for path in given.add:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        rows += earlier["rows"]
        double += earlier["double"]
    subjects = chain(bundled(), zoo.opened(given.zoo, given.only)) if given.zoo else ()
    for subject in subjects:
        if given.only and subject.name not in given.only:
            continue
        some = run(subject)
        double += pairs(subject)
        rows += some
        shown({subject.name: some})
        # What is done is kept where somebody stops it: --add takes it up again.
        report.write(given.json, {"rows": rows, "double": double})
    summary(rows, double)
    report.write(given.json, {"rows": rows, "double": double})


if __name__ == "__main__":
    main()
