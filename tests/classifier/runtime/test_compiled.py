import json

import pytest

from kit.classifier.conversion import Compiled

SMALL = Compiled("softmax", (28, 28, 1), 3, b"data", 1e-7)


def test_the_contract_gives_back_what_was_put_in():
    contract = json.loads(json.dumps(SMALL.to_contract()))
    assert Compiled.from_contract(contract, b"data") == SMALL
    failed = Compiled("logits", (None, None, 3), 5, reason="LiteRT has no operation FFT2D")
    assert Compiled.from_contract(json.loads(json.dumps(failed.to_contract()))) == failed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head": "softmaxx"}, "Expected 'head' as one of softmax, .*received 'softmaxx'"),
        ({"head": ["softmax"]}, "Expected 'head' as one of"),
        ({"input_shape": [28, 28]}, "Expected 'input_shape' as three sizes"),
        ({"input_shape": [28, 28, -1]}, "Expected 'input_shape' as three sizes"),
        ({"input_shape": [28, 28, True]}, "Expected 'input_shape' as three sizes"),
        ({"output_count": 0}, "Expected 'output_count' as a whole number above 0 in .*, received 0"),
        ({"output_count": "3"}, "Expected 'output_count'"),
        ({"max_difference": "small"}, "Expected 'max_difference' as a number"),
        ({"reason": 1}, "Expected 'reason' as a text"),
    ],
)
def test_values_of_another_kind_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Compiled.from_contract(SMALL.to_contract() | change)


@pytest.mark.parametrize(
    ("head", "outputs", "classes"),
    [("softmax", 3, 3), ("sigmoid", 1, 2), ("binary_logit", 1, 2), ("softmax", 1, 1), ("sigmoid", 4, 4)],
)
def test_one_output_stands_for_two_classes(head, outputs, classes):
    assert Compiled(head, (28, 28, 1), outputs).class_count == classes


def test_repr_tells_what_runs():
    assert repr(SMALL) == "Compiled(28x28x1 -> 3 softmax, LiteRT)"
