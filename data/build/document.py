"""Write the tables of ``data/README.md`` and ``data/SHA256SUMS`` anew from what lies in ``data/``.

Run it from the project's root after anything in ``data/`` has changed::

    python -m data.build.document
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from data.build.sources import DATA

README, SUMS = DATA / "README.md", DATA / "SHA256SUMS"
BEGIN, END = "<!-- begin: {} -->\n", "<!-- end: {} -->\n"
# Names and addresses of the licences that the index uses.
LICENCES = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-1.0": "https://creativecommons.org/licenses/by/1.0/",
    "CC-BY-2.0": "https://creativecommons.org/licenses/by/2.0/",
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "GPL-2.0-or-later": "licences/GPL-2.0.txt",
    "Public-Domain": "",
}


def sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def shipped() -> Iterator[Path]:
    """Files that make up the data: everything in ``data/`` but scripts and what is written here."""
    for path in sorted(DATA.rglob("*")):
        inside = path.relative_to(DATA)
        hidden = any(part.startswith((".", "__")) for part in inside.parts)
        if (
            path.is_file()
            and not hidden
            and inside.parts[0] != "build"
            and path not in {README, SUMS}
        ):
            yield path


def checksums() -> str:
    """One line a file, as ``sha256sum --check`` reads it."""
    return "".join(
        f"{sha256(path)}  {path.relative_to(DATA).as_posix()}\n" for path in shipped()
    )


def photographs() -> str:
    """Return the table of photographs, with attribution and licence of each."""
    names = (DATA / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    lines = [
        "| file | title | ImageNet class | author | licence | source | SHA-256 |\n",
        "|---|---|---|---|---|---|---|\n",
    ]
    for entry in json.loads(
        (DATA / "photographs" / "index.json").read_text(encoding="utf-8")
    ):
        label = entry["imagenet_class"]
        address = LICENCES[entry["licence"]]
        cells = (
            f"`{entry['file']}`",
            entry["title"],
            "" if label is None else f"{names[label]} ({label})",
            entry["author"],
            f"[{entry['licence']}]({address})"
            if address
            else entry["licence"].replace("-", " ").lower(),
            f"[origin](<{entry['source']}>), `{entry['original']}` in `{entry['package']}`",
            f"`{sha256(DATA / 'photographs' / entry['file'])}`",
        )
        lines.append("| " + " | ".join(cells) + " |\n")
    return "".join(lines)


def others() -> str:
    """Return the table of all other files, with their sizes."""
    lines = ["| file | bytes | SHA-256 |\n", "|---|---|---|\n"]
    index = json.loads(
        (DATA / "photographs" / "index.json").read_text(encoding="utf-8")
    )
    pictures = {DATA / "photographs" / entry["file"] for entry in index}
    lines += [
        f"| `{path.relative_to(DATA).as_posix()}` | {path.stat().st_size:,} | `{sha256(path)}` |\n"
        for path in shipped()
        if path not in pictures
    ]
    return "".join(lines)


def filled(text: str) -> str:
    """Return the README with its tables made anew."""
    for name, table in (("photographs", photographs()), ("files", others())):
        before, rest = text.split(BEGIN.format(name))
        after = rest.split(END.format(name))[1]
        text = before + BEGIN.format(name) + table + END.format(name) + after
    return text


def main() -> None:
    """Write both files."""
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
    SUMS.write_text(checksums(), encoding="utf-8")
    total = sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file())
    print(f"{total:,} bytes in data/")


if __name__ == "__main__":
    main()
