"""From a cold process to the first softmax.

Each start is a process of its own: Python, imports, EfficientNet-Lite0 from its file, one photograph from its
file, one prediction. ``kit`` uses `kit.Classifier`; ``keras`` uses ``keras.models.load_model`` and
``model.predict`` with the same picture prepared by Keras and numpy. The variants take turns, so that
whatever else the machine does falls on both; a first pair, which does not count, brings the files into the
disk cache.

``first`` and ``keras, first`` open plain networks of three sizes that the kit does not know yet: to the first
bars of the explorer, which Keras computes until the network is compiled.

``seconds``: from the moment before the process is started to the moment the probabilities are there, medians.
"""

import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from tests.benchmarks import report

MODEL = report.ROOT / "data" / "models" / "efficientnet_lite0.keras"
PHOTO = report.ROOT / "data" / "photographs" / "espresso.jpg"

KIT = """
import kit
classifier = kit.Classifier.load(sys.argv[1])
row = classifier.probabilities(sys.argv[2])[0]
"""
KERAS = """
import keras
import numpy as np
model = keras.models.load_model(sys.argv[1])
image = keras.utils.load_img(
    sys.argv[2], target_size=(224, 224), interpolation="bicubic", keep_aspect_ratio=True
)
row = model.predict((np.asarray(image, np.float32)[None] - 127) / 128, verbose=0)[0]
"""
SIZES = ("MobileNetV2", "EfficientNetB0", "ResNet50")
PLAIN = "import keras, sys; getattr(keras.applications, sys.argv[2])(weights=None).save(sys.argv[1])"
FIRST = """
import pathlib, tempfile
import kit
from kit.classifier import loading
folder = pathlib.Path(tempfile.mkdtemp())
loading.cache_folder = lambda: folder
steps = kit.Preprocessing(size=(224, 224), filter="bicubic", scaling="-1..1")
row = kit.Explorer(kit.Classifier.load(sys.argv[1], preprocessing=steps), sys.argv[2]).view.probabilities
"""
REPORT = """
print(time.time())
"""


def start(script, model):
    """Run a script in a new process; return the seconds from before it exists."""
    began = time.time()
    printed = report.python("import sys, time" + script + REPORT, model, PHOTO)
    return float(printed.splitlines()[-1]) - began


def main():
    """Start the variants in turn, print the medians, write the report."""
    options = report.parser(__doc__).parse_args()
    starts = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        variants = {"kit": (KIT, MODEL), "keras": (KERAS, MODEL)}
        for size in SIZES:
            plain = Path(folder, f"{size}.keras")
            report.python(PLAIN, plain, size)
            variants[f"{size}, first"] = FIRST, plain
            variants[f"{size}, keras"] = KERAS, plain
        for _ in range(6):
            for variant, started in variants.items():
                starts[variant].append(start(*started))
    rows = []
    for variant, found in starts.items():
        rows.append({"variant": variant, "seconds": statistics.median(found[1:])})
    report.table(rows)
    report.write(options.json, {"rows": rows})


if __name__ == "__main__":
    main()
