"""How often `kit.compare` names what is wrong with another form of a network: ``forms.py --json FILE``.

Sixty forms that are wrong in a known way and sixty sound conversions, ten of each for six networks: see
``tests/forms.py``. Three of the networks may be used to choose limits (``chosen on``); what is told of the
other three (``held out``) is the result. Below, weights of 2 to 8 bits: what is rounded beyond recognition is
told as another network, since answers alone do not tell these two apart.
"""

import argparse
import json
import sys
import time
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))  # a script starts with its own folder in place of the project's

from kit.classifier.engines import KerasEngine  # noqa: E402
from kit.regression.forms import compare_forms  # noqa: E402
from tests import forms  # noqa: E402

NAMED = 0.9


def judged(form: forms.Form) -> dict[str, Any]:
    """Compare one form with its network."""
    one = forms.subject(form.network)
    start = time.perf_counter()
    found = compare_forms(
        one.classifier.predict_tensors, form.make(), one.tensors, one.classifier.preprocessing
    )
    right = found.sound if form.cause == "sound" else found.cause == form.cause
    return {
        "network": form.network,
        "form": form.kind,
        "expected": form.cause,
        "cause": found.cause,
        "right": right,
        "difference": found.difference,
        "left": found.left,
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    """Compare all, print the table, write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the report is written")
    parser.add_argument("--networks", nargs="*", default=list(forms.NETWORKS), choices=forms.NETWORKS)
    options = parser.parse_args()
    rows = []
    for name in options.networks:
        print(name, flush=True)
        for form in (*forms.faults(name), *forms.sound(name)):
            row = judged(form)
            rows.append(row)
            left = "" if row["left"] is None else f"{row['left']:.4f}"
            sign = " " if row["right"] else "!"
            print(
                f"{sign} {row['form']:20} {row['expected']:15} {row['cause']:15}"
                f" {row['difference']:.4f} {left:7} {row['seconds']:6.1f} s",
                flush=True,
            )
    totals(rows)
    spoiling = [row for name in options.networks for row in by_bits(name)]
    if options.json:
        options.json.write_text(
            json.dumps({"forms": rows, "bits": spoiling}, indent=1) + "\n", encoding="utf-8"
        )


def by_bits(name: str) -> list[dict[str, Any]]:
    """Round the weights of a network to 2 to 8 bits, and tell what is named."""
    one = forms.subject(name)
    predict, rows = one.classifier.predict_tensors, []
    before = predict(one.tensors).argmax(axis=1)
    print(f"\n{name}: bits, by channel, answers that stay, cause")
    for bits, by_channel in product((2, 3, 4, 5, 6, 8), (False, True)):
        form = KerasEngine(forms.rounded(one.classifier, bits, by_channel=by_channel)).predict
        cause = compare_forms(predict, form, one.tensors, one.classifier.preprocessing).cause
        stay = float((form(one.tensors).argmax(axis=1) == before).mean())
        rows.append({"network": name, "bits": bits, "by_channel": by_channel, "stay": stay, "cause": cause})
        print(f"  {bits} {by_channel!s:5} {stay:4.0%} {cause}", flush=True)
    return rows


def totals(rows: list[dict[str, Any]]) -> None:
    """Print how many are right: for networks that limits were chosen on and for those held out."""
    print(f"\n{'':12} {'faults named':>16} {'sound accused':>16}   (targets: {NAMED:.0%}, 0)")
    for words, chosen in (("chosen on", True), ("held out", False)):
        some = [row for row in rows if (row["network"] in forms.CHOSEN_ON) is chosen]
        count = Counter((row["expected"] == "sound", row["right"]) for row in some)
        faults, sound = (count[kind, True] + count[kind, False] for kind in (False, True))
        print(f"{words:12} {count[False, True]:>9} of {faults:3} {count[True, False]:>9} of {sound:3}")


if __name__ == "__main__":
    main()
