"""Classifier: a network together with what it needs to be used rightly, in one ``.keras`` file."""

import hashlib
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from kit import archive, cache
from kit.archive import Archive
from kit.engine import Engine, LiteEngine, Shape
from kit.heads import probabilities
from kit.images import Photo, Source, as_photos, load_image
from kit.perturbation import Perturbation
from kit.preprocessing import Preprocessing

Float32 = npt.NDArray[np.float32]
_PART = 32
_UNKNOWN = "preprocessing unknown: the file does not say how its training pictures were prepared"


@dataclass(frozen=True)
class Verification:
    """Result of holding the compiled form of a network against Keras.

    Parameters
    ----------
    max_difference
        Largest difference in a probability, 0..1.
    photos
        Photographs that were compared, beside the pseudo-random inputs.
    agrees
        Whether the difference is within 1e-5.
    """

    max_difference: float
    photos: int
    agrees: bool

    def __repr__(self) -> str:
        # The figure itself depends on the machine and has no place in a notebook that is compared strictly.
        verdict = "agrees with" if self.agrees else "DIFFERS from"
        return f"Verification(compiled form {verdict} Keras to 1e-5 on {self.photos} photos and pseudo-random inputs)"


class Classifier:
    """A network for pictures with its preprocessing and class names.

    The network is compiled at once; later training of ``model`` does not change what this classifier predicts until it
    is saved or made anew.

    Parameters
    ----------
    model
        A Keras model from pictures (N, H, W, 1) or (N, H, W, 3) to (N, classes): softmax probabilities, or logits,
        which get a softmax. One sigmoid output becomes two columns.
    preprocessing
        How its training pictures were prepared. ``None`` if unknown; predictions then ask for one.
    class_names
        One for each class; "class 0", "class 1", … by default.

    Raises
    ------
    ValueError
        A model with other shapes, a preprocessing that does not fit it, or another number of class names.
    """

    def __init__(
        self, model: Any, preprocessing: Preprocessing | None = None, class_names: Sequence[str] | None = None
    ) -> None:
        from kit import conversion  # noqa: PLC0415 (not needed to load a classifier)

        conversion.check_model(model.inputs, model.outputs)
        found = conversion.describe(model, preprocessing)
        self._model: Any = model
        self._archive: Archive | None = None
        self._weights: str | None = _fingerprint(model)
        self._finish(str(model.name), found, preprocessing, class_names, [])
        self._proven: Preprocessing | None = preprocessing

    def _finish(
        self,
        name: str,
        found: dict[str, Any],
        preprocessing: Preprocessing | None,
        class_names: Iterable[str] | None,
        notes: list[str],
    ) -> None:
        """Set what every classifier has, however it was made; ``found`` is as from `kit.conversion.describe`."""
        self.name = name
        self.preprocessing = preprocessing
        self.head: str = found["head"]
        self._lock = threading.RLock()
        self._found = found
        self._engine: Engine | None = found.get("engine")
        if self._engine is None and "compiled" in found:
            self._engine = LiteEngine(found["compiled"])
        outputs: int = found["output_count"]
        count = 2 if outputs == 1 else outputs
        self.class_names = tuple(class_names) if class_names is not None else tuple(f"class {i}" for i in range(count))
        if len(self.class_names) != count:
            raise ValueError(
                f"Expected {count} class names, one for each output of {name!r}, received {len(self.class_names)}"
            )
        self.input_shape = _filled(tuple(found["input_shape"]), preprocessing)
        if preprocessing is not None:
            _check_fit(preprocessing.input_shape, self.input_shape)
        self._notes = [*notes, *_remarks(self.class_names, self.head, found)]
        if preprocessing is None:
            self._notes.append(_UNKNOWN)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        sha256: str | None = None,
        preprocessing: Preprocessing | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Self:
        """Open a ``.keras`` file; without TensorFlow if `save` wrote it.

        A file that plain Keras wrote is opened too: TensorFlow compiles it once, and the result is kept in the user's
        cache folder. Its preprocessing is then unknown, unless given here.

        Parameters
        ----------
        path
            An existing local ``.keras`` file. Open files only from sources that you trust.
        sha256
            SHA-256 of the whole file in hexadecimal digits, compared if given.
        preprocessing, class_names
            Take the place of what the file says.

        Returns
        -------
        Classifier
            What could not be used as it was is told in ``notes``.

        Raises
        ------
        FileNotFoundError, ValueError
            No such file, another SHA-256, another format, a damaged archive, or a network that is no classifier of
            pictures.
        """
        opened = archive.read(path, sha256=sha256)
        contract = opened.contract
        notes: list[str] = []
        stored = None
        if contract is not None:
            if contract["preprocessing"] is not None:
                try:
                    stored = Preprocessing.from_dict(contract["preprocessing"])
                except (TypeError, ValueError) as error:
                    raise ValueError(
                        f"Expected a preprocessing in {archive.CONTRACT} of {opened.path.name!r}: {error}"
                    ) from error
            class_names = contract["class_names"] if class_names is None else class_names
        found = _from_members(opened, notes)
        if found is None:
            found = _compiled_anew(opened)
        self = cls.__new__(cls)
        self._model, self._weights, self._archive = None, None, opened
        name = contract["name"] if contract is not None else opened.path.stem
        self._finish(name, found, preprocessing or stored, class_names, notes)
        # Only what was compared within this preprocessing's range counts as proven.
        self._proven = stored if contract is not None and opened.tied and not notes else None
        return self

    def save(self, path: str | PathLike[str]) -> None:
        """Write network, preprocessing, class names and compiled form into one ``.keras`` file.

        Plain ``keras.models.load_model`` opens the file too, and does not see what is added. Mind that a plain
        ``model.save`` of a network loaded in that way writes the network alone: the preprocessing, the class names and
        the compiled form are gone from the new file. Save through a `Classifier` to keep them.

        The file is replaced in one step, so an interruption leaves the old one.

        Parameters
        ----------
        path
            File to write, named ``….keras``.

        Raises
        ------
        ValueError
            Another file name, or a compiled form that differs from Keras by more than 1e-5 in a probability.
        """
        target = Path(path)
        if target.suffix != ".keras":
            raise ValueError(f"Expected a file name that ends in .keras, received {target.name!r}; rename it")
        with self._lock, tempfile.TemporaryDirectory() as folder:
            if self._archive is None:
                source = Path(folder) / "network.keras"
                self._refresh()
                self._model.save(source)
            else:
                source = self._unchanged().path
                self._prove()
            difference = self._found.get("max_difference")
            if difference is not None and "compiled" not in self._found:
                raise ValueError(
                    f"Expected a compiled form equal to Keras to 1e-5, received a difference of {difference:.1e} in a"
                    " probability; keep the network in float32 and its inputs in the range of its preprocessing"
                )
            compiled = self._found.get("compiled")
            archive.write(
                source, target, self._contract(), {} if compiled is None else {archive.COMPILED: compiled}
            )

    def tensor(
        self,
        photo: Source,
        perturbation: Perturbation | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> Float32:
        """Prepare one photo as the network sees it.

        Parameters
        ----------
        photo
            A `Photo` or whatever `load_image` takes.
        perturbation
            Applied to the decoded photo, before the preprocessing.
        preprocessing
            In place of the classifier's own.

        Returns
        -------
        float32, shape (1, H, W, C)
        """
        steps = preprocessing if preprocessing is not None else self.preprocessing
        if steps is None:
            raise ValueError(
                f"Expected a preprocessing, since {self.name!r} does not say how its training pictures were prepared,"
                " received none; give preprocessing=kit.Preprocessing(…) or kit.Preprocessing.for_application('…')"
            )
        decoded = (photo if isinstance(photo, Photo) else load_image(photo)).decoded(steps.decoding)
        return steps.apply(decoded if perturbation is None else perturbation.apply(decoded))

    def predict_tensors(self, tensors: Float32) -> Float32:
        """Probabilities for tensors that are prepared already.

        Parameters
        ----------
        tensors
            float32, shape (N, H, W, C). Not changed.

        Returns
        -------
        float32, shape (N, classes)
            Rows sum to 1.

        Raises
        ------
        ValueError
            Tensors of another shape.
        """
        if tensors.shape[1:] != self.input_shape:
            _check_fit(tensors.shape[1:], self.input_shape, tensors.shape[:1])
        return probabilities(self.engine.predict(tensors), self.head)

    def probabilities(
        self,
        photos: Source | Iterable[Source],
        perturbation: Perturbation | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> Float32:
        """Softmax probabilities for photos.

        Parameters
        ----------
        photos
            One or several of what `load_image` takes.
        perturbation
            Applied to each photo before the preprocessing.
        preprocessing
            In place of the classifier's own.

        Returns
        -------
        float32, shape (N, classes)
            Rows sum to 1.

        Raises
        ------
        ValueError
            No preprocessing is known, or it gives tensors that do not fit the network.
        """
        chosen = as_photos(photos)
        parts = [
            self.predict_tensors(
                np.concatenate([self.tensor(photo, perturbation, preprocessing) for photo in chosen[start : start + _PART]])
            )
            for start in range(0, len(chosen), _PART)
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(self.class_names)), np.float32)

    def top(self, row: Float32, count: int = 5) -> tuple[tuple[str, float], ...]:
        """Names and probabilities of the most probable classes.

        Parameters
        ----------
        row
            float32, shape (classes,): one row of `probabilities`.
        count
            How many.
        """
        order = np.argsort(-row, kind="stable")[:count]
        return tuple((self.class_names[index], float(row[index])) for index in order)

    def verify(self, photos: Source | Iterable[Source] | None = None) -> Verification:
        """Hold the compiled form against Keras once more; imports TensorFlow.

        Parameters
        ----------
        photos
            Photos to compare on, beside pseudo-random inputs and pictures made by a formula.
        """
        from kit import conversion  # noqa: PLC0415 (heavy)
        from kit.engine import KerasEngine  # noqa: PLC0415

        chosen = as_photos(photos) if photos is not None else ()
        height, width, channels = self.input_shape
        shape = (height or 96, width or 96, channels or 3)
        batches = [*conversion.trial_tensors(shape, self.preprocessing), *(self.tensor(photo) for photo in chosen)]
        difference = conversion.check_equal(KerasEngine(self.model), self.engine, self.head, batches)
        return Verification(difference, len(chosen), difference <= conversion.TOLERANCE)

    @property
    def engine(self) -> Engine:
        """What runs the network; Keras's is made at the first use."""
        if self._engine is None:
            with self._lock:
                if self._engine is None:
                    from kit.engine import KerasEngine  # noqa: PLC0415

                    self._engine = KerasEngine(self.model)
        return self._engine

    @property
    def model(self) -> Any:
        """The Keras model; opened at the first use, which imports TensorFlow."""
        if self._model is None:
            with self._lock:
                if self._model is None:
                    from kit import conversion  # noqa: PLC0415 (heavy)

                    self._model = conversion.load_keras(self._unchanged().path)
        return self._model

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about how the network is run, one sentence each."""
        return tuple(self._notes)

    def __repr__(self) -> str:
        sides = "x".join("?" if side is None else str(side) for side in self.input_shape)
        runner = "LiteRT" if "compiled" in self._found else "Keras"
        known = "" if self.preprocessing is not None else ", preprocessing unknown"
        return f"Classifier({self.name!r}, {sides} -> {len(self.class_names)} classes, {runner}{known})"

    def _contract(self) -> dict[str, Any]:
        contract = {
            "name": self.name,
            "class_names": list(self.class_names),
            "preprocessing": None if self.preprocessing is None else self.preprocessing.to_dict(),
            **{key: self._found[key] for key in ("head", "input_shape", "output_count")},
        }
        return contract | {key: self._found[key] for key in ("max_difference", "reason") if key in self._found}

    def _refresh(self) -> None:
        """Compile anew if the model was trained on since."""
        from kit import conversion  # noqa: PLC0415 (heavy, loaded already)

        weights = _fingerprint(self._model)
        if weights != self._weights:
            found = conversion.describe(self._model, self.preprocessing)
            self._finish(self.name, found, self.preprocessing, self.class_names, [])
            self._weights = weights

    def _prove(self) -> None:
        """Compare with Keras in this preprocessing's range, unless the file was saved with it."""
        if "compiled" in self._found and (self._proven is None or self._proven != self.preprocessing):
            verification = self.verify()
            self._found["max_difference"] = verification.max_difference
            if not verification.agrees:
                del self._found["compiled"]
            self._proven = self.preprocessing

    def _unchanged(self) -> Archive:
        """The file that this classifier was loaded from, if its network is still the same."""
        if self._archive is None:
            raise RuntimeError("Expected a classifier that was loaded from a file")
        if archive.read(self._archive.path).digest != self._archive.digest:
            raise ValueError(
                f"Expected the network in {self._archive.path.name!r} as it was loaded, received another; load it again"
            )
        return self._archive


def _from_members(opened: Archive, notes: list[str]) -> dict[str, Any] | None:
    """What `save` put into the file, if it belongs to these weights; else a note says why not."""
    contract = opened.contract
    if contract is None:
        return None
    if not opened.tied:
        notes.append("the compiled form in the file belongs to other weights: compiled anew through TensorFlow")
        return None
    if "reason" in contract:
        return dict(contract)
    compiled = opened.member(archive.COMPILED)
    if compiled is not None:
        try:
            return {**contract, "compiled": compiled, "engine": LiteEngine(compiled)}
        except ImportError as error:
            return {**contract, "reason": str(error)}
        except ValueError:
            pass
    notes.append("the compiled form in the file is damaged: compiled anew through TensorFlow")
    return None


def _compiled_anew(opened: Archive) -> dict[str, Any]:
    """Compile through TensorFlow, or take the result from the cache."""
    kept = cache.get(opened.digest)
    if kept is not None and kept.contract is not None:
        if "reason" in kept.contract:
            return dict(kept.contract)
        compiled = kept.member(archive.COMPILED)
        if compiled is not None:
            try:
                return {**kept.contract, "compiled": compiled, "engine": LiteEngine(compiled)}
            except (ValueError, ImportError):
                pass
    from kit import conversion  # noqa: PLC0415 (not needed to load what `save` wrote)

    found = conversion.convert(opened.path)
    contract = {"name": opened.path.stem, "class_names": [], "preprocessing": None, **found}
    compiled = contract.pop("compiled", None)
    cache.put(opened.digest, contract, {} if compiled is None else {archive.COMPILED: compiled})
    return found


def _fingerprint(model: Any) -> str:
    total = hashlib.sha256()
    for array in model.get_weights():
        total.update(np.ascontiguousarray(array))
    return total.hexdigest()


def _filled(shape: tuple[Any, ...], preprocessing: Preprocessing | None) -> Shape:
    """Input shape with the sides that the network leaves open as the preprocessing sets them."""
    size = (preprocessing.size if preprocessing is not None else None) or (None, None)
    height, width, channels = shape
    return (height or size[0], width or size[1], channels)


def _check_fit(shape: tuple[int, ...] | None, expected: Shape, start: tuple[int, ...] = (1,)) -> None:
    """Refuse tensors that the network does not take, with the setting that helps."""
    if shape is None or (
        len(shape) == 3
        and len(start) == 1
        and all(side in (None, received) for side, received in zip(expected, shape, strict=True))
    ):
        return
    if len(shape) == 3 and shape[2] == expected[2] and None not in expected:
        advice = f"set size=({expected[0]}, {expected[1]}) in the preprocessing"
    elif len(shape) == 3 and shape[0] == expected[2]:
        advice = "set layout='channels_last' in the preprocessing"
    elif len(shape) == 3 and shape[:2] == expected[:2]:
        advice = f"set channels={'gray' if expected[2] == 1 else 'rgb'!r} in the preprocessing"
    else:
        advice = "see Classifier.tensor"
    wanted = ", ".join("any" if side is None else str(side) for side in expected)
    first = str(start[0]) if start else "N"
    raise ValueError(f"Expected a tensor ({first}, {wanted}), received {(*start, *shape)}; {advice}")


def _remarks(class_names: Sequence[str], head: str, found: dict[str, Any]) -> list[str]:
    remarks = []
    if "compiled" not in found:
        remarks.append(f"falls back to Keras because {found.get('reason', 'there is no compiled form')}")
    repeated = sorted(name for name, count in Counter(class_names).items() if count > 1)
    if repeated:
        more = f" and {len(repeated) - 3} more" if len(repeated) > 3 else ""
        remarks.append(f"class names that occur more than once: {', '.join(repeated[:3])}{more}")
    if head == "sigmoid" and found["output_count"] > 1:
        remarks.append("one sigmoid for each class: the outputs are divided by their sum")
    return remarks
