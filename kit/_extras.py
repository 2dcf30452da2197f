"""What the kit does without until it is needed, and how it is then installed."""

from importlib.util import find_spec

KERAS = ("keras", "tensorflow")
"""Modules that `require` is asked for where networks are opened by Keras, trained or compiled."""
_KIT = "classifier-investigation-kit"
_INSTALLED_BY = {
    "jupyterlab": f'"{_KIT}[lab]"',
    "keras": f'"{_KIT}[keras]" (a .tflite file that Classifier.save wrote needs none)',
    "matplotlib": "matplotlib",
    "onnxruntime": "onnxruntime",
    "packaging": "packaging",
    "pandas": "pandas",
    "psutil": "psutil",
    "tensorflow": f'"{_KIT}[keras]"',
}
"""What pip is given for each module. Where the kit is installed, pip looks up its extras nowhere else."""


def require(*modules: str) -> None:
    """Raise a ModuleNotFoundError, with what installs it, for the first module that is not there.

    Nothing is imported, and whatever has brought a module counts: TensorFlow comes under several names.
    """
    for module in modules:
        if find_spec(module) is None:
            raise ModuleNotFoundError(
                f"Expected {module}, received none; python -m pip install {_INSTALLED_BY[module]}"
            )
