"""What the map is drawn from: places as the browser reads them, also while they are made anew."""

import base64
from pathlib import Path

import numpy as np
import pytest

from core.explain import picture_map
from core.store.store import Store
from pages.parts.frame import context
from pages.parts.results import map_panel

RUN = "0" * 32


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store(tmp_path)
    monkeypatch.setattr(context, "store", lambda: store)
    return store


def test_places_fill_a_square_and_keep_their_proportions(store: Store) -> None:
    picture_map.write(store.folder(RUN), "pca", np.array([[0, 1], [4, 1], [2, 3]], np.float32))
    text = map_panel._places(RUN, "pca")
    assert text is not None
    places = np.frombuffer(base64.b64decode(text), "<u2").reshape(-1, 2) / 65535
    assert np.allclose(places, [[0, 0.25], [1, 0.25], [0.5, 0.75]], atol=1e-4)


def test_a_layout_that_is_removed_while_the_page_is_drawn_counts_as_not_made_yet(store: Store) -> None:
    picture_map.write(store.folder(RUN), "pca", np.eye(2, dtype=np.float32))
    assert picture_map.exists(store, RUN, "pca")
    (store.folder(RUN) / "map-pca.npy").unlink()
    assert map_panel._places(RUN, "pca") is None
