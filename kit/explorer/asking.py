"""The question "why?": it runs beside the bars, tells how far it is, and can be stopped."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kit.explorer.bench import Bench
from kit.explorer.changes import Compute, changes, headline, told
from kit.explorer.view import View

if TYPE_CHECKING:
    from kit.diagnosis import Diagnosis
    from kit.preprocessing import Preprocessing


class StoppedError(Exception):
    """Somebody has stopped the question."""


class Asking:
    """One question at a time, on a thread of its own; a new one stops the one before."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[Callable[[str], None]], Any], tell: Callable[[str], None]) -> None:
        """Run `work`, which is handed a function to tell its progress with.

        The function raises `StoppedError` once the question is stopped.
        """
        self.stop()
        stop = self._stop = threading.Event()

        def progress(text: str) -> None:
            if stop.is_set():
                raise StoppedError
            tell(text)

        self._thread = threading.Thread(target=work, args=(progress,), name="explorer-why", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the question; what it has found so far is thrown away."""
        self._stop.set()

    @property
    def busy(self) -> bool:
        """Whether a question is under way."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the last question is answered or stopped."""
        if self._thread is not None:
            self._thread.join(seconds)


@dataclass(eq=False)
class Questions:
    """What each view of the widget has asked.

    Attributes
    ----------
    send
        Sends a message to the pages.
    fail
        Told what went wrong, and with which request.
    found
        Told a diagnosis, what it is about, and the preprocessing that it found to be right, if any.
    """

    send: Callable[..., None]
    fail: Callable[[Exception, str], None]
    found: "Callable[[Diagnosis, View, Preprocessing | None], None]"
    pages: dict[str, Asking] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        """Whether a question is under way."""
        return any(each.busy for each in self.pages.values())

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the last questions are answered or stopped."""
        for each in tuple(self.pages.values()):
            each.wait(seconds)

    def stop(self, request: str) -> None:
        """Stop the question of the view that a request came from."""
        asking = self.pages.get(_page(request))
        if asking is not None:
            asking.stop()

    def ask(self, view: View, bench: Bench, compute: Compute, request: str) -> None:
        """Say at once what each change does, and look for the cause beside the bars."""
        names = bench.classifier.class_names
        known = changes(view, compute)
        lines, words = told(known, view, names), headline(known, view, names)
        first = {
            "kind": "because",
            "request": request,
            "changes": {"headline": words, "lines": lines, "settings": view.settings},
        }
        self.send(first)
        self.pages.setdefault(_page(request), Asking()).start(
            lambda progress: self._explain(view, bench, first, progress),
            lambda text: self.send({"kind": "asking", "request": request, "text": text}),
        )

    def _explain(self, view: View, bench: Bench, first: dict[str, Any], progress: Any) -> None:
        from kit.explorer import why  # noqa: PLC0415 (the bars come sooner without it)

        try:
            diagnosis = why.ask(bench.classifier, view, progress)
            right = diagnosis.best.fix.preprocessing if diagnosis.best and diagnosis.best.fix else None
            fixed = None if right is None else bench.with_preprocessing(view, right)
            answer = why.answer(diagnosis, view, bench.classifier.class_names, fixed)
            pictures = [] if right is None else list(why.beside(view, right))
            progress("")
        except StoppedError:
            self.send(first | {"stopped": True})
            return
        except Exception as error:  # noqa: BLE001 - a thread's error would be swallowed; the page shows it
            self.fail(error, first["request"])
            return
        self.found(diagnosis, view, right)
        sizes = [picture.shape[:2] for picture in pictures]
        self.send(first | answer | {"pictures": sizes}, [picture.tobytes() for picture in pictures])


def _page(request: str) -> str:
    """Return which view of the widget a request came from."""
    return request.rpartition(".")[0]
