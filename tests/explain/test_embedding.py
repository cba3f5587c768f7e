"""Places on a map: PCA as scikit-learn finds it, from features of any size, and neighborhoods that t-SNE keeps."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from core.explain import embedding
from core.explain.embedding import STEPS
from core.features import streamed
from core.progress import Cancelled, Silent
from tests.recorder import Recorder


def clusters(n: int, width: int, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Features of k kinds of pictures that vary in 20 directions, and the kind of each."""
    rng = np.random.default_rng(0)
    kinds = np.arange(n) % k
    varied = rng.normal(size=(n, 20)) * np.linspace(2, 0.5, 20) @ rng.normal(size=(20, width)) / 4
    return (rng.normal(size=(k, width))[kinds] + varied).astype(np.float32), kinds


def test_components_are_those_of_scikit_learn_up_to_their_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    features, _ = clusters(300, 120)
    monkeypatch.setattr(streamed, "_PART_BYTES", 4 * 120 * 70)  # several parts, the last one smaller
    ours = embedding.components(features, 5)
    theirs = PCA(5, svd_solver="full").fit_transform(features)
    assert ours.shape == (300, 5) and ours.dtype == np.float32
    for mine, yours in zip(ours.T, theirs.T, strict=True):
        assert abs(np.corrcoef(mine, yours)[0, 1]) > 0.999
        assert mine.std() == pytest.approx(yours.std(), rel=1e-3)
    np.testing.assert_array_equal(ours, embedding.components(features, 5))  # the same map each time


def test_components_of_maps_of_activations_and_of_few_pictures() -> None:
    features, _ = clusters(6, 24)
    wide = embedding.components(features.reshape(6, 2, 3, 4))
    assert wide.shape == (6, 6)
    np.testing.assert_allclose(wide, embedding.components(features), atol=1e-4)
    assert embedding.places(embedding.components(features[:1])).tolist() == [[0.0, 0.0]]


def test_neighborhoods_keep_kinds_together_and_report_every_step() -> None:
    features, kinds = clusters(400, 100)
    told = Recorder()
    told.stage("map_tsne", STEPS)
    places = embedding.neighborhoods(embedding.components(features), told)
    assert places.shape == (400, 2) and np.isfinite(places).all()
    assert KNeighborsClassifier(5).fit(places[::2], kinds[::2]).score(places[1::2], kinds[1::2]) > 0.97
    assert 0.9 * STEPS <= told.ticks["map_tsne"] <= 1.1 * STEPS


def test_neighborhoods_can_be_stopped_on_the_way() -> None:
    features, _ = clusters(100, 30)
    told = Recorder(cancel_after=100)
    told.stage("map_tsne", STEPS)
    with pytest.raises(Cancelled):
        embedding.neighborhoods(embedding.components(features), told)
    assert told.ticks["map_tsne"] == 100


def test_a_handful_of_pictures_lies_as_its_components_do() -> None:
    features, _ = clusters(4, 30)
    wide = embedding.components(features)
    np.testing.assert_array_equal(embedding.neighborhoods(wide, Silent()), wide[:, :2])
