"""Messages to an explorer, with other values, keys, depths and buffers."""

import json
from functools import cache

import numpy as np

import kit
from kit.explorer.replies import CAMERA
from tests.explorer.page import deliver, listen
from tests.hostile.mutations import VALUES, changed

DOCUMENTED = ()
SETTINGS = {"brightness": 1.2, "noise": 5, "seed": 1, "scaling": "missing_scaling", "photo": "p"}
KNOWN = (
    {"kind": "hello", "request": "1.1"},
    {"kind": "settings", "settings": SETTINGS, "held": None, "request": "1.2"},
    {"kind": "noise", "seed": 1, "count": 100},
    {"kind": "frame", "settings": SETTINGS, "height": 2, "width": 3},
    {"kind": "snap"},
    {"kind": "ahead", "settings": SETTINGS, "key": "noise", "places": [0, 10, 20]},
    {"kind": "upload", "number": "1", "name": "a.png", "last": True},
    {"kind": "remove", "name": "a.png"},
    {"kind": "sample", "step": "exif"},
    {"kind": "stop"},
)


def corpus(count, seed):
    for number in range(count):
        random = np.random.default_rng([seed, number])
        known = KNOWN[int(random.integers(len(KNOWN)))]
        content = (
            changed(known, random) if random.random() < 0.9 else VALUES[int(random.integers(len(VALUES)))]
        )
        sizes = [int(size) for size in random.choice((0, 1, 18, 5000), int(random.integers(0, 3)))]
        yield f"{number:06}.json", json.dumps({"content": content, "buffers": sizes}).encode()


@cache
def explorer():
    return listen(
        kit.Explorer(kit.samples.classifier("fashion_mnist"), kit.samples.photos("fashion_mnist")[:2])
    )


def open_one(path):
    """Send it: what is wrong is told in one line that Jupyter can pack, and it answers afterwards."""
    given, live = json.loads(path.read_bytes()), explorer()
    live.sent.clear()
    buffers = [memoryview(bytes(size)) for size in given["buffers"]]
    data = {"method": "custom", "content": given["content"]}
    live.comm.handle_msg({"content": {"data": data}, "buffers": buffers})
    for content, _ in live.sent:
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
        if content["kind"] == "error" and "\n" in content["text"]:
            raise AssertionError(content["text"])
    assert "Traceback" not in live.error
    deliver(live, kind="settings", settings={"photo": live.photos[0].name, "noise": 7})
    content, _ = live.sent[-1]
    assert (content["kind"], live.error) == ("view", "")
    for photo in live.photos[2:]:
        if photo.name != CAMERA:  # which the explorer keeps
            live.remove(photo.name)
