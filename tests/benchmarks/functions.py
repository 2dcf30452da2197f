"""How often `kit.check` and `kit.compare` name what people's own code and exported forms do otherwise.

Functions are put together as in reports on GitHub: what they take, how they resize, scale and lay out;
each is checked against the preprocessing that it was to be. Forms are those of `tests.forms`.

Counted
    ``right``: the headline has the expected step or cause, or agrees where it should; ``wrong``: it has
    another; ``unknown``: no cause is named; ``sound``: there is no difference, it says.
"""

from collections import Counter
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

import kit
from kit import samples
from tests import forms
from tests.benchmarks import report

SIDE = 224
PILLOW = Image.Resampling
LITE = samples.classifier("efficientnet_lite0").preprocessing
EXPECTED = {
    "lite": LITE,
    "torch": LITE.replace(fit="resize_crop", filter="bilinear", scaling="imagenet"),
    "keras": LITE.replace(
        fit="squash", crop_fraction=1.0, filter="bilinear", scaling="-1..1"
    ),
    "tf": LITE.replace(
        fit="squash", crop_fraction=1.0, filter="tf_bilinear", scaling="0..1"
    ),
    "caffe": LITE.replace(
        fit="squash",
        crop_fraction=1.0,
        filter="nearest",
        channels="bgr",
        scaling="caffe",
    ),
    "yolo": LITE.replace(
        fit="letterbox_floor", filter="cv2_linear", fill=(114, 114, 114), scaling="0..1"
    ),
    "cv2": LITE.replace(
        fit="squash", crop_fraction=1.0, filter="cv2_linear", scaling="0..1"
    ),
}


def in_tf(x, method="bilinear", **options):
    return tf.image.resize(x, (SIDE, SIDE), method=method, **options).numpy()


def pil(x, size=(SIDE, SIDE), name="BILINEAR"):
    return np.asarray(Image.fromarray(x).resize(size, PILLOW[name]))


def in_cv2(x, interpolation):
    return cv2.resize(x, (SIDE, SIDE), interpolation=interpolation)


def shorter(x, side, resized):
    height, width = x.shape[:2]
    factor = side / min(height, width)
    return resized(x, (int(width * factor + 1e-6), int(height * factor + 1e-6)))


def centre(x, side=SIDE):
    top, left = (round((each - side) / 2) for each in x.shape[:2])
    return x[top : top + side, left : left + side]


def letterbox(x, fill=114, corner=False, interpolation=cv2.INTER_LINEAR):
    height, width = x.shape[:2]
    ratio = min(SIDE / height, SIDE / width)
    inner = round(width * ratio), round(height * ratio)
    across, down = ((SIDE - each) / 2 for each in inner)
    top, left = (0, 0) if corner else (round(down - 0.1), round(across - 0.1))
    canvas = np.full((SIDE, SIDE, 3), fill, np.uint8)
    inside = cv2.resize(x, inner, interpolation=interpolation)
    canvas[top : top + inner[1], left : left + inner[0]] = inside
    return canvas


def thumbnail(x, side):
    image = Image.fromarray(x)
    image.thumbnail((side, side))
    return pil(np.asarray(image))


GIVEN = {
    "path": lambda run: lambda path: run(np.asarray(Image.open(path).convert("RGB"))),
    "imread": lambda run: (
        lambda path: run(cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB))
    ),
    "imread bgr": lambda run: lambda path: run(cv2.imread(path)),
    "tf": lambda run: (
        lambda path: run(tf.io.decode_jpeg(Path(path).read_bytes(), 3).numpy())
    ),
    "bytes": lambda run: (
        lambda data: run(cv2.imdecode(np.frombuffer(data, np.uint8), 1)[..., ::-1])
    ),
    "upload": lambda run: (
        lambda data: run(np.asarray(Image.open(BytesIO(data)).convert("RGB")))
    ),
    "pil": lambda run: lambda image: run(np.asarray(image.convert("RGB"))),
    "rgb": lambda run: run,
    "bgr": lambda run: lambda bgr: run(bgr[..., ::-1]),
    "frame": lambda run: lambda image: run(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)),
    "batch": lambda run: (
        lambda batch: np.stack([run(each) for each in np.asarray(batch)])
    ),
}
SIZED = {
    "crop": lambda x: LITE.apply(x)[0] * 128 + 127,
    "torchvision": lambda x: centre(shorter(x, 256, pil)),
    "torchvision 232": lambda x: centre(shorter(x, 232, pil)),
    "cv2 256": lambda x: centre(shorter(x, 256, cv2.resize)),
    "256 squashed": lambda x: centre(pil(x, size=(256, 256))),
    "keras": lambda x: pil(x, name="NEAREST"),
    "bilinear": pil,
    "bicubic": lambda x: pil(x, name="BICUBIC"),
    "cv2 linear": lambda x: in_cv2(x, cv2.INTER_LINEAR),
    "cv2 cubic": lambda x: in_cv2(x, cv2.INTER_CUBIC),
    "cv2 area": lambda x: in_cv2(x, cv2.INTER_AREA),
    "cv2 float": lambda x: cv2.resize(x.astype(np.float32) / 255, (SIDE, SIDE)) * 255,
    "tf": in_tf,
    "tf antialias": lambda x: in_tf(x, antialias=True),
    "tf bicubic": lambda x: in_tf(x, "bicubic"),
    "tf pad": lambda x: tf.image.resize_with_pad(x, SIDE, SIDE).numpy(),
    "tf central crop": lambda x: in_tf(tf.image.central_crop(x, 0.875).numpy()),
    "letterbox": letterbox,
    "letterbox black": lambda x: letterbox(x, 0),
    "letterbox corner": lambda x: letterbox(x, corner=True),
    "letterbox area": lambda x: letterbox(x, 127, interpolation=cv2.INTER_AREA),
    "imageops pad": lambda x: np.asarray(
        ImageOps.pad(Image.fromarray(x), (SIDE, SIDE))
    ),
    "imageops fit": lambda x: np.asarray(
        ImageOps.fit(Image.fromarray(x), (SIDE, SIDE), PILLOW.BILINEAR)
    ),
    "thumbnail 128": lambda x: thumbnail(x, 128),
    "96": lambda x: pil(x, size=(96, 96)),
    "crop 90": lambda x: pil(centre(x, int(min(x.shape[:2]) * 0.9))),
    "off centre": lambda x: pil(x[:, int(x.shape[1] * 0.1) : int(x.shape[1] * 0.85)]),
    "uncropped": lambda x: x[:SIDE, :SIDE],
}
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
SCALED = {
    "0..255": np.float32,
    "0..1": lambda x: x / np.float32(255),
    "-1..1": lambda x: x / np.float32(127.5) - 1,
    "lite": lambda x: (x - np.float32(127)) / 128,
    "imagenet": lambda x: (x / 255.0 - MEAN) / STD,
    "imagenet 255": lambda x: (
        (x - np.float32([123.675, 116.28, 103.53])) / [58.395, 57.12, 57.375]
    ),
    "imagenet raw": lambda x: (x - MEAN) / STD,
    "twice": lambda x: x / 255.0 / 255.0,
    "half": lambda x: (x / 255.0 - 0.5) / 0.5,
    "own values": lambda x: (x - x.mean()) / x.std(),
    "uint8": lambda x: (x / 255.0).astype(np.uint8),
    "inverted": lambda x: 1 - x / 255.0,
    "caffe": lambda x: x[..., ::-1] - np.float32([103.939, 116.779, 123.68]),
    "caffe rgb": lambda x: x - np.float32([123.68, 116.779, 103.939]),
    "grey": lambda x: (
        np.array(Image.fromarray(np.uint8(x)).convert("L").convert("RGB")) / 255.0
    ),
}
LAID = {
    "-": lambda x: x[None],
    "flat": lambda x: x,
    "tensor": lambda x: tf.constant(x[None]),
    "dict": lambda x: {"pixel_values": x[None].astype(np.float32)},
    "tuple": lambda x: (x[None], 0.5, (0, 0)),
    "chw": lambda x: x.transpose(2, 0, 1)[None],
    "reshape": lambda x: x.reshape(1, 3, SIDE, SIDE),
    "turned": lambda x: x.swapaxes(0, 1)[None],
    "mirrored": lambda x: x[:, ::-1][None],
}
# What it was to be, what it is given, resizing, scaling, layout, and the steps that are right.
FUNCTIONS = """\
torch pil torchvision imagenet - agrees | torch path torchvision imagenet tuple agrees |
torch bgr torchvision imagenet - agrees | torch frame cv2_256 imagenet - resize |
torch path 256_squashed imagenet - resize | torch path torchvision 0..1 - scaling |
torch path torchvision imagenet_raw - scaling | torch upload torchvision imagenet chw layout |
torch imread cv2_linear imagenet_255 - resize | torch imread_bgr torchvision imagenet - channels |
torch pil torchvision_232 imagenet - resize | torch rgb torchvision own_values - scaling |
torch path torchvision half - scaling | torch path torchvision imagenet reshape layout |
torch pil torchvision imagenet dict agrees | keras path bilinear -1..1 - agrees |
keras upload bilinear -1..1 flat agrees | keras pil keras -1..1 - resize |
keras path bilinear 0..1 - scaling |
keras tf tf -1..1 tensor resize | keras path bilinear 0..255 - scaling |
keras imread_bgr bilinear -1..1 - channels | keras batch bilinear half flat agrees |
keras rgb cv2_area -1..1 - resize | keras path bilinear twice - scaling | keras bytes bilinear uint8 - cast |
keras rgb bilinear inverted - scaling,polarity | keras path tf_pad -1..1 tensor resize |
keras pil 96 -1..1 - resize | keras rgb bilinear -1..1 mirrored layout | tf tf tf 0..1 tensor agrees |
tf tf tf_antialias 0..1 tensor resize | tf bytes tf 0..1 flat agrees | tf path bicubic 0..1 - resize |
tf rgb tf 0..1 turned layout | tf tf tf_central_crop 0..1 tensor resize | tf rgb cv2_linear 0..1 - agrees |
tf path tf -1..1 - scaling | tf pil uncropped 0..1 - resize | tf tf tf_bicubic 0..1 - resize |
caffe path keras caffe - agrees | caffe path keras caffe_rgb - channels |
caffe imread keras imagenet - scaling,channels | caffe rgb keras 0..255 - scaling,channels |
yolo imread letterbox 0..1 tuple agrees | yolo bgr letterbox 0..1 - agrees |
yolo frame letterbox_black 0..1 - resize | yolo imread_bgr letterbox 0..1 - channels |
yolo imread cv2_linear 0..1 - resize | yolo imread letterbox_corner 0..1 - resize |
yolo imread letterbox_area 0..1 tuple resize | yolo pil imageops_pad 0..1 - resize |
cv2 imread cv2_float 0..1 - agrees | cv2 path bicubic 0..1 - resize | cv2 imread cv2_cubic 0..1 flat resize |
cv2 bytes thumbnail_128 0..1 - thumbnail,resize | cv2 rgb cv2_linear grey - channels |
lite path crop lite - agrees | lite path imageops_fit lite dict resize | lite path crop_90 lite - resize |
lite imread off_centre lite - resize | lite pil crop imagenet - scaling
"""


def checked(photos, classifier):
    """Check each function against what it was to be; of those that do it, nothing is to be said."""
    for row in map(str.strip, FUNCTIONS.split("|")):
        expected, given, sized, scaled, laid, steps = (
            each.replace("_", " ") for each in row.split()
        )
        function = GIVEN[given](
            lambda x, a=SIZED[sized], b=SCALED[scaled], c=LAID[laid]: c(b(a(x)))
        )
        found = kit.check(classifier.using(EXPECTED[expected]), photos, function)
        step = "agrees" if found.agrees else found.main_step
        outcome = "right" if step in steps.split(",") else "wrong"
        yield {"of": row, "outcome": outcome, "said": str(found).splitlines()[0]}


def nameless(listed):
    """Forms of which no cause is right."""
    return {kind: (set(), form) for kind, form in listed.items()}


def compared(photos, classifier, listed):
    """Compare the classifier with each of its forms."""
    for kind, (causes, form) in listed.items():
        found = kit.compare(classifier, form, photos, progress=False)
        outcome = "sound" if "no difference found" in repr(found) else "unknown"
        if found.cause:
            right = set(found.cause.split(" and ")) <= causes
            outcome = "right" if right else "wrong"
        what = f"{classifier.name}: {kind}"
        yield {"of": what, "outcome": outcome, "said": repr(found)}


def main():
    """Run all and write the report."""
    given = report.parser(__doc__).parse_args()
    photos = samples.photos("imagenet")[:10]
    lite = samples.classifier("efficientnet_lite0")
    rows = {"functions": list(checked(photos[:4], lite)), "faulty": [], "sound": []}
    for name in ("efficientnet_lite0", "fashion_mnist", "fashion_mnist_500"):
        classifier = samples.classifier(name)
        if classifier is not lite:
            photos = samples.photos("fashion_mnist")[:10]
        faulty = forms.faults(classifier) | nameless(forms.unknown(classifier))
        sound = nameless(forms.sound(classifier))
        rows["faulty"] += compared(photos, classifier, faulty)
        rows["sound"] += compared(photos, classifier, sound)
    for kind, found in rows.items():
        for row in found:
            if row["outcome"] not in {"right", "sound"}:
                print(*row.values(), sep=" | ")
        outcomes = Counter(row["outcome"] for row in found)
        print(f"{kind}, {len(found)}: {dict(outcomes)}")
    report.write(given.json, rows)


if __name__ == "__main__":
    main()
