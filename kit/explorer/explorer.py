"""The live explorer: one widget, one value of settings, one message at a time.

The page sends its newest settings once the reply to the last has come, so a drag cannot build a backlog.
Each reply carries the softmax rows as JSON and the pixels as raw bytes, because a compressed preview would
alter the very pixels that a person is looking at.
"""

import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets

from kit._arrays import Float32, Pixels
from kit._checking import integers, known
from kit.classifier import Classifier, check_first
from kit.classifier.labels import Labels, class_indices
from kit.explorer import view as views
from kit.images import Photo, Pictures, as_photos, load_image
from kit.perturbation import PARAMETERS, Perturbation, noise_field
from kit.preprocessing import Preprocessing

if TYPE_CHECKING:
    from kit.diagnosis import Diagnosis
    from kit.robustness.reference.novelty import Novelty

REPLY_BYTES = 65_536
"""Smallest reply. Jupyter's kernel websocket keeps Nagle's algorithm on, so a smaller one waits up to 40 ms
for a delayed acknowledgement while a slider is dragged; from 64 KiB on it leaves at once."""
LIVE_PIXELS = 1_048_576
"""Largest photograph, in pixels, that the page perturbs by itself; the kernel shows larger ones reduced."""
UPLOAD_BYTES = 64_000_000
"""Largest picture file that the page accepts."""
CAMERA = "Camera (live)"
"""Name of the picture that a camera of the page gives; its frames take each other's place."""
CAMERA_SIDE = 512
"""Longest side of a camera's frame, in pixels: the page shrinks it before it sends it."""
CAMERA_MS = 50
"""Least time between two frames, so that a camera leaves room for other work."""
AHEAD_SECONDS = 0.008
"""Time for one reply to what the page asks for ahead: a hand that moves meanwhile waits no longer."""
AHEAD_BYTES = 50_000_000
"""Upper bound of the pixels that a page keeps of answers ahead."""


class Explorer(anywidget.AnyWidget):
    """Slide perturbations, switch preprocessing steps, and watch the softmax bars.

    Parameters
    ----------
    classifier
        The model with its preprocessing and class names.
    photos
        A folder, a glob pattern, an array, one picture or several: see `kit.images.sources`.
    labels
        For each photograph the class that it shows, by name or index, or None where that is not known.
    ahead
        While no hand moves, the page asks for the answers at up to this many places of the slider under the
        pointer and keeps them, so that moving there shows them in the next frame. 0 turns that off, which
        spares a shared machine.

    Attributes
    ----------
    settings : dict
        The state of all controls; assign a dictionary to move them (missing keys are neutral), observe it to
        follow them.
    probabilities : float32 array, shape (classes,), read-only
        Softmax probabilities for the present settings, summing to 1.
    diagnosis : Diagnosis or None
        What the last "Why?" found.
    error : str
        The last thing that went wrong, in one line, also shown in the widget; empty when all is well.

    Raises
    ------
    TypeError
        For an unknown keyword, or a file's name in place of the classifier.
    ValueError
        For no photographs, another number of labels, or one that is no class.
    """

    _esm = Path(__file__).with_suffix(".js")
    _css = Path(__file__).with_suffix(".css")
    _panel = traitlets.Dict().tag(sync=True)
    settings = traitlets.Dict()
    error = traitlets.Unicode("")

    def __init__(
        self,
        classifier: Classifier,
        photos: Pictures,
        labels: Labels | int | str | None = None,
        *,
        ahead: int = 320,
    ) -> None:
        check_first(classifier, "kit.Explorer(classifier, photos, labels)")
        opened = as_photos(photos, allow_empty=False)
        expected = class_indices(labels, classifier.class_names, len(opened))
        self._lock = threading.RLock()
        (self._ahead,) = integers("ahead", (ahead,), ("places",), 0, 10_000)
        self.classifier = classifier
        self._trained = classifier.preprocessing or _assumed(classifier)
        self._novelty: Novelty | None = None
        if classifier.reference.novelty is not None:
            from kit.robustness.reference.fitting import novelty_of  # noqa: PLC0415 (other classifiers are shown sooner without it)

            self._novelty = novelty_of(classifier)
        self._photos: dict[str, tuple[Photo, int | None]] = {}
        self._references: dict[str, views.View] = {}
        self._pieces: dict[str, list[bytes]] = {}
        self._request = ""
        self.diagnosis: Diagnosis | None = None
        self._sent_source: object = None
        for photo, label in zip(opened, expected, strict=True):
            self._add(photo, label)
        first = next(iter(self._photos))
        self._view = self._compute(views.neutral(first))
        super().__init__(settings=views.neutral(first))
        self._refresh_panel()
        self.on_msg(self._on_message)

    def __repr__(self) -> str:
        top = self.classifier.class_names[self._view.top]
        changes = {key: value for key, value in self.settings.items() if value != views.neutral("")[key]}
        state = ", ".join(f"{key}={value!r}" for key, value in changes.items())
        share = self._view.probabilities[self._view.top]
        return f"Explorer({self.classifier.name!r}, {state}: {top!r} {share:.2f})"

    @property
    def photos(self) -> tuple[Photo, ...]:
        """The photographs on offer, uploaded ones included."""
        return tuple(photo for photo, _ in self._photos.values())

    @property
    def photo(self) -> Photo:
        """The photograph as perturbed by the present settings."""
        return self._current().photo

    @property
    def perturbation(self) -> Perturbation:
        """The perturbation of the present settings."""
        return views.perturbation_of(self.settings)

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing of the present settings, its chosen faults included."""
        return views.preprocessing_of(self.settings, self._trained)

    @property
    def tensor(self) -> Float32:
        """What the network is fed: float32, (1, H, W, C)."""
        return self._current().tensor

    @property
    def probabilities(self) -> Float32:
        """Softmax probabilities for the present settings: float32, (classes,), read-only."""
        probabilities = self._current().probabilities.view()
        probabilities.flags.writeable = False
        return probabilities

    def add(self, source: Any, name: str | None = None, label: int | str | None = None) -> None:
        """Open one more picture (whatever :func:`kit.load_image` takes) and show it."""
        (expected,) = class_indices([label], self.classifier.class_names, 1)
        with self._lock:
            added = self._add(load_image(source, name=name), expected)
            self._refresh_panel()
            self.settings = self.settings | {"photo": added}

    def open(self) -> None:
        """Announce the widget to the page; ipywidgets calls this."""
        super().open()
        self._answer_on_any_shell()

    def _send(self, msg: dict[str, Any], buffers: Any = None) -> None:
        super()._send(msg, buffers)
        self._answer_on_any_shell()

    def _answer_on_any_shell(self) -> None:
        # ipykernel 7.4 hands the page's next message to the shell that sent last. After a cell has shown or
        # moved the explorer that is the main one, and the page would wait for every cell still to run.
        getattr(self.comm, "__dict__", {}).pop("_reply_subshell_id", None)

    def _current(self) -> views.View:
        with self._lock:
            if self.error and self._view.settings != self.settings:
                raise ValueError(self.error)
            return self._view

    def _add(self, photo: Photo, label: int | None) -> str:
        name, count = photo.name, 1
        while name in self._photos:
            count += 1
            name = f"{photo.name} ({count})"
        self._photos[name] = (photo, label)
        return name

    def _refresh_panel(self) -> None:
        notes = list(self.classifier.notes)
        if self.classifier.preprocessing is None:
            notes.append(f"assumed here: {'; '.join(self._trained.describe())}")
        self._panel = {
            "title": self.classifier.name,
            "photos": [name for name in self._photos if name != CAMERA],
            "camera": {"name": CAMERA, "side": CAMERA_SIDE, "pause": CAMERA_MS},
            "controls": views.controls(self._trained, views.usual(self.classifier)),
            "neutral": views.neutral(next(iter(self._photos))),
            "notes": notes,
            "caption": views.caption(self.classifier),
            "tempered": self.classifier.temperature != 1,
            "uploadBytes": UPLOAD_BYTES,
            "ahead": {"keys": views.MAIN, "places": self._ahead, "bytes": AHEAD_BYTES},
        }

    def _compute(self, settings: views.Settings) -> views.View:
        name = settings["photo"]
        photo, label = self._photos[name]
        path = (self.classifier, photo, self._trained)
        if name not in self._references:
            self._references[name] = views.compute(*path, views.neutral(name), None, label, self._novelty)
        reference = self._references[name]
        if settings == reference.settings:
            return reference
        return views.compute(*path, settings, reference, label, self._novelty)

    @traitlets.validate("settings")
    def _validate_settings(self, proposal: dict[str, Any]) -> views.Settings:
        current = self.settings.get("photo", next(iter(self._photos)))
        return views.checked(proposal["value"], list(self._photos), current)

    @traitlets.observe("settings")
    def _on_settings(self, _change: object) -> None:
        with self._lock:
            self._update()

    def _update(self) -> None:
        started = perf_counter()
        try:
            self._view = self._compute(self.settings)
            self.error = ""
        except Exception as error:  # noqa: BLE001 - Jupyter would swallow it; the page and `error` show it
            self._fail(error)
            return
        self._send_view(self._view, started)

    def _fail(self, error: Exception) -> None:
        self.error = " ".join(str(error).split()) or type(error).__name__
        self.traceback = "".join(traceback.format_exception(error))
        self.send({"kind": "error", "request": self._request, "text": self.error})

    def _send_view(self, view: views.View, started: float) -> None:
        message, model_input = self._shown(view)
        pixels, source = self._preview(view)
        buffers = [model_input.ljust(REPLY_BYTES, b"\0")]
        if pixels is not None:
            buffers.append(pixels.tobytes())
        spent = round(1000 * (perf_counter() - started), 1)
        message |= {"kind": "view", "request": self._request, "source": source, "kernelMs": spent}
        self.send(message, buffers)

    def _shown(self, view: views.View) -> tuple[dict[str, Any], bytes]:
        """Return texts and bars of a view as the page shows them, and the pixels that the network sees."""
        names = self.classifier.class_names
        model_input = views.seen(view)
        message = {
            "settings": view.settings,
            "bars": views.bars(view, names),
            "verdict": views.verdict(view, names),
            "tensor": views.tensor_table(view),
            "about": ", ".join((f"{view.source.size[1]} × {view.source.size[0]} pixels", *view.source.notes)),
            "input": {"height": model_input.shape[0], "width": model_input.shape[1]},
        }
        return message, model_input.tobytes()

    def _send_ahead(self, settings: views.Settings, key: str, places: Sequence[float]) -> None:
        """Answer for settings that nobody has chosen yet, as many as the time allows; one at least."""
        known("slider", key, views.MAIN)
        end = perf_counter() + AHEAD_SECONDS
        shown = []
        for place in places:
            wanted = views.checked({**settings, key: place}, list(self._photos), settings["photo"])
            shown.append(self._shown(self._compute(wanted)))
            if perf_counter() > end:
                break
        pixels = b"".join(part for _, part in shown).ljust(REPLY_BYTES, b"\0")
        self.send({"kind": "ahead", "request": self._request, "views": [each for each, _ in shown]}, [pixels])

    def _preview(self, view: views.View) -> tuple[Pixels | None, dict[str, Any]]:
        """Pixels of the photograph for the page, None where it has them, and what they are."""
        height, width = view.source.size
        folded = PARAMETERS.keys() - views.MAIN
        bent = any(view.settings[name] != PARAMETERS[name].neutral for name in folded)
        live = height * width <= LIVE_PIXELS and not bent
        pixels = view.source.pixels if live else _reduced(view.photo.pixels)
        about = {"live": live, "height": pixels.shape[0], "width": pixels.shape[1]}
        key = (view.settings["photo"], view.source.decoding) if live else None
        if live and key == self._sent_source:
            return None, about
        self._sent_source = key
        return pixels, about

    def _on_message(self, _widget: object, content: dict[str, Any], buffers: list[memoryview]) -> None:
        with self._lock:
            self._request = str(content.get("request", ""))
            try:
                self._answer(content, buffers)
            except Exception as error:  # noqa: BLE001 - as in _update
                self._fail(error)
            finally:
                self._request = ""

    def _answer(self, content: dict[str, Any], buffers: list[memoryview]) -> None:
        kinds = ("settings", "hello", "noise", "frame", "ahead", "upload", "why")
        kind = known("kind of a message", content.get("kind"), kinds)
        if kind == "settings":
            self._note_held(content.get("held"))
            self._move(content["settings"])
        elif kind == "hello":
            self._sent_source = None
            self._update()
        elif kind == "noise":
            count = min(int(content["count"]), 3 * LIVE_PIXELS)
            field = noise_field(int(content["seed"]), count)
            self.send({"kind": "noise", "seed": content["seed"], "count": count}, [field.tobytes()])
        elif kind == "frame":
            self._look(content, buffers[0])
        elif kind == "ahead":
            self._send_ahead(content["settings"], content["key"], content["places"])
        elif kind == "upload":
            self._receive(content, buffers)
        else:
            self._explain()

    def _move(self, settings: views.Settings) -> None:
        """Take on settings, and answer even where they are those before."""
        before = self.settings
        self.settings = settings
        if self.settings == before:
            self._update()

    def _note_held(self, photo: object) -> None:
        """Send a photograph again that the page did not keep, since a newer answer had overtaken it."""
        sent = self._sent_source
        if photo is not None and isinstance(sent, tuple) and sent[0] != photo:
            self._sent_source = None

    def _explain(self) -> None:
        from kit.explorer import why  # noqa: PLC0415 (the bars come sooner without it)

        view = self._current()
        self.diagnosis = why.ask(
            self.classifier, view, lambda text: self.send({"kind": "asking", "text": text})
        )
        self.send({"kind": "because", **why.answer(self.diagnosis, view)})

    def _look(self, content: dict[str, Any], pixels: memoryview) -> None:
        """Take a frame of the page's camera, uint8 RGB, for the photograph that is shown."""
        sides = integers("frame", (content["height"], content["width"]), ("height", "width"), 1, CAMERA_SIDE)
        if len(pixels) != 3 * sides[0] * sides[1]:
            raise ValueError(f"Expected {3 * sides[0] * sides[1]} bytes of a frame, received {len(pixels)}")
        frame = np.frombuffer(pixels, np.uint8).reshape(*sides, 3)
        self._photos[CAMERA] = (Photo.from_array(frame, CAMERA), None)
        self._references.pop(CAMERA, None)
        self._sent_source = (CAMERA, self._trained.decoding)  # the page has its own frames
        self._move({**content["settings"], "photo": CAMERA})

    def _receive(self, content: dict[str, Any], buffers: list[memoryview]) -> None:
        """Collect a picture that comes in pieces, since a websocket refuses messages over 10 MiB."""
        name = str(content["name"])
        pieces = self._pieces.setdefault(name, [])
        pieces.append(bytes(buffers[0]))
        if sum(map(len, pieces)) > UPLOAD_BYTES:
            del self._pieces[name]
            most = UPLOAD_BYTES // 1_000_000
            raise ValueError(f"Expected a picture of at most {most} MB, received more: {name}")
        if content["last"]:
            self.add(b"".join(self._pieces.pop(name)), name=name)


def _assumed(classifier: Classifier) -> Preprocessing:
    from kit.diagnosis.assumed import assumed_preprocessing  # noqa: PLC0415 (only an unknown preprocessing needs it)

    return assumed_preprocessing(classifier)


def _reduced(pixels: Pixels) -> Pixels:
    """Every n-th pixel, so that at most LIVE_PIXELS are left: for looking at, never for predicting."""
    step = 1
    while (pixels.shape[0] // step) * (pixels.shape[1] // step) > LIVE_PIXELS:
        step += 1
    return np.ascontiguousarray(pixels[::step, ::step])
