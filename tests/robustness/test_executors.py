"""Sweeps and mistakes in spawned processes and on a Dask cluster: the same rows as in this thread."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from distributed import Client, LocalCluster
from PIL import Image

import kit
from kit import samples

GRID = {
    "brightness": np.linspace(0.4, 2, 5),
    "noise": np.linspace(0, 50, 30),
}  # two blocks a picture


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Clothes as a file, as its contents, as a photo; and a file that is none."""
    folder = tmp_path_factory.mktemp("clothes")
    photos = samples.photos("fashion_mnist")
    path = folder / "first.png"
    Image.fromarray(photos[0].pixels).save(path)
    (folder / "broken.png").write_bytes(b"no image")
    return [path, path.read_bytes(), photos[1], folder / "broken.png"]


@pytest.fixture(scope="module")
def serial(sources):
    return swept(sources)


def same(one, other):
    assert one.to_dict() == other.to_dict()


def swept(sources, executor=None):
    clothes = samples.classifier("fashion_mnist")
    return kit.sweep(
        clothes,
        sources,
        GRID,
        labels=[9, 9, 2, None],
        executor=executor,
    )


def photographs(classifier, executor=None):
    """Photos, whose forward passes take more than one thread."""
    photos, labels = samples.photos("imagenet")[3:5], samples.labels("imagenet")[3:5]
    grid = {"rotation": (-20, 0, 20), "jpeg_quality": (90, 10)}
    return kit.sweep(classifier, photos, grid, labels=labels, executor=executor)


def spawning(workers):
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def test_spawned_processes_give_the_same_rows(classifier, sources, serial):
    assert serial.errors
    with spawning(2) as executor:
        same(swept(sources, executor), serial)
        same(photographs(classifier, executor), photographs(classifier))


def test_a_dask_client_gives_the_same_rows_and_mistakes(sources, serial):
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            host="127.0.0.1",
        ) as cluster,
        Client(cluster) as client,
    ):
        assert len(client.scheduler_info()["workers"]) == 2
        same(swept(sources, client), serial)
        fashion = samples.classifier("fashion_mnist")
        labelled = fashion, sources, [9, 9, 2, 0]
        same(
            kit.mistakes(*labelled, executor=client),
            kit.mistakes(*labelled),
        )


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(),
    reason="needs a system that forks",
)
def test_a_pool_that_forks_is_refused(sources):
    with (
        ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("fork")
        ) as executor,
        pytest.raises(
            ValueError,
            match=(
                r"Expected a process pool that spawns, received one that forks; give it "
                r"mp_context=multiprocessing.get_context\('spawn'\)$"
            ),
        ),
    ):
        swept(sources, executor)


def test_another_process_opens_a_classifier_once_for_all_its_tasks():
    shared = samples.classifier("fashion_mnist")
    first, second = (pickle.loads(pickle.dumps(shared)) for _ in range(2))  # noqa: S301 (made here)
    assert first is second
    assert first is not shared
    assert first.source.digest == shared.source.digest


def test_another_process_that_has_another_network_there_says_so(tmp_path):
    own = tmp_path / "own.keras"
    samples.classifier("fashion_mnist").save(own)
    sent = pickle.dumps(kit.Classifier.load(own))
    samples.classifier("fashion_mnist_500").save(own)
    with pytest.raises(
        ValueError, match=r"^Expected the network in 'own\.keras' that was sent here, "
    ):
        pickle.loads(sent)  # noqa: S301 (made here)
