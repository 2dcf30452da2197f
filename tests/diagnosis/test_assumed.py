"""What is assumed of a classifier without a preprocessing follows from its network."""

from kit import Classifier, samples
from kit.diagnosis.checks_input import assumed_preprocessing
from kit.preprocessing.scaling import SCALINGS
from tests.networks import imported_keras


def test_an_unknown_preprocessing_starts_from_the_commonest():
    known = samples.classifier("fashion_mnist")
    unknown = known.using(known.preprocessing)
    unknown.preprocessing = None
    assumed = assumed_preprocessing(unknown)
    assert assumed.input_shape == (28, 28, 1)
    assert assumed.scaling == SCALINGS["0..1"]


def test_what_is_assumed_follows_from_the_network():
    keras = imported_keras()

    def assumed(shape, *first):
        last = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, activation="softmax")]
        return assumed_preprocessing(Classifier(keras.Sequential([keras.Input(shape), *first, *last])))

    inside = assumed((32, 48, 3), keras.layers.Rescaling(1 / 127.5, offset=-1))
    assert inside.scaling == SCALINGS["0..255"]
    assert inside.size == (32, 48)
    assert assumed((None, None, 3)).size == (224, 224)
    first = assumed((3, 32, 48), keras.layers.Permute((2, 3, 1)))
    assert (first.layout, first.size, first.channels) == ("channels_first", (32, 48), "rgb")
