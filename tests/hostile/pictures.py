"""Hostile picture files: real ones of every format and mode, damaged at random or in their structure."""

import io
import struct
import zlib
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from kit import load_image
from kit.images import FORMATS
from tests.hostile.mutations import WORDS, damaged

PHOTOGRAPHS = Path(__file__).resolve().parents[2] / "data" / "photographs"
DOCUMENTED = (ValueError, OSError)


def corpus(count, seed):
    """Names and contents of files; each depends on its number and the seed alone."""
    for number in range(count):
        random = np.random.default_rng([seed, number])
        kind, make = KINDS[int(random.integers(len(KINDS)))]
        yield f"{number:06}-{kind}", make(random)


def open_one(path):
    photo = load_image(path)
    assert photo.pixels.shape[2] == 3
    assert not any("\n" in note for note in (repr(photo), *photo.notes))


@cache
def files():
    """Small files of every allowed format and mode, by name."""
    names = ("cat.jpg", "storm.jpg", "house_grey.jpg", "cmyk.jpg", "exif.jpg", "alpha.webp", "depth16.png")
    found = {}
    for name in names:
        with Image.open(PHOTOGRAPHS / name) as image:
            small = image.resize((61, 47)) if image.mode.startswith("I") else image.resize((120, 90))
        found |= {f"{name}.{kind}": data for kind, data in _forms(small)}
    return found


def _forms(image):
    frames = {"save_all": True, "append_images": [image.rotate(90, expand=True), image.resize((30, 20))]}
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "maker"})
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey = np.asarray(image.convert("L"))
    modes = [
        image,
        *(image.convert("RGB").convert(mode) for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "LAB")),
    ]
    modes += [Image.fromarray(grey.astype(kind) * 100) for kind in (np.uint16, np.int32)]
    modes += [Image.fromarray(grey / np.float32(255))]
    options = {
        "JPEG": (
            {},
            {"progressive": True},
            {"exif": exif},
            {"icc_profile": icc},
            {"subsampling": 0, "quality": 99},
        ),
        "PNG": ({}, {"transparency": 3}, {"exif": exif, "icc_profile": icc}, frames),
        "WEBP": (
            {"method": 0},
            {"lossless": True, "method": 0},
            {"exif": exif, "method": 0},
            frames | {"method": 0},
        ),
        "BMP": ({},),
        "GIF": ({}, {"transparency": 3}, frames, {"comment": b"words " * 99}),
        "TIFF": (
            *(
                {"compression": kind}
                for kind in ("raw", "tiff_lzw", "tiff_deflate", "jpeg", "packbits", "group4")
            ),
            *({"tiffinfo": {274: 6}}, {"big_tiff": True}, frames, {"icc_profile": icc, "exif": exif}),
        ),
    }
    for kind in FORMATS:
        for number, chosen in enumerate(options[kind]):
            for each in modes:
                file = io.BytesIO()
                try:
                    each.save(file, kind, **chosen)
                except Exception:  # noqa: BLE001, S112
                    continue  # a mode that the format has not
                yield f"{each.mode}.{number}.{kind.lower()}", file.getvalue()


@cache
def _ending(ending):
    return [data for name, data in files().items() if name.endswith(ending)]


def _one(random, ending=""):
    chosen = _ending(ending)
    return chosen[int(random.integers(len(chosen)))]


def _anywhere(random):
    return damaged(_one(random), random, _one(random))


def _png_chunks(random):
    """Damage inside chunks, with checksums that are right."""
    data, parts, place = _one(random, "png"), [], 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        parts.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    at = int(random.integers(len(parts)))
    kind, body = parts[at]
    names = (
        b"tRNS",
        b"PLTE",
        b"gAMA",
        b"iCCP",
        b"zTXt",
        b"iTXt",
        b"eXIf",
        b"acTL",
        b"fcTL",
        b"fdAT",
        b"pHYs",
        b"sBIT",
    )
    if random.random() < 0.3:
        kind, body = names[int(random.integers(len(names)))], random.bytes(int(random.integers(0, 60)))
        parts.insert(at, (kind, body))
    elif random.random() < 0.2:
        parts.append(parts.pop(at))
    else:
        parts[at] = kind, damaged(body, random)
    chunks = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in parts)
    return data[:8] + b"".join(chunks)


def _png_written(random):
    """A PNG of any size, depth, kind of colour and interlacing, with too little, too much or enough in it."""
    width, height = (int(random.choice((0, 1, 7, 64, 3000, 65535, 2**31 - 1, 2**32 - 1))) for _ in range(2))
    depth, colour = int(random.choice((1, 2, 4, 8, 16, 3))), int(random.choice((0, 2, 3, 4, 6, 7)))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(random.integers(2)))
    body = zlib.compress(random.bytes(64) * int(random.choice((0, 1, 100, 100_000))), 1)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", random.bytes(3 * int(random.integers(0, 260)))),
        (b"IDAT", body),
        (b"IEND", b""),
    )
    written = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def _jpeg_segments(random):
    """Damage inside, between and in the order of the segments of a JPEG."""
    data, parts, place = _one(random, "jpeg"), [], 2
    while data[place + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, place + 2)
        parts.append(data[place : place + 2 + length])
        place += 2 + length
    at = int(random.integers(len(parts)))
    kind = int(random.integers(4))
    if kind == 0:
        parts.insert(at, parts[int(random.integers(len(parts)))] * int(random.choice((1, 2, 500))))
    elif kind == 1:
        parts.insert(at, b"\xff" * int(random.choice((1, 100, 100_000))))
    elif kind == 2:
        parts.pop(at)
    else:
        body = damaged(parts[at][4:], random)[:65_000]
        parts[at] = parts[at][:2] + struct.pack(">H", len(body) + 2) + body
    tail = data[place:] if random.random() < 0.7 else damaged(data[place:], random)
    return data[:2] + b"".join(parts) + tail


def _tiff_tags(random):
    """Other types, counts and values of the tags of a TIFF."""
    data = bytearray(_one(random, "tiff"))
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    if start + 2 > len(data):
        return bytes(data)
    (count,) = struct.unpack_from(order + "H", data, start)
    for _ in range(int(random.integers(1, 4))):
        place = start + 2 + 12 * int(random.integers(max(count, 1)))
        if place + 12 > len(data):
            continue
        tag, kind, many, value = struct.unpack_from(order + "HHII", data, place)
        fields = [tag, kind, many, value]
        at = int(random.integers(4))
        tags = (
            254,
            256,
            257,
            258,
            259,
            262,
            273,
            274,
            277,
            278,
            279,
            284,
            317,
            320,
            322,
            323,
            324,
            330,
            338,
            339,
        )
        news = (tags, range(20), WORDS, WORDS)[at]
        fields[at] = int(random.choice(news)) & (0xFFFF if at < 2 else 0xFFFFFFFF)
        struct.pack_into(order + "HHII", data, place, *fields)
    return bytes(data)


def _bmp(random):
    """Headers of every length, with runs, bit fields and palettes."""
    width, height = (int(random.choice((1, 5, 300, 2000, -7, 2**31 - 1))) for _ in range(2))
    size = int(random.choice((12, 16, 40, 52, 56, 64, 108, 124)))
    bits, how = int(random.choice((1, 2, 4, 8, 16, 24, 32, 0))), int(random.choice((0, 1, 2, 3, 4, 5, 6)))
    head = struct.pack(
        "<IiiHHIIiiII", size, width, height, 1, bits, how, 0, 0, 0, int(random.choice((0, 2, 256))), 0
    )
    body = random.bytes(1024) + (random.bytes(40) * int(random.choice((1, 100, 30_000))))
    return (
        b"BM"
        + struct.pack("<IHHI", 0, 0, 0, 14 + size + 1024)
        + head.ljust(size, b"\0")[: max(size, 12)]
        + body
    )


def _many(random):
    """Parts of next to nothing, in great number."""
    count = int(random.choice((1, 10, 100, 1000, 10_000, 300_000)))
    jpeg, png, gif = (_one(random, kind) for kind in ("jpeg", "png", "gif"))
    scan = jpeg.rfind(b"\xff\xda")
    made = (
        jpeg[:2] + b"\xff\xfe\0\2" * count + jpeg[2:],
        jpeg[:2] + b"\xff\x00" * count + jpeg[2:],
        jpeg[:scan] + jpeg[scan : scan + 14] * (count // 10) + jpeg[scan:],
        png[:33] + (b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))) * count + png[33:],
        png[:33] + (b"\0\0\0\0abCd" + struct.pack(">I", zlib.crc32(b"abCd"))) * count + png[33:],
        gif[:-1] + b"!\xfe\x01a\0" * count + b";",
        gif[:13] + b"!\xfe\x01a\0" * count + gif[13:],
        gif[:-1] * min(count, 100) + b";",
    )
    return made[int(random.integers(len(made)))]


def _cut_animation(random):
    """A GIF that ends, or is damaged, in a later picture."""
    data = _one(random, ".2.gif")
    return data[: int(random.integers(len(data)))]


def _kept(make, random):
    return make(random)


KINDS = (
    *(("anywhere", _anywhere),) * 8,
    *(("png-chunks", _png_chunks),) * 2,
    ("png-written", _png_written),
    *(("jpeg-segments", _jpeg_segments),) * 2,
    *(("tiff-tags", _tiff_tags),) * 3,
    ("bmp", _bmp),
    ("many", _many),
    ("cut-animation", _cut_animation),
    ("whole", partial(_kept, _one)),
)
