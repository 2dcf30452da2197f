"""Damage that is made from a generator of random numbers alone, so that it can be made again."""

import json
import struct
from copy import deepcopy

WORDS = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
)
VALUES = (
    *(None, True, False, -1, 0, 1, 255, 256, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, 1e-320),
    *(
        float("nan"),
        float("inf"),
        "",
        "nan",
        "RGB",
        "brightness",
        "\ud800",
        "\0",
        "a\nb",
        "../x",
        "$x",
        "a" * 5000,
    ),
    *([], {}, [[]], [None] * 9, {"": {}}, [0.5] * 4000),
)


def damaged(data, random, other=b""):
    """One to four changes: bits, bytes, words of either order, cuts, pieces left out, doubled or taken."""
    data = bytearray(data)
    for _ in range(int(random.integers(1, 5))):
        if not data:
            break
        # Half of all changes lie in the head, where the sizes are.
        place = int(random.integers(min(len(data), 200) if random.random() < 0.5 else len(data)))
        length = int(random.integers(1, 40))
        kind = int(random.integers(8))
        if kind == 0:
            data[place] ^= 1 << int(random.integers(8))
        elif kind == 1:
            data[place : place + length] = random.bytes(length)
        elif kind == 2:
            order, width = "<>"[int(random.integers(2))], "HI"[int(random.integers(2))]
            word = int(random.choice(WORDS)) & (0xFFFF if width == "H" else 0xFFFFFFFF)
            data[place : place + struct.calcsize(width)] = struct.pack(order + width, word)
        elif kind == 3:
            del data[int(random.integers(len(data))) :]
        elif kind == 4:
            del data[place : place + length]
        elif kind == 5:
            data[place:place] = data[place : place + length] * int(random.integers(1, 50))
        elif kind == 6 and other:
            start = int(random.integers(len(other)))
            data[place : place + length] = other[start : start + length]
        else:
            data[place : place + length] = bytes([int(random.choice((0, 0x7F, 0x80, 0xFF)))]) * length
    return bytes(data)


def places(value, here=()):
    """Every place in a tree of JSON values, as keys from its root."""
    yield here
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*here, key))


def changed(tree, random):
    """Give one to three places of JSON values another value, another key, or none."""
    tree = {"root": json.loads(json.dumps(tree))}
    for _ in range(int(random.integers(1, 4))):
        found = list(places(tree))[1:]
        *way, last = found[int(random.integers(len(found)))]
        parent = tree
        for key in way:
            parent = parent[key]
        kind = int(random.integers(6))
        if kind == 0 and len(found) > 1 and way:
            del parent[last]
        elif kind == 1 and isinstance(parent, dict) and way:
            parent[str(random.choice(("name", "Format", "\ud800", "a\nb", "", "__class__")))] = parent.pop(
                last
            )
        elif kind == 2:
            for _ in range(int(random.choice((1, 3, 300)))):
                parent[last] = [parent[last]]
        elif isinstance(parent[last], (int, float)) and random.random() < 0.5:
            parent[last] = parent[last] * int(random.choice((-1, 2, 1000))) + int(random.integers(-1, 2))
        else:
            parent[last] = deepcopy(VALUES[int(random.integers(len(VALUES)))])
    return tree["root"]


def as_text(value, random):
    """JSON text of a value, in one of ten damaged besides."""
    text = json.dumps(value, ensure_ascii=bool(random.integers(2))).encode("utf-8", "surrogatepass")
    return damaged(text, random) if random.random() < 0.1 else text
