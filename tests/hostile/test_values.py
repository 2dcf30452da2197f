"""Any values in what is handed over as JSON or as arrays: taken, or refused in one line.

Files of images and models have such tests in their own rooms.
"""

import atexit
import json
import os
import shutil
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from hypothesis import HealthCheck, example, given, settings, strategies as st

import kit
from kit.images.photo import as_photos, encoded
from tests.explorer.page import deliver, listen
from tests.preprocessing.test_configs import CLIP, CONVERTER, TIMM

# No deadline: processors are shared.
SLOW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
QUICK = settings(max_examples=100, derandomize=True, database=None, **SLOW)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=8,
)
OWN = kit.Preprocessing((8, 9), scaling="0..1").to_dict()
OTHERS = [CLIP, TIMM, CONVERTER]
CHANGED = {
    "brightness": 1.2,
    "noise": 5,
    "seed": 1,
    "scaling": "missing_scaling",
    "photo": "p",
}
MESSAGES = [
    {"kind": "hello", "request": "1.1"},
    {"kind": "settings", "settings": CHANGED, "held": None, "side": 420},
    {"kind": "noise", "seed": 1},
    {"kind": "ahead", "settings": CHANGED, "key": "noise", "places": [0, 10, 20]},
    {"kind": "upload", "number": "1", "name": "a.png", "last": True},
    {"kind": "remove", "name": "a.png"},
    {"kind": "judge", "settings": CHANGED, "photos": ["p"]},
    {"kind": "label", "photo": "p", "label": "cat"},
    {"kind": "frame", "settings": CHANGED, "height": 2, "width": 2},
    {"kind": "why", "settings": CHANGED},
    {"kind": "stop"},
]


def with_changes(known, *more):
    """One of these objects, in which some keys have other values, or some of those of its settings."""
    keys = sorted({key for each in known for key in each} | set(more))
    changes = st.dictionaries(st.sampled_from(keys), VALUES, max_size=3)
    return st.builds(
        lambda each, changed: each | changed, st.sampled_from(known), changes
    )


def whole(made):
    """Make a preprocessing; None where it is refused in one line."""
    try:
        steps = made()
    except (TypeError, ValueError) as error:
        assert "\n" not in str(error)  # noqa: PT017
        return None
    assert kit.Preprocessing.from_json(steps.to_json()) == steps
    assert all("\n" not in line for line in steps.describe())
    return steps


@QUICK
@given(content=with_changes([OWN]))
@example(content=OWN | {"scaling": [{"divisor": 10**400, "mean": None, "std": None}]})
def test_a_preprocessing_of_any_values_is_whole_or_refused_in_one_line(content):
    steps = whole(lambda: kit.Preprocessing.from_json(json.dumps(content)))
    if steps is not None and max(steps.size or (0,)) <= 500:
        assert steps.apply(np.zeros((9, 7, 3), np.uint8)).dtype == np.float32


@QUICK
@given(
    content=with_changes(
        OTHERS, "rescale_factor", "rescale_offset", "image_processor_type", "do_pad"
    )
)
def test_a_file_of_another_library_of_any_values_is_read_or_refused_in_one_line(
    content,
):
    whole(lambda: kit.Preprocessing.from_config(content))
    whole(lambda: kit.Preprocessing.from_config({"class_name": "X", "config": content}))


@cache
def explorer():
    photos = kit.samples.photos("fashion_mnist")[:2]
    return listen(kit.Explorer(kit.samples.classifier("fashion_mnist"), photos))


@QUICK
@given(
    VALUES | with_changes(MESSAGES),
    with_changes([CHANGED]),
    st.sampled_from([0, 1, 18]),
)
def test_a_message_of_any_values_is_answered_and_the_explorer_goes_on(
    content, inner, size
):
    live = explorer()
    live.sent.clear()
    if isinstance(content, dict) and "settings" in content:
        content = content | {"settings": inner}
    data = {"method": "custom", "content": json.loads(json.dumps(content))}
    live._handle_msg({"content": {"data": data}, "buffers": [memoryview(bytes(size))]})
    for answer, _ in live.sent:
        json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
        assert answer["kind"] != "error" or "\n" not in answer["text"]
    assert "Traceback" not in live.error
    deliver(live, kind="settings", settings={"photo": live.photos[0].name, "noise": 7})
    assert (live.sent[-1][0]["kind"], live.error) == ("view", "")


DTYPES = [
    "u1",
    "i1",
    ">u2",
    "i8",
    "f2",
    "f4",
    ">f8",
    "c8",
    "?",
    "O",
    "U3",
    "M8[s]",
    "V4",
]


@QUICK
@given(
    shape=st.lists(st.sampled_from([0, 1, 2, 3, 4, 28]), max_size=5),
    dtype=st.sampled_from(DTYPES),
    low=st.sampled_from([-3, 0, 1]),
    step=st.sampled_from([0, 0.5, 1, 1e300, np.nan]),
)
def test_an_array_of_any_type_and_shape_is_a_picture_or_several_or_refused_in_one_line(
    shape, dtype, low, step
):
    with np.errstate(all="ignore"):
        values = low + step * (np.arange(np.prod(shape, dtype=int)) % 256)
        array = (
            np.zeros(shape, dtype)
            if dtype in {"M8[s]", "V4"}
            else values.reshape(shape).astype(dtype)
        )
    try:
        photos = as_photos(array)
    except (TypeError, ValueError) as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert all(
        photo.pixels.ndim == 3 and photo.pixels.dtype == np.uint8 for photo in photos
    )


WATCHED = []


def _heard(event, given):
    if WATCHED and event == "open":
        WATCHED.append(Path(os.path.abspath(str(given[0]))))  # noqa: PTH100 (without following links)


sys.addaudithook(_heard)


@cache
def pinned():
    """A folder with a case of a shirt, and the case as JSON values."""
    outside = Path(mkdtemp(prefix="cases"))
    atexit.register(shutil.rmtree, outside)
    photo = kit.samples.photos("fashion_mnist")[0]
    classifier = kit.samples.classifier("fashion_mnist")
    path = kit.pin(outside / "cases", classifier, photo)
    (outside / "a").write_bytes(encoded(photo.pixels))
    kit.check_cases(path.parent, classifier, progress=False)  # with all imports
    return path, json.loads(path.read_bytes())


STRANGE = [
    "../../a",
    "..\\..\\a",
    "//host/a.png",
    "C:a.png",
    "CON.png",
    "nul",
    "é" * 130,
]
NAMES = st.text(st.sampled_from("a.~/\\: é\0"), max_size=9) | st.sampled_from(STRANGE)
PLACES = ["", "expected", "observed", "perturbation"]


@QUICK
@given(
    place=st.sampled_from(PLACES),
    picture=st.none() | st.builds("pictures/{}".format, NAMES) | NAMES,
    values=st.dictionaries(st.integers(0, 14), VALUES, max_size=2),
    lost=st.integers(1, 40) | st.none(),
)
@example(place="", picture="pictures/../../a", values={}, lost=None)
@example(place="observed", picture=None, values={0: [[0, "\ud800", 1]]}, lost=None)
@example(
    place="", picture=None, values={6: {"classes": ["\ud800"]}, 13: "\ud800"}, lost=None
)
def test_a_damaged_case_is_run_or_refused_in_one_line_and_opens_nothing_elsewhere(
    place, picture, values, lost
):
    path, data = pinned()
    data = json.loads(json.dumps(data))
    part = data[place] if place else data
    keys = list(part)
    part |= {keys[number % len(keys)]: value for number, value in values.items()}
    if picture is not None:
        data["picture"] = picture
    path.write_text(json.dumps(data)[: -lost if lost else None])
    classifier = kit.samples.classifier("fashion_mnist")
    WATCHED.append(path)
    try:
        result = kit.check_cases(path.parent, classifier, update=True, progress=False)
    finally:
        opened = set(WATCHED)
        WATCHED.clear()
    assert {each for each in opened if path.parent not in each.parents} == set()
    assert result.text().count("\n") == 1
    result.text().encode()
    json.dumps(result.to_dict(), ensure_ascii=False, allow_nan=False).encode()
