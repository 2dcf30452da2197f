"""What is taken for the preprocessing of a classifier that comes without one."""

from kit.classifier import Classifier
from kit.classifier.architecture import architecture_and_weights, layers_of
from kit.diagnosis.checks.preprocessing_layers import read_inside
from kit.preprocessing import Preprocessing

OPEN_SIDE = 224
"""Height and width assumed where a network leaves them open, in pixels: the size of most that are in use."""


def assumed_preprocessing(classifier: Classifier) -> Preprocessing:
    """Return the classifier's own preprocessing, or the commonest guess where it is unknown.

    What the network itself tells counts: the sides and channels of its input, channels that come first, and
    the range that it expects where it scales inside. Open sides are taken to be `OPEN_SIDE`.
    """
    if classifier.preprocessing is not None:
        return classifier.preprocessing
    sides, layout = classifier.input_shape, "channels_last"
    if sides[2] not in {1, 3} and sides[0] in {1, 3}:
        sides, layout = (sides[1], sides[2], sides[0]), "channels_first"
    height, width, channels = sides
    config, weights = architecture_and_weights(classifier)
    return Preprocessing(
        size=(height or OPEN_SIDE, width or OPEN_SIDE),
        channels="gray" if channels == 1 else "rgb",
        scaling=read_inside(layers_of(config), weights).expected or "0..1",
        layout=layout,
    )
