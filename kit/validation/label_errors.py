"""Labels that look wrong."""

import numpy as np

from kit._arrays import Float32, Int64


def label_errors(labels: Int64, own: Float32, shares: Float32, best: Int64) -> Int64:
    """Return the places of images whose label looks wrong, the clearest first: int64.

    Confident learning (Northcutt, Jiang and Chuang, Confident learning: estimating uncertainty in dataset
    labels, 2021), with their *prune by noise rate*: of each pair of classes as many images as the confident
    ones among them speak for. It says nothing about images that the network was trained on.

    Parameters
    ----------
    labels
        Shape (N,): the given classes.
    own
        Shape (N,): probability of the given class, 0..1.
    shares, best
        Shape (N, K): probabilities of the most probable classes, in order, and these classes.
    """
    classes = int(max(labels.max(), best.max())) + 1
    given = np.bincount(labels, minlength=classes)
    # A class is confident where it is more probable than on average in the images that have its label.
    means = np.bincount(labels, own, classes) / np.maximum(given, 1)
    confident = shares >= np.where(given > 0, means, np.inf)[best] - 1e-6
    sure, lines = confident.any(axis=1), np.arange(len(labels))
    first = best[lines, confident.argmax(axis=1)]
    guess = np.where(confident.sum(axis=1) > 1, best[:, 0], first)
    joint = np.zeros((classes, classes))
    np.add.at(joint, (labels[sure], guess[sure]), 1)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    # In whole images, as many in each row as there are: the largest remainders are rounded up.
    fair = joint / joint.sum(axis=1, keepdims=True) * given[:, None]
    joint = np.floor(fair)
    ranks = (joint - fair)[:, ::-1].argsort(axis=1, kind="stable").argsort(axis=1)[:, ::-1]
    joint += ranks < (given - joint.sum(axis=1)).round()[:, None]
    np.fill_diagonal(joint, 0)
    groups = np.split(np.argsort(labels, kind="stable"), given.cumsum()[:-1])
    found = []
    for label, other in np.argwhere(joint):
        places = groups[label]
        margins = (shares[places] * (best[places] == other)).sum(axis=1) - own[places]
        found.append(places[np.argsort(-margins, kind="stable")[: int(joint[label, other])]])
    places = np.unique(np.concatenate([groups[0][:0], *found]))
    places = places[best[places, 0] != labels[places]]
    return np.asarray(places[np.argsort(own[places] - shares[places, 0], kind="stable")])
