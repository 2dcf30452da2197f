"""The live explorer: one widget, one value of settings, one message at a time.

The page sends its newest settings once the reply to the last has come, so a drag cannot build a backlog.
"""

import sys
import threading
from collections.abc import Iterable, Mapping
from concurrent import futures
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import Any
from weakref import ref

import anywidget
import traitlets
from IPython.display import display, update_display

from kit._arrays import AnyPath, Float32
from kit._checking import instance, printable
from kit._reporting import Progress
from kit.classifier.classifier import Classifier, check_first
from kit.classifier.labels import Labels, class_index, label_indices
from kit.classifier.predictions import Predictions
from kit.diagnosis import Diagnosis
from kit.explorer import export, page, why
from kit.explorer.bench import (
    Bench,
    View,
    computed_in_time,
    cores_are_busy,
    places_ahead,
)
from kit.explorer.export import Contents
from kit.explorer.panel import panel
from kit.explorer.protocol import BecauseReply, ExplainedReply, request_fields
from kit.explorer.replies import Replies, notebook_note
from kit.explorer.settings import Settings, effective_changes, neutral
from kit.explorer.shelf import CAMERA, Shelf, Uploads
from kit.explorer.texts import prediction_text
from kit.images.photo import Photo, Pictures, at_least_one, each_picture, load_image
from kit.preprocessing import Preprocessing
from kit.robustness.heatmap import occlusion_rows


class Explorer(anywidget.AnyWidget):
    """Drag perturbation sliders, change preprocessing steps, and watch the softmax bars update live.

    Parameters
    ----------
    classifier
        The model with its preprocessing and class names.
    photos
        A folder, a glob pattern, an array, one image or several: see `kit.images.photo`.
    labels
        For each photo the class that it shows, by name or index, or None where that is not known; *Label it*
        in the widget changes it.
    ahead
        When idle, predictions are prefetched at up to this many places of the slider you are pointing at.
        0 turns it off; None takes the environment variable ``KIT_EXPLORER_AHEAD``, or 320.
    cases
        Folder that *Pin* writes cases to, for `kit.check_cases`.
    flips
        Whether the page offers to find where a slider changes the prediction.
    tries
        Settings for a button each, by the name on it. The photo of the first one is shown, untouched.

    Attributes
    ----------
    settings : dict
        The state of all controls. Assign a dictionary to change them (missing keys are neutral); observe it
        to follow them. ``where`` is the class whose heat map is shown, by name or index: -1 is the predicted
        one, None shows none.
    probabilities : float32 array, shape (classes,), read-only
        Softmax probabilities for the current settings, summing to 1.
    diagnosis : Diagnosis or None
        What the last "Why?" found.
    error : str
        The last error in one line, also shown in the widget; empty if there is none.

    Raises
    ------
    TypeError, ValueError
        An unknown keyword, a file's name in place of the classifier, no photos, another number of labels, one
        that is no class, or settings that do not exist.
    """

    _esm = page.joined()
    _css = page.page_file("explorer.css")
    _panel = traitlets.Dict().tag(sync=True)
    _kept = traitlets.List(traitlets.Unicode()).tag(sync=True)
    # An Any would take None without asking `_validate`.
    settings: "traitlets.TraitType[Settings, Settings]" = traitlets.TraitType({})
    error = traitlets.Unicode("")
    _note_id = ""  # of the display of the note, once the explorer is shown
    _awaits_first_page = False  # since a cell has shown it

    def __init__(
        self,
        classifier: Classifier,
        photos: Pictures,
        labels: Labels | int | str | None = None,
        *,
        ahead: int | None = None,
        cases: AnyPath = "cases",
        flips: bool = True,
        tries: Mapping[str, Settings] | None = None,
    ) -> None:
        check_first(classifier)
        pictures = at_least_one(each_picture(photos))
        class_of_photo = label_indices(labels, classifier.class_names, pictures)
        self._lock = threading.RLock()
        # So many places of a slider are predicted before a hand comes there; None takes the environment's
        # number. A flip is where on a slider the prediction changes.
        self._places_ahead = places_ahead(ahead)
        self._offers_flips = bool(flips)
        self._case_folder = Path(cases)
        self._bench = Bench.of(classifier)
        self._shelf = Shelf()
        self._uploads = Uploads()
        self._replies = Replies(self)
        self._diagnosis_thread = futures.ThreadPoolExecutor(1, "explorer-why")
        self._newest_because_reply: BecauseReply | None = None
        self.diagnosis: Diagnosis | None = None
        self._state_of_diagnosis: Settings = {}
        for picture, label in zip(pictures, class_of_photo.tolist(), strict=True):
            self._shelf.add(picture.open(), None if label < 0 else label)
        # Each is a button of the page.
        tries = instance(
            "tries", tries or {}, Mapping, "a dictionary of settings by name"
        )
        self._tries = {name: self._checked(state) for name, state in tries.items()}
        names = [settings["photo"] for settings in self._tries.values()]
        # The first photo of the tries; without tries the first of all.
        self._view = self._view_of(neutral([*names, *self._shelf][0]))
        super().__init__(settings=self._view.settings)
        compilation = classifier.network.late
        # Asked first, or a panel made just before the compilation ends would keep its older notes.
        was_compiled = compilation.done()
        self._refresh_panel()
        if not was_compiled:
            compilation.add_done_callback(self._on_compiled)
        self.on_msg(self._on_message)

    def __repr__(self) -> str:
        settings = {"photo": self.settings["photo"], **effective_changes(self.settings)}
        state = ", ".join(f"{key}={value!r}" for key, value in settings.items())
        return f"Explorer({self.classifier.name!r}, {state}: {prediction_text(self._view)})"

    @property
    def classifier(self) -> Classifier:
        """The classifier that predicts."""
        return self._bench.classifier

    @property
    def view(self) -> View:
        """Everything that the current settings come to."""
        with self._lock:
            # The last settings failed, so what is shown belongs to those before.
            if self.error and self._view.settings != self.settings:
                raise ValueError(self.error)
            return self._view

    @property
    def photos(self) -> tuple[Photo, ...]:
        """All photos by their names on the page, added ones included; not what a camera shows now."""
        return tuple(entry.photo for entry in self._shelf.entries_but_camera())

    @property
    def labels(self) -> tuple[str | None, ...]:
        """For each of `photos` the class that it shows; None where nobody has said."""
        names = self.classifier.class_names
        return tuple(
            None if entry.label is None else names[entry.label]
            for entry in self._shelf.entries_but_camera()
        )

    @property
    def photo(self) -> Photo:
        """The photo as perturbed by the current settings."""
        return self.view.photo

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing of the current settings, its chosen faults included."""
        return self._bench.preprocessing(self.settings)

    @property
    def tensor(self) -> Float32:
        """What the network is fed: float32, (1, H, W, C)."""
        return self.view.tensor

    @property
    def probabilities(self) -> Float32:
        """Softmax probabilities for the current settings: float32, (classes,), read-only."""
        # Of one photo: (1, classes) becomes (classes,).
        return self.prediction.probabilities.ravel()

    @property
    def prediction(self) -> Predictions:
        """The prediction for the current settings, with its label: `Predictions` of one image."""
        return self.view.prediction

    def add(
        self, source: Any, name: str | None = None, label: int | str | None = None
    ) -> None:
        """Open one more image (whatever :func:`kit.load_image` takes) and show it."""
        index = class_index(label, self.classifier.class_names)
        # Outside the lock, since decoding a large file takes long.
        photo = load_image(source, name=name)
        with self._lock:
            # Unlike the photos that an explorer begins with, one that was added can be removed again.
            unique_name = self._shelf.add(photo, index, added=True)
            self._refresh_panel()
            self._show(unique_name)

    def remove(self, name: str) -> None:
        """Remove an image that was added; the first one is shown instead."""
        with self._lock:
            self._shelf.remove(name)
            if self._state_of_diagnosis.get("photo") == name:
                self.diagnosis = None
            self._refresh_panel()
            if self.settings["photo"] == name:
                # One is always left, since the photos that an explorer begins with cannot be removed.
                self._show(next(iter(self._shelf)))

    def export(
        self,
        path: AnyPath,
        photos: str | Iterable[str] | None = None,  # names; None for all
        *,
        title: str = "",
        text: str = "",
        exact: bool = False,  # else weights are rounded
        progress: Progress = True,
    ) -> Path:
        """Write a page that works without Python, a server or a network, and return its path.

        The page has the model itself, and predicts any photo, where that has at most 40 MB and runs in
        LiteRT, however a processor rounds. Else it has a table of predictions: for brightness with noise, and
        every choice of a chip alone. Tries with other perturbations are left out. What was written, and why,
        is reported. ValueError for a photo that is not there, a table without photos, or a name without
        .html; OSError where the system refuses to write the file.

        Parameters
        ----------
        path
            File to write, such as ``page.html``. It is written whole or not at all.
        photos
            Names of the photos, or one, by default all; with none, a page with the model waits for one.
        title, text
            What the page is called, by default as the model, and a text above the explorer.
        exact
            Whether weights keep all bits; else they are rounded, unless a probability changes by over 0.001.
        progress
            True for a bar after two seconds and a line at the end; or a function that gets each step as text.
        """
        # With the model itself; where a page cannot run it, with a table of its predictions.
        return export.write(
            self._contents(names=photos),
            Path(path),
            progress,
            exact_weights=exact,
            title=title,
            text=text,
        )

    def keep(self, *, progress: Progress = True) -> None:
        """Let a saved notebook move without a kernel: keep the predictions for the photo that is shown.

        Save the notebook with the state of its widgets after this. `progress` is as in `export`. ValueError
        where it takes more than 300 kB.
        """
        # Part of the widget's state, which a notebook saves if it is told to.
        self._kept = export.notebook_parts(
            self._contents([self.settings["photo"]]), progress
        )

    def _contents(self, names: str | Iterable[str] | None) -> Contents:
        with self._lock:
            contents = Contents(
                self._bench,
                self._shelf,
                self._tries,
                self.settings,
                offers_flips=self._offers_flips,
            )
            return contents.for_page(names)

    def _show(self, name: str) -> None:
        # A heat map stays on, of the class that is predicted for the new photo.
        where = None if self.settings["where"] is None else -1
        self.settings = self.settings | {"photo": name, "where": where}

    def _ipython_display_(self, **_options: Any) -> None:
        # By this IPython shows the repr instead: in a terminal there is neither widget nor page.
        if sys.stdout.isatty():
            raise NotImplementedError
        data, metadata = self._repr_mimebundle_() or ({}, {})
        # Without the settings that a repr has: a saved notebook would show these when they have changed.
        data["text/plain"] = "kit.Explorer"
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        # For where no widget is shown: GitHub, nbviewer, a page without a network. `_take_keep` renews it.
        self._note_id = f"kit-{self.model_id}"
        self._awaits_first_page = True
        display(notebook_note(self._view), raw=True, display_id=self._note_id)  # type: ignore[no-untyped-call]

    def _send(self, msg: dict[str, Any], buffers: Any = None) -> None:
        super()._send(msg, buffers)
        # ipykernel 7.4 hands the page's next message to the shell that sent last. After a cell has shown or
        # moved the explorer that is the main shell, and the page would wait for every cell still to run.
        getattr(self.comm, "__dict__", {}).pop("_reply_subshell_id", None)

    def _refresh_panel(self) -> None:
        # A new dictionary each time, since assigning it is what sends it to the page.
        self._panel = {
            **panel(
                self._bench,
                self._shelf,
                self._tries,
                places_ahead=self._places_ahead,
                offers_flips=self._offers_flips,
            )
        }

    def _on_compiled(self, compilation: futures.Future[Any]) -> None:
        # The thread that compiles calls this.
        with self._lock:
            if error := compilation.exception():
                self._report_error(error)
            else:
                # Its notes say what runs the network, which is known only now.
                self._refresh_panel()

    def _view_of(self, settings: Settings) -> View:
        return self._bench.view_beside_untouched(
            self._shelf[settings["photo"]], settings
        )

    @traitlets.validate("settings")
    def _validate(self, proposal: dict[str, Any]) -> Settings:
        try:
            return self._checked(proposal["value"])
        except (TypeError, ValueError) as error:
            line = f"{type(error).__name__}: {error}"
            error._render_traceback_ = lambda: [line]  # type: ignore[union-attr]  # not traitlets' frames
            raise

    def _checked(self, settings: Settings) -> Settings:
        # While the explorer is made, it has no settings yet.
        current = self.settings.get("photo", next(iter(self._shelf)))
        return self._bench.complete(settings, self._shelf, current)

    @traitlets.observe("settings")
    def _update(self, _change: object = None) -> None:
        with self._lock:
            try:
                self._view = self._view_of(dict(self.settings))
                self.error = ""
                self._replies.send_view(self._view)
            except Exception as error:  # noqa: BLE001 - Jupyter would swallow it; page and `error` show it
                self._report_error(error)

    def _report_error(self, error: BaseException, request: str = "") -> None:
        # An empty `request` is the one that is being answered, if any. `shorten` makes it one line.
        self.error = shorten(str(error), 1000, placeholder=" …") or type(error).__name__
        self._replies.send_text("error", self.error, request)

    def _on_message(
        self, _widget: object, content: Any, buffers: list[memoryview]
    ) -> None:
        with self._lock:
            try:
                instance("a message", content, dict, "an object")
                # The number of the request, which each reply repeats, so that the page knows what it is for.
                self._replies.request = printable(str(content.get("request", "")))[:100]
                kind, fields = request_fields(content, buffers)
                getattr(self, f"_take_{kind}")(**fields)
            except Exception as error:  # noqa: BLE001 - Jupyter would swallow it; the page shows it
                self._report_error(error)
            finally:
                self._replies.request = ""

    # -- what the page asks for, by the kind of its message: see REQUESTS of kit.explorer.protocol

    def _take_settings(self, settings: Settings, held: object, side: object) -> None:
        """Take on settings, and answer even where they are those before."""
        # The longest side of the photo on the screen, in its pixels; 0 while the page is not laid out.
        if isinstance(side, int) and side > 0:
            self._replies.preview_side = side
        sent_photo = self._replies.sent_photo
        # `held` is the name of the photo whose pixels the page has; None where they may be on their way.
        if sent_photo and held not in (None, sent_photo[0]):
            # A newer answer overtook the one with the pixels, so they have to be sent again.
            self._replies.sent_photo = None
        settings_before = self.settings
        self.settings = settings
        # Settings that stay as they are call no observer, so `_update` is called here.
        if self.settings == settings_before:
            self._update()

    def _take_hello(self) -> None:
        # A page that opens holds no photo.
        self._replies.sent_photo = None
        if self.error:
            self._update()  # what is shown may belong to the settings before
        else:
            # Not computed anew: a page greets until it is answered, several times where a view takes long.
            self._replies.send_view(self._view)
        if self._awaits_first_page:
            self._awaits_first_page = False
            # Told so, the first page after its cell was run scrolls itself into view.
            self._replies.send_text("fresh", "")

    def _take_keep(self) -> None:
        """Renew what a saved notebook shows."""
        if self._note_id:
            update_display(
                notebook_note(self._view), raw=True, display_id=self._note_id
            )  # type: ignore[no-untyped-call]

    def _take_where(self) -> None:
        """Cover one more row of places of the image that is shown, until its heat map is whole."""
        view = self._view
        # A cell may have left the map out while the page asked for its next row.
        if view.settings["where"] is None:
            return
        # A view without any row is a new one, so its map begins.
        if view.occlusion_so_far is None:
            self._growing_heat_maps = occlusion_rows(
                self.classifier, view.tensor, view.heat_class
            )
        # The same map each time, with one more row filled; None once all are.
        map_so_far = next(self._growing_heat_maps, None)
        if map_so_far is not None:
            self._view = replace(view, occlusion_so_far=map_so_far)
        self._replies.send_heat_map(self._view, rows_to_come=map_so_far is not None)

    def _take_label(self, photo: str, label: str) -> None:
        """Note what a photo shows; an empty label takes it back."""
        entry = self._shelf[photo]
        # An empty text takes the label back.
        entry.label = class_index(label or None, self.classifier.class_names)
        entry.untouched_view = None  # it was made with the old label
        self._refresh_panel()
        self._update()

    def _take_judge(self, settings: Settings, photos: list[Any]) -> None:
        """Say of as many labelled photos as the time allows whether their prediction is correct."""
        states = [
            self._checked({**settings, "photo": labelled_name})
            for labelled_name in photos
        ]
        # A generator: what the time does not allow is not computed, and the page asks for it again.
        views = (
            self._bench.compute_view(self._shelf[state["photo"]], state)
            for state in states
        )
        self._replies.send_mark_of_each(computed_in_time(views), settings)

    def _take_noise(self, seed: int) -> None:
        self._replies.send_noise(seed)

    def _take_frame(
        self, settings: Settings, height: int, width: int, buffer: memoryview
    ) -> None:
        """Take a frame of the page's camera, uint8 RGB, for the photo that is shown."""
        # Wrong settings raise before the frame replaces the last one. There may be no photo of the camera
        # yet, so they are checked with the one that is shown.
        self._checked({**settings, "photo": self.settings["photo"]})
        self._shelf.take_frame(buffer, height, width)
        # The page has its own frames, so that none is sent back.
        self._replies.sent_photo = (CAMERA, self._shelf[CAMERA].photo.decoding)
        self._take_settings({**settings, "photo": CAMERA}, held=None, side=None)

    def _take_snap(self) -> None:
        """Keep the last frame of the camera as a photo."""
        self.add(self._shelf[CAMERA].photo.pixels, "Snap")

    def _take_remove(self, name: str) -> None:
        self.remove(name)

    def _take_ahead(self, settings: Settings, key: str, places: list[Any]) -> None:
        """Answer for settings that nobody has chosen yet, as many as the time allows."""
        if cores_are_busy():
            return  # the page asks again after seconds
        # `places` are values of the slider `key`; those that the time does not allow are not answered.
        states = [
            self._checked({**settings, key: slider_value}) for slider_value in places
        ]
        self._replies.send_ahead(computed_in_time(map(self._view_of, states)))

    def _take_upload(
        self, number: str, name: str, last: bool, buffer: memoryview
    ) -> None:
        """Take a piece of a file, since a websocket refuses messages over 10 MiB; the last one adds it."""
        # `number` tells apart files that are on their way at once; `buffer` is the next piece of this one.
        self._uploads.take(number, name, buffer)
        if last:
            self.add(self._uploads.pop(number), name=name)

    def _take_why(self, settings: Settings) -> None:
        """Say at once what each change does, and look for the cause beside the bars."""
        # The page may show a prediction that it got ahead, and send its settings only now: assigning them
        # computes and sends their view.
        self.settings = settings
        view = self.view
        changes, image_buffers = why.explain_changes(view, self._view_of)
        because_reply: BecauseReply = {
            "kind": "because",
            "request": self._replies.request,
            "changes": changes,
        }
        self.send(because_reply, image_buffers)
        # By this a diagnosis for an older question, which may still be running, sees that it has to end.
        self._newest_because_reply = because_reply
        self._diagnosis_thread.submit(
            self._explain_in_thread, view, because_reply, image_buffers
        )

    def _explain_in_thread(
        self,
        view: View,
        because_reply: BecauseReply,
        image_buffers: list[bytes],
    ) -> None:
        # A diagnosis calls this at each of its steps; an error from it is the one way to end one.
        def report_or_cancel(text: str) -> None:
            # Another one after a newer question, None after "Stop".
            if self._newest_because_reply is not because_reply:
                raise futures.CancelledError
            self._replies.send_text("asking", text, because_reply["request"])

        try:
            diagnosis = why.diagnose_view(view, report_or_cancel)
            answer_from_changes = because_reply["changes"], image_buffers
            final_answer, final_buffers = why.final_answer(
                diagnosis, view, answer_from_changes
            )
            report_or_cancel("")  # raises where it was stopped meanwhile
        except futures.CancelledError:
            ended: BecauseReply = {**because_reply, "stopped": "Stopped."}
            self.send(ended, image_buffers)
        except Exception as error:  # noqa: BLE001 - a thread's error would be swallowed; the page shows it
            self._report_error(error, because_reply["request"])
        else:
            self._keep_diagnosis(diagnosis, view)
            reply: ExplainedReply = {**because_reply, **final_answer}
            self.send(reply, final_buffers)

    def _keep_diagnosis(self, diagnosis: Diagnosis, view: View) -> None:
        with self._lock:
            # Nothing is kept of a photo that was removed meanwhile; the page gets its answer all the same.
            if view.settings["photo"] not in self._shelf:
                return
            self.diagnosis = diagnosis
            self._state_of_diagnosis = _state_for_diagnosis(view)
            best = diagnosis.best
            # The setting "fix" turns this preprocessing on; while it is on, it must not become another one.
            if best and best.fix.preprocessing and not self.settings["fix"]:
                self._bench = replace(
                    self._bench, fixed_preprocessing=best.fix.preprocessing
                )

    def _take_stop(self) -> None:
        # The diagnosis that runs compares its own reply with this at each step, and ends.
        self._newest_because_reply = None

    def _take_pin(self, settings: Settings) -> None:
        """Write a case of what is shown, with the fix where a diagnosis of this very state found one."""
        # The page may show a prediction that it got ahead, and send its settings only now: assigning them
        # computes and sends their view.
        self.settings = settings
        view = self.view
        best_finding = None
        # A diagnosis of another state says nothing of this one.
        if self.diagnosis and self._state_of_diagnosis == _state_for_diagnosis(view):
            best_finding = self.diagnosis.best
        # `why.pin_view` writes a case for `kit.check_cases`, and says where it is.
        self._replies.send_text(
            "pinned", why.pin_view(self._case_folder, view, best_finding)
        )


def _state_for_diagnosis(view: View) -> Settings:
    """Return what a diagnosis of a view depends on."""
    # A heat map does not count. Frames of a camera have one name, so the photo itself counts, which this
    # does not keep alive.
    what_else_counts = {
        "where": None,
        "label": view.label,
        "original": ref(view.original),
    }
    return view.settings | what_else_counts
