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
    All with the ends of Wilson's interval of 95 %.
Left out
    The same for the search over preprocessings alone, each kind judged by limits and weights that were chosen
    on all other kinds, from a grid around those in use: what to expect on a kind that nobody chose by.
"""

import argparse
import json
import time
import zlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import kit
from kit.diagnosis.candidates import Evaluator
from kit.diagnosis.evidence import Grounds
from kit.images.photo import Photo
from kit.samples import typical
from kit.validation import accuracy_interval
from tests.benchmarks import zoo
from tests.benchmarks.zoo import Subject
from tests.benchmarks.zoo_pictures import MissingPackageError, saved_small

OF_FILES = {"exif", "alpha", "depth"}
HARM, LOSS = 0.25, 0.08
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

    measured: ClassVar[dict[Any, Any]] = {}
    resized: ClassVar[dict[Any, Any]] = {}

    def __init__(self, *given):
        super().__init__(*given)
        self._results, self._resized = self.measured, self.resized

    @classmethod
    def forget(cls):
        """Start on other pictures or another network."""
        cls.measured.clear()
        cls.resized.clear()


def bundled(name):
    """EfficientNet-Lite0 with labelled photographs that are no probes, or the network for clothes."""
    classifier = kit.samples.classifier(name)
    if name.startswith("fashion"):
        photos, labels = (
            kit.samples.photos("fashion_mnist"),
            kit.samples.labels("fashion_mnist"),
        )
        return Subject(
            name, "clothes", classifier, photos[1000:], labels[1000:], photos[:80]
        )
    left_out = {photo.name for photo in typical()[0]} | {"clock_blurred.jpg"}
    pairs = zip(
        kit.samples.photos("imagenet"), kit.samples.labels("imagenet"), strict=True
    )
    photos, labels = zip(
        *(pair for pair in pairs if pair[0].name not in left_out), strict=True
    )
    return Subject(name, "photographs", classifier, photos, labels, ())


def subjects(folder, only):
    """Open every network that is there."""
    for name in ("efficientnet_lite0", "fashion_mnist"):
        if not only or name in only:
            yield bundled(name)
    for row in zoo.ROWS:
        if (not only or row.name in only) and (folder / f"{row.name}.keras").exists():
            try:
                yield zoo.subject(row, folder)
            except MissingPackageError as missing:
                print(f"{row.name} left out: install {missing}")


def other(photo, how):
    """The same picture as another source would have it."""
    height, width = photo.size
    if how in LIGHTS:
        return kit.Perturbation(**LIGHTS[how]).apply(photo)
    if how == "saved again":
        return Photo.from_array(saved_small(photo.pixels))
    if how == "nearer":
        cut = (height // 10, width // 10)
        return Photo.from_array(
            photo.pixels[cut[0] : height - cut[0], cut[1] : width - cut[1]].copy()
        )
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


def run(subject, counts, draws, seed):
    """Diagnose every case of one network; a row of plain values for each."""
    random = np.random.default_rng(seed + zlib.crc32(subject.name.encode()))
    right, rows = subject.classifier.preprocessing, []
    known = [subject.classifier]
    if subject.training:
        # Without a profile, a network has the averages of BatchNorm or nothing but labels.
        known = [subject.profiled, subject.classifier]
    faults = different(subject)
    some = subject.photos[:200]
    missed = np.flatnonzero(
        subject.classifier.probabilities(some).argmax(axis=1) != subject.labels[:200]
    )
    for count in counts:
        for _ in range(draws):
            chosen = random.choice(
                len(subject.photos), min(count, len(subject.photos)), replace=False
            )
            photos, labels = _picked(subject, chosen)
            cases = [("healthy", right, photos)]
            for others in (tuple(LIGHTS), SOURCES):
                how = others[int(random.integers(len(others)))]
                shifted = [other(photo, how) for photo in photos]
                cases.append((f"healthy, {how}", right, shifted))
            cases += [(fault.name, fault.apply(right), photos) for fault in faults]
            wrong = _picked(
                subject, np.random.default_rng(len(rows)).permutation(missed)[:count]
            )
            for classifier in known:
                Remembering.forget()
                for case, in_use, pictures in cases:
                    rows += _diagnosed(
                        subject, classifier, case, in_use, pictures, labels
                    )
                if wrong[0]:
                    rows += _diagnosed(
                        subject, classifier, "healthy, wrong", right, *wrong
                    )
    Remembering.forget()
    return rows


def _picked(subject, places):
    return [subject.photos[place] for place in places], [
        subject.labels[place] for place in places
    ]


def _diagnosed(
    subject,
    classifier,
    case,
    in_use,
    photos,
    labels,
):
    right, layers = classifier.preprocessing, classifier.first_layers
    healthy = case.startswith("healthy")
    wanted = set() if healthy else causes_of(in_use, right)
    evaluator = Remembering(classifier, layers)
    averages = "averages" if evaluator.has_statistics else "none"
    before = evaluator.probabilities(photos, in_use).argmax(axis=1)
    harm = (
        0.0
        if healthy
        else float(
            (evaluator.probabilities(photos, right).argmax(axis=1) != before).mean()
        )
    )
    for given in (None, list(labels)) if evaluator.has_statistics else (list(labels),):
        started = time.perf_counter()
        found = kit.diagnose(classifier.using(in_use), list(photos), given)
        best = found.best
        causes = set() if best is None else {best.cause, *best.equivalent}
        fix = None if best is None else best.fix.preprocessing
        lost = (
            0.0
            if fix is None
            else round(subject.accuracy(right) - subject.accuracy(fix), 3)
        )
        met = bool(causes & wanted) or (not healthy and fix == right)
        yield {
            "network": subject.name,
            "kind": subject.kind,
            "statistics": averages if evaluator.profile is None else "profile",
            "N": len(photos),
            "labels": given is not None,
            "case": case,
            "quiet": case.startswith("filter_")
            or (case.startswith("fit_") and case != "fit_letterbox"),
            "harm": harm,
            "verdict": found.verdict,
            "undecided": list(found.undecided),
            "cause": "" if best is None else best.cause,
            "lost": lost,
            "fixed": fix is not None,
            "right": met and lost <= LOSS,
            "seconds": round(time.perf_counter() - started, 3),
            "scores": _scores(evaluator, in_use, photos, given, right, wanted),
        }


def _scores(
    evaluator,
    in_use,
    photos,
    labels,
    right,
    wanted,
):
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
            grounds.usual(score.candidate.preprocessing),
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
START = {name: values[0] for name, values in GRID.items()}


def decided(row, limits):
    """The row as it comes out by the scores alone under these limits."""
    weighed = sorted(
        (
            (sum(limits[name] * gain for name, gain in votes), *rest)
            for *rest, votes in row["scores"]
        ),
        key=lambda each: -each[0],
    )
    if not weighed:
        return {**row, "verdict": "", "right": False}
    gain, right, cause, step, home, forbidden = weighed[0]
    others = [each[0] for each in weighed if each[2] != cause and each[3] != step]
    sure = gain >= limits["named"] and gain - max(others, default=-9) >= limits["lead"]
    named = sure and home and not forbidden
    return {**row, "verdict": "named" if named else "", "right": named and right}


def chosen(rows):
    """Limits that serve these rows best, every kind counting once; each of `GRID` is gone along twice."""
    by_kind = defaultdict(list)
    for row in rows:
        by_kind[row["kind"]].append(row)

    def cost(limits):
        total = 0.0
        for some in by_kind.values():
            counts = printable([decided(row, limits) for row in some])
            share = {
                name: part / max(whole, 1) for name, (part, whole) in counts.items()
            }
            missed = sum(1 - share[name] for name in ("N=1", "N=4", "N=16"))
            total += 1 - share["right"] + 2 * share["accused"] + 0.1 * missed
        return total

    limits = dict(START)
    for _ in range(2):
        for name, values in GRID.items():
            limits[name] = min(values, key=lambda value: cost({**limits, name: value}))
    return limits


def left_out(rows):
    """Print the table of kinds by limits that were chosen on the others, and return it."""
    rows = [row for row in rows if "scores" in row]
    result = {}
    judged = []
    print("by limits that were chosen on all other kinds, the search alone:")
    for kind in sorted({row["kind"] for row in rows}):
        limits = chosen([row for row in rows if row["kind"] != kind])
        some = [decided(row, limits) for row in rows if row["kind"] == kind]
        result[kind] = {"limits": limits, **shown(kind, some)}
        judged += some
    result["all"] = shown("all", judged)
    return result


def pairs(subject, draws, seed):
    """Put two faults at once into a network with a profile, and diagnose four pictures."""
    random = np.random.default_rng(seed)
    classifier = subject.profiled if subject.training else subject.classifier
    right = classifier.preprocessing
    for one, second in PAIRS:
        first, other_fault = (kit.faults.CATALOGUE[name] for name in (one, second))
        broken = other_fault.apply(first.apply(right))
        if not (first.changes(right) and other_fault.changes(first.apply(right))):
            continue
        for _ in range(draws):
            chosen = random.choice(
                len(subject.photos), min(4, len(subject.photos)), replace=False
            )
            found = kit.diagnose(
                classifier.using(broken), [subject.photos[place] for place in chosen]
            )
            named = {
                cause
                for each in found.findings
                if each.verdict == "named"
                for cause in (each.cause, *each.equivalent)
            }
            wanted = (
                causes_of(first.apply(right), right),
                causes_of(other_fault.apply(right), right),
            )
            met = sum(bool(causes & named) for causes in wanted)
            more = any("once that is fixed" in note for note in found.notes)
            words = ("none", "one, and told" if more else "one", "both")[met]
            yield {
                "network": subject.name,
                "pair": f"{one} and {second}",
                "found": words,
            }


def printable(rows):
    """Counts (of, out of) for each column."""
    harmful = [row for row in rows if row["harm"] >= HARM]
    loud = [row for row in harmful if not row["quiet"]]
    fine = [
        row
        for row in rows
        if row["case"].startswith("healthy") or (row["harm"] == 0 and not row["quiet"])
    ]
    named = [row for row in rows if row["verdict"] == "named"]
    fixed = [row for row in named if "lost" in row]
    columns = {
        "right": (sum(row["right"] for row in named), len(named)),
        "harmful": (sum(row["lost"] > LOSS for row in fixed), len(fixed)),
        "accused": (
            sum(row["verdict"] == "named" and not row["right"] for row in fine),
            len(fine),
        ),
        "silent": (
            sum(row["verdict"] == "clean" and not row["undecided"] for row in harmful),
            len(harmful),
        ),
    }
    for low, high in ((1, 1), (2, 4), (5, 99)):
        some = [row for row in loud if low <= row["N"] <= high]
        columns[f"N={high if high < 99 else 16}"] = (
            sum(row["right"] for row in some),
            len(some),
        )
    return columns


def shown(title, rows):
    """Print one line of the table, and return it."""
    found, cells = {}, []
    for name, (part, whole) in printable(rows).items():
        interval = accuracy_interval(part, whole) if whole else None
        found[name] = [
            part,
            whole,
            interval and interval.low,
            interval and interval.high,
        ]
        span = (
            ""
            if interval is None
            else f"{part / whole:6.1%} {interval.low:3.0%}-{interval.high:4.0%}"
        )
        cells.append(f"{span:>16s}")
    print(f"{title:36s}{''.join(cells)}", flush=True)
    return found


COLUMNS = ("right", "harmful", "accused", "silent", "N=1", "N=4", "N=16")


def report(rows, double):
    """Print all tables, and return them."""
    result = {"kinds": {}}
    print(f"{'':36s}" + "".join(f"{name:>16s}" for name in COLUMNS))
    by_kind = defaultdict(list)
    for row in rows:
        by_kind[row["kind"]].append(row)
    for kind, some in sorted(by_kind.items()):
        result["kinds"][kind] = shown(kind, some)
    result["kinds"]["all"] = shown("all", rows)
    for statistics in ("profile", "averages", "none"):
        some = [row for row in rows if row["statistics"] == statistics]
        result["kinds"][f"statistics: {statistics}"] = shown(
            f"statistics: {statistics}", some
        )
    result["left out"] = left_out(rows)
    result["pairs"] = dict(Counter(row["found"] for row in double))
    print("two faults at once:", result["pairs"])
    wrong = Counter(
        (
            *(row[name] for name in ("network", "case", "N", "statistics", "labels")),
            row["cause"] or row["verdict"],
            row.get("lost", 0.0),
        )
        for row in rows
        if (row["verdict"] == "named" and not row["right"])
        or (row["verdict"] == "clean" and row["harm"] >= HARM)
    )
    result["wrong"] = [[*key, count] for key, count in wrong.most_common()]
    for key, count in wrong.most_common(40):
        print("  ", count, *key)
    return result


def speed():
    """Seconds of the default call with EfficientNet-Lite0, for one and for four photographs."""
    classifier, photos = (
        kit.samples.classifier("efficientnet_lite0"),
        kit.samples.photos("imagenet"),
    )
    classifier.first_layers  # noqa: B018 (read once for all)
    found = {}
    for count in (1, 4):
        seconds = []
        for place in range(7):
            few = [
                Photo(photo.pixels.copy()) for photo in photos[place : place + count]
            ]
            started = time.perf_counter()
            kit.diagnose(classifier, few)
            seconds.append(time.perf_counter() - started)
        found[f"{count} photographs"] = float(np.median(seconds))
    print(", ".join(f"{name}: {value:.2f} s" for name, value in found.items()))
    return found


def main():
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zoo", type=Path, help="folder that zoo.py wrote to")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="networks"
    )
    parser.add_argument(
        "--n", default="1,4,16", help="numbers of pictures, with commas"
    )
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--seed", type=int, default=2026)
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
        given.json.write_text(
            json.dumps({"speed": speed()}, indent=1) + "\n", encoding="utf-8"
        )
        return
    kit.diagnosis.Evaluator = Remembering
    earlier = [json.loads(path.read_text(encoding="utf-8")) for path in given.add]
    rows = [row for each in earlier for row in each["rows"]]
    double = [row for each in earlier for row in each["double"]]
    if given.zoo is not None:
        for subject in subjects(given.zoo, given.only):
            started = time.perf_counter()
            some = run(
                subject,
                [int(part) for part in given.n.split(",")],
                given.draws,
                given.seed,
            )
            double += pairs(subject, 1, given.seed)
            rows += some
            shown(f"{subject.name} ({time.perf_counter() - started:.0f} s)", some)
            # What is done is kept where somebody stops it: --add takes it up again.
            given.json.write_text(
                json.dumps({"rows": rows, "double": double}) + "\n", encoding="utf-8"
            )
    result = report(rows, double)
    given.json.write_text(
        json.dumps({**result, "rows": rows, "double": double}) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
