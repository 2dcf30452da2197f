"""The page and Python keep to one protocol: what each sends is declared, and what is declared is read."""

import json
import subprocess
from base64 import b64encode
from inspect import signature
from pathlib import Path
from typing import get_type_hints, is_typeddict

import pytest

from kit.explorer import protocol
from kit.explorer.explorer import Explorer
from kit.explorer.page import page_file
from tests.explorer.page import ask, listen, panel, searched

DRIVER = Path(__file__).parents[1] / "page" / "protocol.mjs"
TYPES = {
    name: declared
    for name, declared in vars(protocol).items()
    if is_typeddict(declared)
}


def fields(declared):
    """Return the fields of a message with their types, as text, which the page can read."""
    return {name: str(hint) for name, hint in get_type_hints(declared).items()}


@pytest.fixture(scope="module")
def replies(fashion, clothes, tmp_path_factory):
    """For each kind of message a reply of Python, with the name of its type."""
    explorer = Explorer(
        fashion, clothes[:2], ["Shirt"] * 2, cases=tmp_path_factory.mktemp("cases")
    )
    explorer.add(clothes[2].pixels, name="mine", label="Bag")
    listen(explorer)
    settings = explorer.settings | {"photo": "mine", "noise": 9, "where": -1}
    explorer.settings = settings
    asked = {
        "hello": ("ViewReply", {}),
        "ahead": ("AheadReply", {"settings": settings, "key": "noise", "places": [1]}),
        "noise": ("NoiseReply", {"seed": 0}),
        "where": ("WhereReply", {}),
        "judge": ("JudgedReply", {"settings": settings, "photos": ["mine"]}),
        "snap": ("TextReply", {}),
    }
    recorded = {
        kind: [(name, *ask(explorer, kind=kind, **content))]
        for kind, (name, content) in asked.items()
    }
    explorer.sent.clear()
    ask(explorer, kind="why", settings=settings | {"polarity": "inverted"})
    searched(explorer)
    _view, first, *progress, last = explorer.sent
    recorded["why"] = [
        ("ExplainedReply", *first),
        *(("TextReply", *each) for each in progress),
        ("ExplainedReply", *last),
    ]
    recorded["pin"] = [("TextReply", {"kind": "pinned", "text": "Pinned."}, None)]
    recorded["keep"] = [("TextReply", {"kind": "fresh", "text": ""}, None)]
    return recorded, panel(explorer)


@pytest.fixture(scope="module", params=["DataView", "Uint8Array"])
def page(replies, node, tmp_path_factory, request):
    """What the page reads by type, and sends by kind."""
    recorded, content = replies
    told = {
        "panel": content,
        "replies": {
            kind: [
                {"type": name, "content": message, "buffers": buffers or []}
                for name, message, buffers in several
            ]
            for kind, several in recorded.items()
        },
        "types": {name: fields(declared) for name, declared in TYPES.items()},
    }
    file = tmp_path_factory.mktemp("protocol") / "replies.json"
    text = json.dumps(told, default=lambda part: b64encode(part).decode())
    file.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [node, DRIVER, file, request.param],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_page_reads_the_fields_that_are_declared_and_no_others(page):
    read = {name: set(keys) for name, keys in page["read"].items() if keys}
    # Views that are known ahead are copied, and the copies are read as the others.
    read["ViewReply"] |= read.pop("Shown")
    bases = {"BecauseReply", "ExplainedContent", "Reason", "Reply", "Shown"}
    declared = {name: fields(TYPES[name]) for name in TYPES.keys() - bases}
    told = {name: set(keys) for name, keys in declared.items()}
    assert read == told, "let the page read each field, and `replies` send each type"


def test_the_page_sends_the_messages_that_are_declared_with_their_fields(page):
    sent = {kind: {*keys} - {"kind", "request"} for kind, keys in page["sent"].items()}
    assert sent == {
        kind: fields.keys() - {"buffer"} for kind, fields in protocol.REQUESTS.items()
    }


def test_each_message_has_a_handler_that_takes_its_fields():
    without_kernel = page_file("live.js")
    for kind, fields in protocol.REQUESTS.items():
        handler = getattr(Explorer, f"_take_{kind}")
        assert list(signature(handler).parameters)[1:] == list(fields)
        # What an exported page does not ask, since it hides what would, is named here.
        asked = kind not in {"pin", "stop", "where"}
        assert asked == (f" on_{kind}(" in without_kernel), f"on_{kind} of live.js"
