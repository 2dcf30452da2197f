"""How often `kit.compare` names what is wrong with another form of a network: ``forms.py --json FILE``.

Forms that are wrong in a known way, forms that are wrong in a way that has no name, and sound conversions,
of five networks: see ``tests/forms.py``. A wrong form is *named* where its cause is, *unknown* where none is,
*false* where another is, and *sound* where it is said to do the same.
"""

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import kit
from tests import forms


def judged(form: forms.Form) -> dict[str, Any]:
    """Compare one form with its network."""
    one = forms.subject(form.network)
    function = form.make()
    start = time.perf_counter()
    found = kit.compare(one.classifier, function, list(one.photos), progress=False)
    said = "sound" if found.sound else "unknown" if not found.cause else "false"
    if found.cause and set(found.cause.split(" and ")) <= form.causes:
        said = "named"
    return {
        "network": form.network,
        "form": form.kind,
        "expected": sorted(form.causes),
        "cause": found.cause,
        "said": said,
        "right": said
        == ("sound" if not form.causes else "unknown" if form.causes == forms.UNKNOWN else "named"),
        "difference": found.difference,
        "left": found.left,
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    """Compare all, print the table, write the report after every form."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the report is written")
    parser.add_argument("--networks", nargs="*", default=list(forms.NETWORKS), choices=forms.NETWORKS)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in options.networks:
        print(name, flush=True)
        for form in (*forms.faults(name), *forms.sound(name)):
            row = judged(form)
            rows.append(row)
            sign = " " if row["right"] else "!"
            print(
                f"{sign} {row['form']:22} {row['said']:8} {row['cause']:34}"
                f" {row['difference']:.4f} {row['left']:.4f} {row['seconds']:6.1f} s",
                flush=True,
            )
            if options.json:
                options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print()
    for words, wanted in (("with a name", None), ("without", [""]), ("sound", [])):
        some = [row for row in rows if (row["expected"] if wanted is None else row["expected"] == wanted)]
        if wanted is None:
            some = [row for row in some if row["expected"] != [""]]
        print(f"{words:12} {len(some):3}: {dict(Counter(row['said'] for row in some))}")


if __name__ == "__main__":
    main()
