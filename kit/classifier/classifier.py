"""Classifier: a network together with what it needs to be used rightly, in one file."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import ceil
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np

from kit._arrays import AnyPath, Float32
from kit._checking import guided, guiding, instance, number, printable, whole
from kit._reporting import Progress, Steps
from kit.classifier import engines, store
from kit.classifier.engines import channels_first, check_shape
from kit.classifier.first_layers import FirstLayers, first_layers_of_export
from kit.classifier.labels import ClassNames, Labels, checked_class_names, label_indices
from kit.classifier.loading import check_saved_as, restore, save_network
from kit.classifier.neighbours import MOST_KEPT, NEAREST, Nearest, arrays_of_images
from kit.classifier.network import (
    Compiled,
    Network,
    compile_model,
)
from kit.classifier.predictions import Predictions
from kit.classifier.reference import Reference
from kit.classifier.store import FIRST_LAYERS, Archive
from kit.images.photo import (
    Photo,
    Pictures,
    Source,
    as_photos,
    each_picture,
    load_image,
)
from kit.perturbation import Perturbation
from kit.preprocessing import Preprocessing


@guiding
class Classifier:
    """A network for images with its preprocessing and class names; safe to use from several threads.

    It is compiled at once: after training ``model`` further make a new classifier, or `save` this one.

    Parameters
    ----------
    model
        A Keras model from (N, H, W, 1) or (N, H, W, 3) to (N, classes): softmax probabilities, or logits,
        which get a softmax. One sigmoid output becomes two columns.
    preprocessing
        How its training images were prepared; where it has the default size of `Preprocessing`, it gets the
        model's. ``None`` if unknown; predictions then ask for one.
    class_names
        One for each class, or a mapping such as ``class_indices`` of Keras's generators; "class 0", "class
        1", … by default.

    Attributes
    ----------
    temperature : float
        Divides the logits in `calibrated`; 1 changes nothing. `kit.calibrate` finds it.
    reference : Reference
        What is known of the training images.
    adaptation : tuple of str
        What `kit.adapt` says, where that made it.
    network : Network
        What runs.

    Raises
    ------
    TypeError, ValueError
        No Keras model, one with other shapes, a preprocessing that does not fit, or another number of names.
    """

    temperature = 1.0
    adaptation: tuple[str, ...] = ()

    def __init__(
        self,
        model: Any,
        preprocessing: Preprocessing | None = None,
        class_names: ClassNames | None = None,
    ) -> None:
        network = Network(compile_model(model, preprocessing), model=model)
        self._set_up(network, str(model.name), preprocessing, class_names)

    def _set_up(
        self,
        network: Network,
        name: str,
        steps: Preprocessing | None,
        names: ClassNames | None,
    ) -> None:
        source = network.source
        self.network = network
        self.name = printable(name)
        known = network.about
        self.class_names = checked_class_names(names, known.class_count, name)
        network_shape = known.input_shape
        self.preprocessing, self.input_shape = engines.checked_for_network(
            steps, network_shape
        )
        statistics = {} if source is None else source.statistics
        self.reference = Reference(network, self.input_shape, statistics)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of it, a line each, among them why Keras runs it, if it does."""
        return tuple(self._notes(self.network.compiled))

    @property
    def early_notes(self) -> tuple[str, ...]:
        """Those of `notes` that need not wait for a network that is being compiled."""
        return tuple(self._notes(self.network.about))

    def _notes(self, known: Compiled) -> Iterator[str]:
        source = self.source
        if source is not None and source.flaw:
            yield f"what the file says of its training images {source.flaw}"
        if source is not None and source.network is not None:
            yield f"the layers of a {source.path.suffix} file are not checked"
        if self.preprocessing is None:
            yield "preprocessing unknown: nothing says how the training images were prepared"
        counts = Counter(self.class_names)
        if repeated := [name[:40] for name in counts if counts[name] > 1]:
            yield f"class names that occur more than once: {len(repeated)}, such as {repeated[0]}"
        if known.remark:
            yield known.remark
        if known.reason:
            yield f"falls back to Keras because {known.reason}"
        yield from self.adaptation

    @classmethod
    @guided
    def load(
        cls,
        path: AnyPath,
        *,
        sha256: str | None = None,
        preprocessing: Preprocessing | None = None,
        class_names: ClassNames | None = None,
    ) -> Self:
        """Open a ``.keras``, ``.tflite`` or ``.onnx`` file, without TensorFlow where its network is known.

        TensorFlow compiles a ``.keras`` file that neither is bundled nor was saved or opened on this machine
        before, once and in a process of its own; the result is kept in the user's cache folder. Until then
        Keras predicts there for the explorer's bars, and everything else waits. Networks of the others run as
        they are, once in a process of its own; what their metadata says is used.

        Parameters
        ----------
        path
            An existing local file. Open files only from sources that you trust.
        sha256
            SHA-256 of the whole file in hexadecimal digits, compared if given.
        preprocessing, class_names
            Take the place of what the file says.

        Raises
        ------
        FileNotFoundError, TypeError, ValueError
            No path, no file, another SHA-256, another format, a damaged archive, or no image classifier.
        ModuleNotFoundError
            A ``.keras`` file that is to be compiled without Keras and TensorFlow, or no ONNX Runtime.
        """
        if not isinstance(path, str | PathLike):
            raise TypeError(
                f"Expected the path of a model file, received {type(path).__name__};"
                " a model itself is for kit.Classifier(model)"
            )
        opened = store.read_model(path, sha256=sha256)
        # What is no preprocessing is refused before anything is compiled.
        engines.checked_for_network(preprocessing, (None, None, None))
        network = restore(opened, preprocessing)
        opened = network.source or opened
        contract = {"name": opened.path.stem, **opened.contract}
        if preprocessing is None:
            preprocessing = opened.preprocessing
        self = cls.__new__(cls)
        names = contract.get("class_names") if class_names is None else class_names
        self._set_up(network, contract["name"], preprocessing, names)
        self.temperature = float(contract.get("temperature", 1.0))
        return self

    def save(self, path: AnyPath, training: Pictures = ()) -> None:
        """Write network, preprocessing, class names and reference into one file.

        Plain ``keras.models.load_model`` opens a ``.keras`` file too, and does not see what is added; a plain
        ``model.save`` of what that returns drops it. An interruption leaves the old file. ValueError or
        OSError for another file name, a file replaced since it was loaded, or one that cannot be written.

        Parameters
        ----------
        path
            File to write, named ``….keras``, or ``….tflite`` for the compiled network alone, which opens at
            once on every machine. A network from another format stays in it.
        training
            20 to 50 ordinary training images, or more: their statistics are kept for `kit.diagnose`, which
            networks without BatchNorm and those for small images need, and measures of up to 256 for
            `kit.shift`; the images are not. Without any, what the file has is kept.
        """
        target = Path(path)
        check_saved_as(target, self.network)
        with self.network.lock:
            self.network = self.network.up_to_date(self.preprocessing)
            reference = self.reference.for_network(self.network, self.input_shape)
            photos = [picture.open() for picture in each_picture(training)]
            self.reference = reference.with_pictures(photos, self.tensor)
            contract = {
                "name": self.name,
                "class_names": list(self.class_names),
                "preprocessing": self.preprocessing and self.preprocessing.to_dict(),
                "temperature": self.temperature,
            }
            save_network(self.network, self.reference, contract, target)

    def tensor(
        self,
        photo: Source,
        perturbation: Perturbation | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> Float32:
        """Prepare one photo as the network sees it: float32, shape (1, H, W, C).

        ``photo`` is a `Photo` or whatever else `load_image` takes; the others are as for `probabilities`.
        ValueError where no preprocessing is known.
        """
        steps = preprocessing or known_preprocessing(self)
        image = load_image(photo).decoded(steps.decoding)
        if perturbation is not None:
            image = perturbation.apply(image)
        return steps.apply(image)

    def predict_tensors(self, tensors: Float32, *, early: bool = False) -> Float32:
        """Return probabilities for tensors that are prepared already.

        Parameters
        ----------
        tensors
            float32, shape (N, H, W, C). Not changed. TypeError for no array, ValueError for another shape.
        early
            Let Keras predict while a file that was opened for the first time is still being compiled.

        Returns
        -------
        float32, shape (N, classes)
            A new array; rows sum to 1. They are nan where the network computes no numbers.
        """
        instance("tensors", tensors, np.ndarray, "an array (N, H, W, C)")
        check_shape(tensors.shape, self.input_shape)
        return self.network.predict(tensors, early=early)

    def inside(self, tensors: Float32) -> tuple[Float32, Float32 | None]:
        """Return what `predict_tensors` does, and the last feature map of the same pass.

        The map is float32 (N, h, w, channels); None where the network has none, or is not compiled.
        ValueError for probabilities that are no numbers.
        """
        outputs, feature_map = self.network.engine_and_dense_layers[0].inside(tensors)
        rows = engines.probabilities(outputs, self.network.compiled.head)
        return engines.finite(rows, self.name), feature_map

    @guided
    def predict(
        self,
        photos: Pictures,
        labels: Labels | int | str | None = None,
        *,
        perturbation: Perturbation | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> Predictions:
        """Predict photos: what `probabilities` returns, with names and with the labels that are known.

        Parameters
        ----------
        photos, perturbation, preprocessing
            As for `probabilities`.
        labels
            The right class of each photo by index or name, None where it is not known; one photo may have
            its label alone. TypeError or ValueError for another number of them, or one that is no class.
        """
        opened = as_photos(photos)
        return Predictions(
            labels=label_indices(labels, self.class_names, opened),
            probabilities=self.probabilities(opened, perturbation, preprocessing),
            class_names=self.class_names,
            photos=tuple(photo.name for photo in opened),
        )

    __call__ = predict

    def probabilities(
        self,
        photos: Pictures,
        perturbation: Perturbation | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> Float32:
        """Return softmax probabilities for photos.

        Parameters
        ----------
        photos
            A folder, a glob pattern, an array, one image or several: see `kit.images.photo`.
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
            No photos, no preprocessing known, tensors that do not fit, or probabilities that are no numbers.
        """
        rows = [
            self.predict_tensors(self.tensor(photo, perturbation, preprocessing))
            for photo in as_photos(photos)
        ]
        return engines.finite(np.concatenate(rows), self.name)

    @guided
    def using(self, preprocessing: Preprocessing) -> Self:
        """Return the same network with another preprocessing in use; nothing is compiled or copied.

        ValueError where its tensors do not fit the network.
        """
        network_shape = self.network.about.input_shape
        suited, shape = engines.checked_for_network(preprocessing, network_shape)
        return self._with(
            preprocessing=suited,
            input_shape=shape,
            reference=self.reference.for_network(self.network, shape),
        )

    def renamed(self, class_names: ClassNames) -> Self:
        """Return the same network with other class names, one for each output."""
        count = len(self.class_names)
        return self._with(
            class_names=checked_class_names(class_names, count, self.name)
        )

    def tempered(self, temperature: float) -> Self:
        """Return the same network with another temperature, from 1e-6 to 1e6."""
        return self._with(temperature=number("temperature", temperature, 1e-6, 1e6))

    def calibrated(self, rows: Float32) -> Float32:
        """Return probabilities with the logits behind them divided by the classifier's temperature.

        ``rows`` is what `probabilities` returns and not changed; the order of the classes in each row stays.
        """
        return engines.tempered(rows, self.temperature)

    def with_reference(
        self,
        photos: Pictures | Reference,
        *,
        thumbnails: bool = False,
        progress: Progress = True,
    ) -> Self:
        """Return the same network knowing its training images, for `nearest`; `save` keeps what it knows.

        ValueError for no images, or a network that is not compiled or has no feature map.

        Parameters
        ----------
        photos
            Images that it was trained on; of more than 10,000, every second, third and so on. Of each 40
            numbers, the predicted class and the name are kept. Or a `Reference` made from its own.
        thumbnails
            Whether to keep the images too, in 48 x 48 pixels.
        progress
            True for a bar where it takes over two seconds; or a function that gets each step as a line.
        """
        if isinstance(photos, Reference):
            return self._with(
                reference=photos.for_network(self.network, self.input_shape)
            )
        images = as_photos(photos)
        kept_images = images[:: ceil(len(images) / MOST_KEPT)]
        probabilities, features = self.features(kept_images, progress)
        arrays = arrays_of_images(
            kept_images, probabilities, features, thumbnails=thumbnails
        )
        return self._with(reference=self.reference.with_arrays("novelty", arrays))

    def with_statistics(self, path: AnyPath) -> Self:
        """Return the same network with what an exporter dropped: what its first layer received in training.

        `kit.diagnose` then judges how images are prepared as for a Keras file. ``path`` is a ``.safetensors``
        file of the PyTorch model that a ``.onnx`` or ``.tflite`` network was exported from; nothing in it is
        run. ValueError for another format or network, or one without running averages.
        """
        shape = self.input_shape
        channels = shape[0 if channels_first(shape) else 2]
        network = self.network.compiled.data or b""
        first_layer_arrays = first_layers_of_export(path, network, channels).arrays()
        return self._with(
            reference=self.reference.with_arrays(FIRST_LAYERS, first_layer_arrays)
        )

    def features(
        self, photos: Sequence[Photo], progress: Progress = False
    ) -> tuple[Float32, Float32]:
        """Return probabilities (N, classes), and the means of the last feature map's channels (N, channels).

        Both float32. ValueError where the network is not compiled, or has no feature map.
        """
        probabilities = []
        channel_means = []
        for photo in Steps(photos, "Images", progress):
            image_probabilities, feature_map = self.inside(self.tensor(photo))
            if feature_map is None:
                raise ValueError(
                    f"Expected a network with a feature map, received {self.name!r} without"
                )
            probabilities.append(image_probabilities)
            channel_means.append(feature_map.mean(axis=(1, 2)))
        return np.concatenate(probabilities), np.concatenate(channel_means)

    def nearest(self, photo: Source, count: int = NEAREST) -> Nearest:
        """Return the training images that a photo is nearest to, as the network sees them.

        ``photo`` is a `Photo` or whatever else `load_image` takes. ValueError where nothing is known of the
        training images. With another preprocessing in use than when `with_reference` was called, distances
        compare unlike tensors.
        """
        kept = self.reference.neighbours
        image = load_image(photo)
        probabilities, features = self.features([image])
        most = whole("count", count, 1, None)
        neighbours, thumbnails = kept.nearest(features, self.class_names, most)
        return Nearest(
            name=image.name,
            predicted=self.class_names[probabilities[0].argmax()],
            neighbours=neighbours,
            thumbnails=thumbnails,
        )

    def _with(self, **changes: Any) -> Self:
        classifier = object.__new__(type(self))
        vars(classifier).update(vars(self) | changes)
        return classifier

    @property
    def model(self) -> Any:
        """The Keras model; of a loaded classifier it is opened at the first use, which imports TensorFlow."""
        return self.network.model

    @property
    def first_layers(self) -> FirstLayers | None:
        """What its first layers receive, and received in training; see `Reference.first_layers`."""
        return self.reference.first_layers

    @property
    def source(self) -> Archive | None:
        """The file that this classifier came from; None of one made from a model."""
        return self.network.source

    def __repr__(self) -> str:
        shape = engines.shape_text(self.input_shape)
        classes = f"{len(self.class_names)} classes, {self.network.compiled.runner}"
        if self.preprocessing is None:
            classes += ", preprocessing unknown"
        return f"Classifier({self.name!r}, {shape} -> {classes})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self.source is None:
            raise TypeError(
                f"Expected a classifier from a file, received {self.name!r}; save and load it"
            )
        path, digest = self.source.path.resolve(), self.source.digest
        settings = self.preprocessing, self.class_names
        return _reopened, (path, digest, self.temperature, *settings)


@lru_cache(maxsize=2)
def _reopened(
    path: Path, digest: str, temperature: float, preprocessing: Any, class_names: Any
) -> Classifier:
    """Open a classifier of another process, once for all its tasks; ValueError for another network there."""
    settings = {"preprocessing": preprocessing, "class_names": class_names}
    classifier = Classifier.load(path, **settings)
    if classifier.network.digest != digest:
        raise ValueError(
            f"Expected the network in {path.name!r} that was sent here, received another; copy the file again"
        )
    return classifier.tempered(temperature)


def check_first(value: object) -> None:
    """Raise a TypeError for what is no classifier."""
    if not isinstance(value, Classifier):
        received = type(value).__name__
        raise TypeError(
            f"Expected a Classifier, received {received}; see kit.Classifier.load"
        )


def is_prepared_as_in_training(classifier: Classifier) -> bool:
    """Whether its preprocessing is known, and no other than that of the file it was opened from."""
    if classifier.preprocessing is None:
        return False
    file = classifier.source
    return file is None or file.preprocessing == classifier.preprocessing


def known_preprocessing(classifier: Classifier) -> Preprocessing:
    """Return the preprocessing of a classifier, or raise a ValueError where none is known."""
    if classifier.preprocessing is None:
        raise ValueError(
            f"Expected the preprocessing of {classifier.name!r}, received none; "
            "give preprocessing=kit.Preprocessing(…), or use classifier.using(kit.Preprocessing(…))"
        )
    return classifier.preprocessing
