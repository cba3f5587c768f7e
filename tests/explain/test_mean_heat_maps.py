"""Where a model looks on average: a mark that stands in all pictures of a class is seen, and a look goes on."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageDraw

from core.explain import mean_heat_maps
from core.explain.mean_heat_maps import MeanHeatMap
from core.explain.predictor import Predictor
from core.jobs import queue
from core.jobs.kinds import INTAKE, Delivery
from core.plan import Plan
from core.runs import requests
from core.scores.evaluation import Evaluation
from core.store.store import Store
from tests import drawing
from tests.workers import wait

pytestmark = pytest.mark.usefixtures("in_process")


def scores(folder: Path) -> Evaluation:
    return Evaluation.from_dict(json.loads((folder / "evaluation-test.json").read_bytes()))


def gaze(heat: list[list[float]]) -> MeanHeatMap:
    values = np.array(heat, np.float32)
    return MeanHeatMap("a", 9, values / values.sum(), np.zeros((8, 8, 3), np.uint8))


def test_a_single_cell_of_a_fine_map_is_no_peak_but_a_corner_of_it_is() -> None:
    heat = np.zeros((28, 28))
    heat[8:20, 8:20] = 1
    heat[0, 27] = 5
    cell = gaze(heat.tolist())
    assert not cell.is_odd and cell.peak == (2, 2, pytest.approx(49 * 16 / 149))
    heat[:4, 24:] = 5
    corner = gaze(heat.tolist())
    assert corner.is_odd and corner.peak == (0, 6, pytest.approx(49 * 80 / 224))
    assert gaze(np.eye(8).tolist()).coarse.shape == (8, 8)  # a map that is coarse already stays as it is


@pytest.fixture(scope="module")
def run_folder(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    home = shutil.copytree(trained, tmp_path_factory.mktemp("attention") / "home")
    store = Store(home)
    return store, store.folder(store.runs(store.projects()[0].id)[0].id)


def test_a_mark_in_the_corner_of_all_pictures_of_a_class_is_seen(store: Store, tmp_path: Path) -> None:
    for number in range(40):
        label = "marked" if number % 2 else "plain"
        picture = drawing.draw("circle", number)
        if label == "marked":
            ImageDraw.Draw(picture).rectangle((0, 0, 14, 14), (250, 220, 0))
        (tmp_path / "set" / label).mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / "set" / label / f"{number}.png")
    project = store.add_project("p").id
    wait(store, queue.start(store, project, INTAKE, Delivery(str(tmp_path / "set"), "b")))
    run, job = requests.train(store, project, Plan(epochs=20))
    assert job is not None and wait(store, job).state == "succeeded"
    folder = store.folder(run.id)
    with Predictor(folder) as predictor:
        chosen = mean_heat_maps.choose(scores(folder), "Starter")
        found = mean_heat_maps.look(predictor, store.pictures, chosen, folder, lambda n: None)
    marked, plain = found
    assert (marked.label, plain.label) == ("marked", "plain")
    row, column, times = marked.peak
    assert marked.is_odd and max(row, column) <= 1 and times > 5  # of 8 rows and columns
    assert plain.peak[2] < times


def test_pictures_without_a_mark_show_none(run_folder: tuple[Store, Path]) -> None:
    store, folder = run_folder
    chosen = mean_heat_maps.choose(scores(folder), "Starter")
    with Predictor(folder) as predictor:
        found = mean_heat_maps.look(predictor, store.pictures, chosen, folder, lambda n: None)
    assert [each.label for each in found] == ["circle", "square", "triangle"]
    assert sum(each.n for each in found) == 6 and not any(each.is_odd for each in found)
    for each in found:
        assert each.heat.sum() == pytest.approx(1, abs=1e-5) and each.mean.shape == (96, 96, 3)


def test_a_look_that_was_broken_off_goes_on_with_the_next_class(run_folder: tuple[Store, Path], tmp_path: Path) -> None:
    store, folder = run_folder
    chosen = mean_heat_maps.choose(scores(folder), "Starter")
    first = len(chosen["circle"])
    ticks: list[int] = []

    def stop(n: int) -> None:
        ticks.append(n)
        if n == first:
            raise KeyboardInterrupt

    with Predictor(folder) as predictor:
        with pytest.raises(KeyboardInterrupt):
            mean_heat_maps.look(predictor, store.pictures, chosen, tmp_path, stop)
        assert [each.label for each in mean_heat_maps.read(tmp_path)] == ["circle"]
        ticks.clear()
        found = mean_heat_maps.look(predictor, store.pictures, chosen, tmp_path, ticks.append)
    assert ticks == [*range(first, 6), 6]
    again = mean_heat_maps.read(tmp_path)
    assert [each.label for each in again] == [each.label for each in found]
    for a, b in zip(found, again, strict=True):
        assert (a.n, a.border) == (b.n, b.border)
        np.testing.assert_array_equal(a.mean, b.mean)


def test_pictures_are_chosen_by_class_in_bounds_and_always_the_same() -> None:
    truth = np.repeat([0, 1], [100, 3])
    many = Evaluation(("a", "b", "c"), tuple(map(str, range(103))), truth, np.ones((103, 3), np.float32) / 3)
    chosen = mean_heat_maps.choose(many, "Starter")
    assert {label: len(ids) for label, ids in chosen.items()} == {"a": 48, "b": 3}
    assert mean_heat_maps.choose(many, "Starter") == chosen
    assert all(int(key) < 100 for key in chosen["a"]) and sorted(chosen["b"]) == ["100", "101", "102"]


def test_what_is_odd_is_much_in_one_place_of_the_border_or_more_there_than_its_area() -> None:
    even = np.ones((7, 7))
    assert not gaze(even.tolist()).is_odd and gaze(even.tolist()).peak[2] == pytest.approx(1)
    center, corner, frame = even.copy(), even.copy(), even.copy()
    center[3, 3] = corner[0, 6] = 8
    frame[[0, -1], :] = 2
    assert not gaze(center.tolist()).is_odd
    assert gaze(corner.tolist()).is_odd and gaze(corner.tolist()).peak[:2] == (0, 6)
    assert gaze(frame.tolist()).is_odd
