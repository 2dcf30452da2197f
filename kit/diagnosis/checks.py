"""All checks that need no search, in one call: file, tensor, graph, chance, weights, head and class order."""

import numpy as np

from kit.classifier import Classifier, known_preprocessing
from kit.classifier.architecture import architecture_and_weights, layers_of
from kit.classifier.labels import Truth
from kit.diagnosis.checks_input import check_files, check_tensors
from kit.diagnosis.checks_network import (
    check_determinism,
    check_head,
    check_nan,
    check_norms,
    check_trained,
    no_numbers,
)
from kit.diagnosis.class_order import check_class_order
from kit.diagnosis.finding import Finding, Photos, ranked
from kit.diagnosis.inside import check_graph, read_inside

_PICTURES = 16
"""Images that are looked at where more would only repeat it."""


def certain_checks(classifier: Classifier, photos: Photos, labels: Truth = ()) -> tuple[Finding, ...]:
    """Run every certain check with the preprocessing in use.

    Returns named findings first, then possible ones, then what was ruled out; among equals in the order of
    the data: file, tensor, graph, chance, weights, head, moving averages, class order.
    """
    used = known_preprocessing(classifier)
    config, weights = architecture_and_weights(classifier)
    lost = check_nan(weights)
    if lost is not None:
        return (lost,)
    few = tuple(photos[:_PICTURES])
    layers = layers_of(config)
    tensors = np.concatenate([classifier.tensor(photo) for photo in few])
    outputs = classifier.network.engine.predict(tensors)
    if np.isfinite(tensors).all() and not np.isfinite(outputs).all():
        # The square of a larger weight is infinite in float32.
        return (check_nan(weights, 1e19) or no_numbers(outputs),)
    found = [
        *check_files(classifier, photos, labels),
        *check_tensors(few, used),
        check_graph(read_inside(layers, weights), used),
        check_determinism(classifier, tensors, layers),
        check_trained(layers, weights),
        check_head(layers, outputs, config.get("compile_config")),
        check_norms(layers, weights),
    ]
    if labels:
        answers = classifier.probabilities(photos)
        found.append(check_class_order(answers, labels, classifier.class_names))
    return ranked(finding for finding in found if finding is not None)
