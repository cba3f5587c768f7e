import numpy as np

from core.scores import confusions
from core.scores.evaluation import Evaluation

# a and d are taken for each other three times, d and b once, c never.
TAKEN = [("a", "d"), ("a", "d"), ("d", "a"), ("b", "d"), ("a", "a"), ("c", "c")]


def scored() -> Evaluation:
    classes = ("a", "b", "c", "d")
    truth, said = (np.array([classes.index(pair[side]) for pair in TAKEN]) for side in (0, 1))
    return Evaluation(classes, tuple(map(str, range(len(TAKEN)))), truth, np.eye(4, dtype=np.float32)[said])


def test_pairs_come_by_how_often_they_are_confused_with_how_many_there_are() -> None:
    found = [(p.truth, p.predicted, p.n, p.support) for p in confusions.pairs(scored())]
    assert found == [("a", "d", 2, 3), ("b", "d", 1, 1), ("d", "a", 1, 1)]


def test_classes_that_are_confused_stand_beside_each_other() -> None:
    assert [scored().classes[i] for i in confusions.order(scored())] == ["d", "a", "b", "c"]
    assert confusions.confused(scored()) == {0, 1, 3}


def test_without_mistakes_classes_keep_their_order() -> None:
    perfect = Evaluation(("x", "y"), ("0", "1"), np.array([0, 1]), np.eye(2, dtype=np.float32))
    assert confusions.order(perfect) == [0, 1] and confusions.pairs(perfect) == [] and not confusions.confused(perfect)
