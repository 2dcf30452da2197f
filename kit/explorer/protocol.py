"""What the page and Python say to each other: every message, with its fields.

A test delivers replies to the page, takes what the page sends, and compares both with what stands here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from kit._checking import instance, known
from kit.explorer.settings import Settings

REQUESTS: Mapping[str, Mapping[str, type]] = {
    "hello": {},
    "settings": {"settings": dict, "held": object, "side": object},
    "ahead": {"settings": dict, "key": str, "places": list},
    "noise": {"seed": int},
    "keep": {},
    "where": {},
    "why": {"settings": dict},
    "stop": {},
    "judge": {"settings": dict, "photos": list},
    "label": {"photo": str, "label": str},
    "frame": {"settings": dict, "height": int, "width": int, "buffer": memoryview},
    "snap": {},
    "upload": {"number": str, "name": str, "last": bool, "buffer": memoryview},
    "remove": {"name": str},
    "pin": {"settings": dict},
}
"""Messages of the page by their kind: fields with types. Bytes stand beside a message, as its buffer.

Each has a ``request`` as well, which the reply repeats; a page knows by it what is meant for it.
"""


def request_fields(
    content: Mapping[str, Any], buffers: Sequence[memoryview]
) -> tuple[str, dict[str, Any]]:
    """Return the kind of a message of the page, and the fields of that kind.

    TypeError or ValueError for an unknown kind, or a field that is missing or of another type; one of type
    object is None where it is missing.
    """
    kind = known("kind of a message", content.get("kind"), REQUESTS)
    # Bytes come beside a message, and are checked as one more of its fields.
    received = {**content, "buffer": memoryview(buffers[0]) if buffers else None}
    # A field of type object may be missing: then it is None, which every other type refuses.
    fields = {
        name: instance(
            f"{name} of a message {kind!r}",
            received.get(name),
            expected_type,
            expected_type.__name__,
        )
        for name, expected_type in REQUESTS[kind].items()
    }
    return kind, fields


# -- what the page is sent


class Reply(TypedDict):
    """What every message to the page begins with; `request` is empty where the page has not asked."""

    kind: str
    request: str


class Size(TypedDict):
    """Pixels of an image."""

    height: int
    width: int


class Bar(TypedDict):
    """One row of the softmax table: lengths, 0 to 1, and texts. The index of all other classes is -1."""

    index: int
    name: str
    value: float
    text: str
    ghost: float
    ghostText: str
    calibrated: float
    calibratedText: str
    top: bool
    expected: bool


class Answer(TypedDict):
    """The prediction; `state` is right, wrong or empty, `label` the class that the photo shows."""

    name: str
    share: str
    mark: str
    state: str
    note: str
    label: str


class Chip(TypedDict):
    """What a chip of the path says of its step."""

    value: str
    changed: bool
    hidden: bool


class Heat(Size):
    """The heat map of a class, whose places are bytes beside the message; `waits` while it is not whole."""

    waits: bool
    name: str
    about: str


class Shown(TypedDict):
    """Texts and bars of a view; beside it are pixels of the model input, then places of the heat map."""

    settings: Settings
    bars: list[Bar]
    answer: Answer
    verdict: str
    path: dict[str, Chip]
    code: str
    about: str
    input: Size
    where: Heat | None


class PreviewSource(Size):
    """The photo beside the message: pixels where `live`, for the page to perturb, else an image file."""

    live: bool


class ViewReply(Reply, Shown):
    """The settings have been taken on."""

    source: PreviewSource


class AheadReply(Reply):
    """Views of settings that nobody has chosen yet."""

    views: list[Shown]


class NoiseReply(Reply):
    """The state of numpy's generator for a seed, from which the page draws the noise field."""

    seed: int
    state: dict[str, str]


class WhereReply(Reply):
    """One more row of a heat map."""

    settings: Settings
    where: Heat | None


class JudgedReply(Reply):
    """Which photos are predicted correctly, by name."""

    settings: Settings
    marks: dict[str, str]


class TextReply(Reply):
    """A line: what was refused (error), a case (pinned), how far *Why?* has come (asking), none (fresh)."""

    text: str


class Fixed(TypedDict):
    """Predictions before and after a fix, what it did, and what the image after it shows."""

    before: str
    after: str
    mark: str
    title: str


class Reason(TypedDict):
    """The answer to *Why?* in a sentence, and what to do: settings to apply at a button, or advice.

    `pictures` are heights and widths of two images before and after it, whose bytes are beside the message;
    `guilty` are the chips that are to blame.
    """

    headline: str
    advice: str
    button: str
    apply: Settings | None
    fixed: Fixed | None
    guilty: list[str]
    pictures: list[tuple[int, int]]


class Changes(Reason):
    """What the changes did to the prediction; the lines say what each of several did."""

    lines: list[str]
    settings: Settings


class ExplainedContent(Reason):
    """The diagnosis, with the fix as code and all of its numbers."""

    code: str
    details: str


class BecauseReply(Reply):
    """The answer to *Why?*: what the changes did, at once, and later again with why it has ended."""

    changes: Changes
    stopped: NotRequired[str]


class ExplainedReply(BecauseReply, ExplainedContent):
    """The last answer to *Why?*."""


# -- what the page is told once, in the trait `_panel`


class PhotoRow(TypedDict):
    """A photo of the strip, with a JPEG of it."""

    name: str
    added: bool
    labelled: bool
    thumbnail: bytes


class Slider(TypedDict):
    """A slider or a switch of a perturbation."""

    key: str
    label: str
    hint: str
    unit: str
    low: float
    high: float
    step: float
    neutral: float | None
    kind: str
    snaps: bool
    group: str
    section: str


class Step(TypedDict):
    """A chip of the path; one whose step can be changed has options, each with its value and text."""

    key: str
    label: str
    options: NotRequired[list[list[str]]]


class Camera(TypedDict):
    """The photo that a camera gives, its longest side in pixels, and milliseconds between two frames."""

    name: str
    side: int
    pause: int


class Ahead(TypedDict):
    """Sliders along which the page looks ahead, to so many places, and bytes that it keeps of them."""

    keys: Sequence[str]
    places: int
    bytes: int


class Panel(TypedDict):
    """Everything about an explorer that no setting changes."""

    title: str
    photos: list[PhotoRow]
    classes: Sequence[str]
    camera: Camera
    sliders: list[Slider]
    path: list[Step]
    usual: str
    neutral: Settings
    notes: list[str]
    caption: str
    tempered: bool
    uploadBytes: int
    ahead: Ahead
    flips: bool
    tries: list[tuple[str, Settings]]
    alone: NotRequired[bool]
    table: NotRequired[bool]
    map: NotRequired[Any]
