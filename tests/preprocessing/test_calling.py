"""Code that predicts, returns several things, or takes more than an image."""

from functools import partial
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

import kit
from kit import samples
from kit.preprocessing import Preprocessing
from kit.preprocessing.calling import call, numpy_of, why_unusable

SIDES = 224, 224
HERE = Preprocessing(filter="cv2_linear", scaling="0..1")
CLASSIFIER = samples.classifier("efficientnet_lite0").using(HERE)
CAT = samples.photo("cat.jpg")


def resized(path, sides=SIDES):
    return cv2.resize(cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB), sides)


def prepared(path):
    return resized(path)[None] / np.float32(255)


def in_litert(path, interpreter):
    interpreter.resize_tensor_input(0, [1, 224, 224, 3])
    interpreter.allocate_tensors()
    (details,) = interpreter.get_input_details()
    _, height, width, _ = details["shape"]
    values = resized(path, (int(width), int(height)))[None]
    if details["dtype"] == np.float32:
        values = values / np.float32(255)
    scale, zero_point = details["quantization"]
    if scale:
        values = values / scale + zero_point
    interpreter.set_tensor(details["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def in_place(interpreter, path):
    view = interpreter.tensor(interpreter.get_input_details()[0]["index"])()[0]
    view[:, :] = prepared(path)[0]


def in_torch(path, model):
    device = next(model.parameters()).device
    assert device == "cpu"
    return model.eval()(prepared(path)).softmax(dim=1).argmax().item()


def swallowed(path, model):
    try:
        return model(prepared(path))
    except Exception:  # noqa: BLE001  as servers do
        return {"error": "failed"}


def answered(path, model):
    try:
        return model(prepared(path))
    except BaseException:  # noqa: BLE001  as frameworks do
        raise RuntimeError("the model failed") from None


RUNTIMES = {
    "Keras": lambda path, model: ["cat"][
        model.predict(x=prepared(path), verbose=0).argmax()
    ],
    "ONNX": lambda path, model: model.run(
        [output.name for output in model.get_outputs()],
        {model.get_inputs()[0].name: prepared(path)}
        if model.get_inputs()[0].type == "tensor(float)"
        else {},
    ),
    "LiteRT": in_litert,
    "in place": in_place,
    "PyTorch": in_torch,
    "swallowed": swallowed,
    "answered with another error": answered,
    "size of the model": lambda path, model: model(
        resized(path, model.input_shape[1:3])[None] / np.float32(255)
    ),
    "size of its input": lambda path, model: model(
        resized(path, model.inputs[0].shape[1:3])[None] / np.float32(255)
    ),
}


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_recorder_stands_in_for_a_model_of_any_runtime(name):
    function = RUNTIMES[name]
    argument = "model" if "model" in function.__code__.co_varnames else "interpreter"
    found = kit.check(CLASSIFIER, CAT, function, **{argument: kit.recorder()})
    assert found.agrees, found


network = None


def predict(path):
    return network.predict(prepared(path)[..., ::-1])


class Server:
    def __init__(self):
        self.model = "loaded"

    def predict(self, path):
        return self.model(prepared(path))

    def __call__(self, path):
        return network(prepared(path))

    shared = "loaded"

    @classmethod
    def predict_shared(cls, path):
        return cls.shared(prepared(path))


def test_a_recorder_takes_the_place_of_the_model_of_an_object_or_a_class():
    server = Server()
    assert kit.check(CLASSIFIER, CAT, server.predict, model=kit.recorder()).agrees
    assert kit.check(CLASSIFIER, CAT, server, network=kit.recorder()).agrees
    shared = kit.check(CLASSIFIER, CAT, Server.predict_shared, shared=kit.recorder())
    assert (shared.agrees, server.model, network, server.shared) == (
        True,
        "loaded",
        None,
        "loaded",
    )


def test_a_recorder_takes_the_place_of_a_global_variable_for_the_time_of_the_check():
    # As behind a decorator that hides the names of arguments.
    function = lambda *paths: predict(paths[0])
    found = kit.check(CLASSIFIER, CAT, function, network=kit.recorder())
    assert (found.main_step, network) == ("channels", None)
    without_image = kit.check(CLASSIFIER, CAT, lambda: network, network=kit.recorder())
    assert without_image.main_step == "function"
    with pytest.raises(
        TypeError,
        match=r"^Expected names of the function's arguments or variables, received netwrok$",
    ):
        kit.check(CLASSIFIER, CAT, predict, netwrok=kit.recorder())
    with pytest.raises(
        RuntimeError,
        match="^Expected a recorder in a function that is checked"
        r", received a call outside; give kit.check the function$",
    ):
        kit.recorder()(np.zeros((8, 8)))
    # A notebook asks for ways to show it.
    assert not hasattr(kit.recorder(), "_repr_html_")
    assert repr(kit.recorder()) == "recorder()"


@pytest.mark.parametrize("answer", [np.zeros((1, 1000)), ("cat", 0.9), {"cat": 0.9}])
def test_code_that_predicts_is_told_of_the_recorder(answer):
    found = kit.check(CLASSIFIER, CAT, lambda _: answer)
    assert "if it predicts, give it a kit.recorder() as its model" in str(found)


RETURNED = [
    lambda path: (cv2.imread(path), prepared(path), (300, 451)),
    lambda path: [prepared(path)[0], (300, 451)],
    # Batches that can be made again, as of a data set.
    lambda path: {"batch": prepared(path)}.values(),
    lambda path: {
        "image": cv2.imread(path)[None] / 1.0,
        "pixel_values": [prepared(path)[0]],
    },
    # A batch before an image, and what is scaled before what is not.
    lambda path: (2 * prepared(path)[0], prepared(path)),
    lambda path: (resized(path)[None], prepared(path)),
    # As of PyTorch.
    lambda path: SimpleNamespace(
        detach=lambda: SimpleNamespace(cpu=lambda: prepared(path))
    ),
]


@pytest.mark.parametrize("function", RETURNED)
def test_of_several_values_the_one_counts_that_fits(function):
    assert HERE.compare(function, CAT).equal


NO_IMAGE = "which is not one image of 1 or 3 channels, first or last, and sides of 4 to 4096 pixels"
USABLE = [
    (np.zeros((4, 4)), ""),
    (np.zeros((1, 3, 4, 5), bool), ""),
    (np.zeros((1, 4096, 4, 1), np.uint8), ""),
    (np.zeros((4, 3)), f"shape (4, 3), {NO_IMAGE}"),
    (np.zeros((5, 5, 4)), f"shape (5, 5, 4), {NO_IMAGE}"),
    (np.zeros((2, 4, 4, 3)), f"shape (2, 4, 4, 3), {NO_IMAGE}"),
    (np.zeros((4097, 4)), f"shape (4097, 4), {NO_IMAGE}"),
    (np.array("cat"), "text instead of numbers"),
    (np.zeros((4, 4), complex), "complex128 instead of numbers"),
    (np.diag([np.nan, np.inf, 1e39, 0]), "3 values that are not finite in float32"),
]


@pytest.mark.parametrize(("array", "words"), USABLE)
def test_what_is_no_image_says_why(array, words):
    assert why_unusable(array) == words


def test_numbers_of_16_bits_that_numpy_does_not_have_are_numbers():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    eighths = np.arange(16).reshape(4, 4) / 8
    read = numpy_of(eighths.astype(bfloat16))
    assert (read.dtype, why_unusable(read)) == (np.float32, "")
    assert read.tolist() == eighths.tolist()


def test_leading_sides_of_one_are_one_batch():
    tensor = HERE.apply(CAT)[None, None]
    assert HERE.compare(tensor, CAT).equal


def test_code_may_change_the_batch_that_it_is_given():
    def blackened(batch):
        _, height, _, _ = batch.shape
        batch[:, : height // 2] = 0
        return batch / 255.0

    assert call(blackened, CAT).given_as == "a batch"


def test_a_batch_of_grey_has_no_channels():
    small = Preprocessing((28, 28), channels="gray", scaling="0..1")

    def shade(path):
        return Image.open(path).resize((28, 28), Image.Resampling.BILINEAR).convert("L")

    first = small.replace(layout="channels_first")
    for expected in (small, first):
        batch = lambda path: np.asarray(shade(path))[None] / 255.0
        assert expected.compare(batch, CAT).equal


def unfinished(_given):
    raise IndexError


def test_what_was_returned_is_named_before_what_was_raised():
    # Arrays have no upper case, texts and bytes have.
    problem = call(lambda given: given.upper(), CAT).problem
    assert problem.startswith("returned text instead of numbers (given a path); ")
    assert "raised" not in problem
    line = unfinished.__code__.co_firstlineno + 1
    # The line is of the function's own file, not of NumPy's, where the decorator lies.
    for function in (unfinished, np.errstate()(unfinished)):
        problem = call(function, CAT).problem
        assert f"raised IndexError in line {line} (given" in problem


def test_an_error_names_a_file_without_its_temporary_folder():
    def unreadable(path):
        raise OSError(f"cannot read {path}")

    problem = call(unreadable, CAT, "a path").problem
    assert "cannot read picture.jpg (given a path)" in problem


def exchanged(image):
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def resized_and_exchanged(image):
    if image.ndim > 3:
        return resized_and_exchanged(image[0])
    return exchanged(cv2.resize(image, SIDES))


def test_frames_of_opencv_are_bgr():
    def from_camera(frame):
        return cv2.resize(frame, SIDES)[..., ::-1] / 255.0

    of_helpers = lambda image: resized_and_exchanged(image) / 255.0

    class FromCamera:
        def __call__(self, image):
            return resized_and_exchanged(image) / 255.0

    for function in (from_camera, partial(from_camera), of_helpers, FromCamera()):
        assert call(function, CAT).given_as == "a BGR array"
        assert HERE.compare(function, CAT).equal

    def blackened(frame):  # in place, by code that takes no other layout
        cv2.rectangle(frame, (0, 0), (3, 3), 0, -1)
        return cv2.resize(frame, SIDES)[..., ::-1] / 255.0

    assert call(blackened, CAT).given_as == "a BGR array"

    def to_bgr(image):
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        return bgr / 255.0

    for function in (to_bgr, lambda frame: frame / 255.0, HERE):
        assert call(function, CAT).given_as == "an RGB array"
