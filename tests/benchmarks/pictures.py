"""How often `kit.diagnose` blames the picture, and rightly: ``[--folder FOLDER]``.

Each perturbation of a fixed list is done to each labelled bundled photograph that EfficientNet-Lite0 answers
rightly, and the one picture that comes of it is diagnosed.

Counted
    Of those that turn the right answer into a wrong one, without and with the label: ``right``: the first
    cause that is named is that of the perturbation; ``wrong``: another is; ``possible``: none is named, and
    that of the perturbation is possible; ``ruled_out``: it is ruled out or not even looked at; ``silent``:
    nothing is wrong, the report says. Of those that leave the answer right: ``blamed``: a cause is named.
    Of the untouched photographs, whatever the answer: the same, and how many come out clean.
Pictures
    None of the limits was chosen on these photographs. With ``--folder``, the pictures in a folder in place
    of them, whose right answer is taken to be that to the untouched picture, from ``--sure`` on.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

import kit
from kit.images import Photo, as_photos
from tests.benchmarks import report

PERTURBATIONS = {
    "dark": [kit.Perturbation(brightness=factor) for factor in (0.15, 0.2, 0.3, 0.4)],
    "bright": [kit.Perturbation(brightness=factor) for factor in (2, 2.5, 3)],
    "noisy": [kit.Perturbation(noise=deviation) for deviation in (30, 60, 100)],
    "blurred": [kit.Perturbation(blur=radius) for radius in (3, 5, 8)],
    "jpeg": [kit.Perturbation(jpeg_quality=quality) for quality in (5, 10)],
    "low_contrast": [kit.Perturbation(contrast=0.2)],
}
"""By the cause that they stand for."""

OUTCOMES = ("right", "wrong", "possible", "ruled_out", "silent", "clean")


def pictures(folder: str | None, sure: float) -> Iterator[tuple[Photo, int]]:
    """Yield photographs, each with its right answer."""
    classifier = kit.samples.classifier("efficientnet_lite0")
    if folder is None:
        truth = kit.samples.labels("imagenet")
        yield from (
            (photo, int(label)) for photo, label in zip(kit.samples.photos("imagenet"), truth, strict=True)
        )
        return
    for photo in as_photos(folder):
        answer = classifier.probabilities([photo])[0]
        if answer.max() >= sure:
            yield photo, int(answer.argmax())


def outcome(photo: Photo, cause: str | None, label: int | None = None) -> dict[str, Any]:
    """Diagnose one picture; which of `OUTCOMES` hold, and what the verdict is about."""
    started = time.perf_counter()
    found = kit.diagnose(
        kit.samples.classifier("efficientnet_lite0"), photo, None if label is None else [label]
    )
    seconds = time.perf_counter() - started
    verdicts = {finding.cause: finding.verdict for finding in found.findings}
    named = None if found.best is None else found.best.cause
    verdict = verdicts.get(cause or "", "ruled_out")
    return {
        "photo": photo.name,
        "named": named,
        "verdicts": verdicts,
        "seconds": seconds,
        "right": named is not None and named == cause,
        "wrong": named is not None and named != cause,
        "possible": named is None and verdict == "possible",
        "ruled_out": named is None and verdict == "ruled_out",
        "silent": found.clean,
        "clean": found.clean,
    }


def run(folder: str | None, sure: float) -> dict[str, list[dict[str, Any]]]:
    """Diagnose every picture untouched and perturbed; one row for each, by what it counts for."""
    classifier = kit.samples.classifier("efficientnet_lite0")
    rows = defaultdict(list)
    for photo, label in pictures(folder, sure):
        known = classifier.probabilities([photo])[0].argmax() == label
        rows["untouched"].append(outcome(photo, None))
        for cause, perturbations in PERTURBATIONS.items() if known else ():
            for perturbation in perturbations:
                changed = perturbation.apply(photo)
                flipped = classifier.probabilities([changed])[0].argmax() != label
                place = {"cause": cause, "perturbation": repr(perturbation)}
                if flipped:
                    rows["flipped"].append({**outcome(changed, cause), **place})
                    rows["flipped, labelled"].append({**outcome(changed, cause, label), **place})
                else:
                    rows["still right"].append({**outcome(changed, cause), **place})
        print(photo.name, {name: len(found) for name, found in rows.items()}, file=sys.stderr, flush=True)
    return rows


def shares(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Share of each outcome, with Wilson's interval."""
    counts = {name: sum(row[name] for row in rows) for name in OUTCOMES}
    counts["named"] = counts["right"] + counts["wrong"]
    intervals = {name: kit.accuracy_interval(count, len(rows)) for name, count in counts.items()}
    return {"count": len(rows)} | {
        name: {"share": one.accuracy, "low": one.low, "high": one.high} for name, one in intervals.items()
    }


def table(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Shares of all rows and by cause."""
    parts = {}
    for name, found in rows.items():
        parts[name] = shares(found)
        for cause in PERTURBATIONS:
            if some := [row for row in found if row.get("cause") == cause]:
                parts[f"{name}, {cause}"] = shares(some)
    return parts


def main() -> None:
    """Run, print and write."""
    parser = report.parser(__doc__)
    parser.add_argument("--folder", help="of other pictures")
    parser.add_argument(
        "--sure", type=float, default=0.5, help="least probability of an answer, with --folder"
    )
    given = parser.parse_args()
    rows = run(given.folder, given.sure)
    found = table(rows)
    report.write(given.json, {"shares": found, "rows": rows})

    def cell(one: dict[str, float]) -> str:
        return f"{one['share']:.0%} ({one['low']:.0%} to {one['high']:.0%})"

    columns = ("named", *OUTCOMES)
    report.table(
        {"pictures": name, "count": row["count"]} | {column: cell(row[column]) for column in columns}
        for name, row in found.items()
    )
    seconds = [row["seconds"] for some in rows.values() for row in some]
    middle, most = np.percentile(seconds, (50, 95))
    print(f"seconds for one picture: median {middle:.2f}, 95 % below {most:.2f}")


if __name__ == "__main__":
    main()
