"""The numpy head: as good as scikit-learn, its gradients right, and reproducible."""

import contextlib
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from core.errors import HeadstartError
from core.features.feature_cache import Cache, Recipe, Rows, View
from core.features.streamed import Standard
from core.learning import head
from core.learning.head import Head, Labeled
from core.plan import PRESETS, Plan
from core.progress import Cancelled, Silent
from tests.recorder import Recorder

WIDTH, CLASSES = 24, 3
NOTHING = Labeled(np.empty((0, WIDTH), np.float32), np.empty(0, np.int64))


def blobs(seed: int, n: int = 120, spread: float = 1.5) -> Labeled:
    """Overlapping clouds with the same centers for every seed, on a scale far from 0 and 1."""
    centers = np.random.default_rng(99).normal(size=(CLASSES, WIDTH))
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % CLASSES
    features = centers[targets] + rng.normal(size=(n, WIDTH)) * spread
    return Labeled((5 + 3 * features).astype(np.float32), targets)


def random_layers(rng: np.random.Generator, *sizes: int) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    return [
        (rng.normal(size=(a, b)).astype(np.float32) * 0.5, rng.normal(size=b).astype(np.float32) * 0.5)
        for a, b in itertools.pairwise(sizes)
    ]


def weights(fitted: head.Fitted) -> list[NDArray[np.float32]]:
    return [array for layer in fitted.head.layers for array in layer]


def accuracy(model: Head, data: Labeled) -> float:
    return float((model.probabilities(data.features).argmax(axis=1) == data.targets).mean())


def test_the_linear_head_is_as_accurate_as_logistic_regression() -> None:
    ours, theirs = [], []
    for seed in range(5):
        x, y = make_classification(
            1400, 64, n_informative=20, n_redundant=10, n_classes=4, class_sep=1.2, flip_y=0.05, random_state=seed
        )
        x = (x * np.linspace(0.1, 20, 64) + 7).astype(np.float32)
        train, test = Labeled(x[:400], y[:400]), Labeled(x[400:], y[400:])
        plan = Plan(seed=seed)
        scaler = StandardScaler().fit(train.features)
        reference = LogisticRegression(C=1 / plan.regularization, max_iter=1000)
        reference.fit(scaler.transform(train.features), train.targets)
        theirs.append(reference.score(scaler.transform(test.features), test.targets))
        ours.append(accuracy(head.fit(train, Labeled(x[:0], y[:0]), 4, plan, Silent()).head, test))
        assert ours[-1] > theirs[-1] - 0.02
    assert np.mean(theirs) > 0.6  # the task can be learned, so the comparison says something
    assert np.mean(ours) > np.mean(theirs) - 0.01


def test_unfold_is_the_inverse_of_fold() -> None:
    rng = np.random.default_rng(0)
    standard = Standard.of((rng.normal(size=(50, 6)) * [1, 2, 5, 0.1, 30, 1] + 4).astype(np.float32))
    layers = random_layers(rng, 6, 4, 3)
    back = standard.unfold(standard.fold(layers))
    for (kernel, bias), (kernel_2, bias_2) in zip(layers, back, strict=True):
        np.testing.assert_allclose(kernel_2, kernel, atol=1e-6)
        np.testing.assert_allclose(bias_2, bias, atol=1e-4)


def test_a_folded_head_says_of_raw_features_what_the_head_says_of_standardized_ones() -> None:
    rng = np.random.default_rng(1)
    x = (rng.normal(size=(40, 6)) * 3 + 10).astype(np.float32)
    standard, layers = Standard.of(x), random_layers(rng, 6, 4, 3)
    expected = Head(tuple(layers)).probabilities((x - standard.mean) / standard.deviation)
    np.testing.assert_allclose(Head(standard.fold(layers)).probabilities(x), expected, atol=1e-5)


def test_a_feature_that_never_varies_is_not_blown_up() -> None:
    data = blobs(0)
    data.features[:, 3] = 2.0
    model = head.fit(data, NOTHING, CLASSES, Plan(epochs=5), Silent()).head
    other = data.features[:10].copy()
    other[:, 3] += 1e-4
    np.testing.assert_allclose(model.probabilities(other), model.probabilities(data.features[:10]), atol=0.02)


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not() -> None:
    plan = Plan(epochs=3, hidden_units=8, dropout=0.2)
    first, again = (head.fit(blobs(0), blobs(1), CLASSES, plan, Silent()) for _ in range(2))
    other = head.fit(blobs(0), blobs(1), CLASSES, plan.with_(seed=1), Silent())
    assert all(a.tobytes() == b.tobytes() for a, b in zip(weights(first), weights(again), strict=True))
    assert first.history == again.history
    assert not np.allclose(weights(first)[0], weights(other)[0], atol=1e-3)


def test_the_best_epoch_is_the_one_with_the_lowest_val_loss_and_its_weights_are_kept() -> None:
    plan = Plan(epochs=60, hidden_units=64, learning_rate=1e-2, regularization=0.0)
    train, val = blobs(0, n=30, spread=3), blobs(1, spread=3)
    fitted = head.fit(train, val, CLASSES, plan, Silent())
    losses = [row["val_loss"] for row in fitted.history]
    assert fitted.best_epoch == int(np.argmin(losses)) + 1 < 60
    assert losses[-1] > 1.1 * min(losses)  # it did memorize, so keeping the last would have been seen
    chosen = fitted.head.probabilities(val.features)[np.arange(len(val.targets)), val.targets]
    assert -np.log(chosen).mean() == pytest.approx(min(losses), abs=1e-4)
    assert accuracy(fitted.head, val) == fitted.history[fitted.best_epoch - 1]["val_accuracy"]


@pytest.mark.parametrize("shape", [(0, WIDTH), (0,)])  # a cache that is asked for no rows does not know their width
def test_an_empty_val_part_keeps_the_last_epoch(shape: tuple[int, ...]) -> None:
    nothing = Labeled(np.empty(shape, np.float32), np.empty(0, np.int64))
    fitted = head.fit(blobs(0), nothing, CLASSES, Plan(epochs=7), Silent())
    assert fitted.best_epoch == 7
    assert all(set(row) == {"loss", "accuracy"} for row in fitted.history)
    shorter = head.fit(blobs(0), nothing, CLASSES, Plan(epochs=6), Silent())
    assert not np.array_equal(weights(fitted)[0], weights(shorter)[0])


def test_a_hidden_layer_learns_what_a_linear_head_cannot() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 2)).astype(np.float32)
    data = Labeled(x, (x[:, 0] * x[:, 1] > 0).astype(np.int64))
    plan = Plan(epochs=60, hidden_units=32, learning_rate=1e-2, regularization=0.0)
    assert accuracy(head.fit(data, NOTHING, 2, plan, Silent()).head, data) > 0.95
    assert accuracy(head.fit(data, NOTHING, 2, plan.with_(hidden_units=0), Silent()).head, data) < 0.7


def test_dropout_keeps_the_head_from_memorizing() -> None:
    train, plan = blobs(0, n=45, spread=3), Plan(epochs=60, hidden_units=64, learning_rate=1e-2, regularization=0.0)
    without = head.fit(train, NOTHING, CLASSES, plan, Silent())
    dropped = head.fit(train, NOTHING, CLASSES, plan.with_(dropout=0.5), Silent())
    assert without.history[-1]["loss"] < 0.01
    assert dropped.history[-1]["loss"] > 5 * without.history[-1]["loss"]
    assert accuracy(dropped.head, train) > 0.9  # nothing is dropped when predicting


def test_stronger_regularization_gives_smaller_weights() -> None:
    plan = Plan(epochs=100, learning_rate=1e-2)
    norms = [
        float(np.linalg.norm(weights(head.fit(blobs(0), NOTHING, CLASSES, plan.with_(regularization=r), Silent()))[0]))
        for r in (0.0, 50.0, 5000.0)
    ]
    assert norms[0] > 1.2 * norms[1] > 1.2 * norms[2]


def test_npz_brings_back_the_same_head_and_holds_no_pickle() -> None:
    original = Head(tuple(random_layers(np.random.default_rng(0), 6, 4, 3)))
    data = original.to_bytes()
    back = Head.from_bytes(data)
    assert len(back.layers) == 2
    for a, b in zip(original.layers, back.layers, strict=True):
        assert a[0].tobytes() == b[0].tobytes() and a[1].tobytes() == b[1].tobytes()
    assert data[:2] == b"PK" and b"numpy.core" not in data and b"numpy._core" not in data


@pytest.mark.parametrize(("units", "widths"), [(0, [5, 3]), (4, [5, 4, 3])])
def test_the_widths_of_a_head_are_read_from_its_file_alone(tmp_path: Path, units: int, widths: list[int]) -> None:
    rng = np.random.default_rng(0)
    rows = Labeled(rng.normal(size=(12, 5)).astype(np.float32), np.arange(12) % 3)
    model = head.fit(rows, rows, 3, Plan(hidden_units=units, epochs=1), Silent()).head
    path = tmp_path / "head.npz"
    path.write_bytes(model.to_bytes())
    assert head.sizes(path) == widths
    assert head.n_weights(widths) == sum(kernel.size + bias.size for kernel, bias in model.layers)


def test_cancelling_stops_at_the_epoch_that_was_reported_last() -> None:
    watch = Recorder(cancel_after=3)
    with pytest.raises(Cancelled):
        head.fit(blobs(0), blobs(1), CLASSES, Plan(epochs=9), watch)
    assert [row["epoch"] for row in watch.epochs] == [1, 2]


def test_every_epoch_is_reported_with_the_scores_of_the_history() -> None:
    watch = Recorder()
    fitted = head.fit(blobs(0), blobs(1), CLASSES, Plan(epochs=4), watch)
    assert watch.stages == [("head", 4)] and watch.ticks == {"head": 4}
    assert watch.epochs == [{"epoch": i, **row} for i, row in enumerate(fitted.history, start=1)]


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.float32]]:
    """The gradients of the last steps, kernel and bias of each layer; no step is taken."""
    kept: list[NDArray[np.float32]] = []
    monkeypatch.setattr(head, "_adam_step", lambda weight, gradient, *rest: kept.append(gradient.copy()))
    return kept


@pytest.mark.parametrize(("layers", "smoothing"), [(0, 0.0), (0, 0.2), (1, 0.0), (2, 0.1), (3, 0.0)])
def test_the_backward_pass_agrees_with_finite_differences(
    layers: int, smoothing: float, gradients: list[NDArray[np.float32]]
) -> None:
    rng = np.random.default_rng(3)
    x, targets = rng.normal(size=(8, 6)).astype(np.float32), rng.integers(0, 3, 8)
    hidden = {"hidden_units": 5, "hidden_layers": layers} if layers else {}
    plan = Plan(**hidden, label_smoothing=smoothing, regularization=20.0)
    weights = np.array([0.5, 1.0, 2.0], np.float32)
    trainer = head._Trainer(6, weights, 8, plan)
    trainer.layers = random_layers(rng, *[6, *[5] * layers, 3])
    pull = 20.0 / 8 * (0.01 if layers else 1)
    aims = np.eye(3)[targets] * (1 - smoothing) + smoothing / 3

    def loss() -> float:
        value = x.astype(np.float64)
        for i, (kernel, bias) in enumerate(exact):
            value = value @ kernel + bias
            value = value if i == len(exact) - 1 else np.maximum(value, 0)
        log_sum = np.log(np.exp(value).sum(axis=1))
        penalty = sum((kernel**2).sum() for kernel, _ in exact)
        losses = log_sum - (aims * value).sum(axis=1)
        return float((weights[targets] * losses).mean() + pull / 2 * penalty)

    trainer._step(x, targets, rng)
    exact = [(kernel.astype(np.float64), bias.astype(np.float64)) for kernel, bias in trainer.layers]
    for values, ours in zip([array for layer in exact for array in layer], gradients, strict=True):
        numeric = np.zeros_like(values)
        for index in np.ndindex(values.shape):
            kept = values[index]
            values[index] = kept + 1e-5
            above = loss()
            values[index] = kept - 1e-5
            numeric[index] = (above - loss()) / 2e-5
            values[index] = kept
        np.testing.assert_allclose(ours, numeric, atol=2e-5)
        assert np.abs(numeric).max() > 0.01


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_gradients_and_shapes_are_those_of_keras_with_label_smoothing(
    layers: int, gradients: list[NDArray[np.float32]]
) -> None:
    import keras
    import tensorflow as tf

    rng = np.random.default_rng(6)
    x, targets = rng.normal(size=(8, 6)).astype(np.float32), rng.integers(0, 3, 8)
    hidden = {"hidden_units": 5, "hidden_layers": layers} if layers else {}
    trainer = head._Trainer(6, np.ones(3, np.float32), 8, Plan(**hidden, label_smoothing=0.3, regularization=0.0))
    dense = [keras.layers.Dense(5, "relu") for _ in range(layers)]
    model = keras.Sequential([keras.Input((6,)), *dense, keras.layers.Dense(3)])
    assert [w.shape for w in model.get_weights()] == [a.shape for layer in trainer.layers for a in layer]
    trainer.layers = random_layers(rng, *[6, *[5] * layers, 3])
    model.set_weights([array for layer in trainer.layers for array in layer])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3)
    with tf.GradientTape() as tape:
        value = loss(keras.ops.one_hot(targets, 3), model(x))
    expected = tape.gradient(value, [v.value for v in model.trainable_variables])
    trainer._step(x, targets, rng)
    for ours, theirs in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(ours, np.asarray(theirs), atol=1e-6)
        assert np.abs(ours).max() > 0.01


def test_label_smoothing_keeps_the_head_from_being_sure_and_is_not_in_the_losses() -> None:
    data, plan = blobs(0, spread=0.5), Plan(epochs=200, learning_rate=1e-2, regularization=0.0)
    sure = head.fit(data, NOTHING, CLASSES, plan, Silent())
    smooth = head.fit(data, NOTHING, CLASSES, plan.with_(label_smoothing=0.3), Silent())
    assert sure.head.probabilities(data.features).max(axis=1).mean() > 0.97
    # The smoothed labels ask for 0.7 + 0.3 / 3.
    assert smooth.head.probabilities(data.features).max(axis=1).mean() == pytest.approx(0.8, abs=0.03)
    p = smooth.head.probabilities(data.features)[np.arange(len(data.targets)), data.targets]
    assert smooth.history[-1]["loss"] == pytest.approx(-np.log(p).mean(), abs=0.01)


def test_what_dropout_leaves_is_scaled_up_so_that_the_average_stays(gradients: list[NDArray[np.float32]]) -> None:
    rng = np.random.default_rng(4)
    x, targets = rng.normal(size=(8, 6)).astype(np.float32), rng.integers(0, 3, 8)
    even = np.ones(3, np.float32)
    plain, dropped = (head._Trainer(6, even, 8, Plan(dropout=share, regularization=0.0)) for share in (0.0, 0.5))
    plain._step(x, targets, rng)
    expected = gradients[0]  # weights are 0, so the gradient is linear in the inputs
    gradients.clear()
    for _ in range(4000):
        dropped._step(x, targets, rng)
    draws = gradients[::2]  # kernel, bias, kernel, ...
    np.testing.assert_allclose(np.mean(draws, axis=0), expected, atol=0.02)
    assert np.abs(expected).max() > 0.2
    assert np.std(draws, axis=0).min() > 0.01


def test_a_step_is_that_of_adam_as_keras_takes_it() -> None:
    import keras

    rng = np.random.default_rng(5)
    ours = rng.normal(size=(7, 3)).astype(np.float32)
    variable = keras.Variable(ours.copy())
    optimizer = keras.optimizers.Adam(0.01)
    trainer = head._Trainer(7, np.ones(3, np.float32), 8, Plan(regularization=0.0))
    trainer.layers = [(ours, np.zeros(3, np.float32))]
    m, v = np.zeros_like(ours), np.zeros_like(ours)
    for step in range(1, 6):
        gradient = rng.normal(size=(7, 3)).astype(np.float32)
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        scale = np.float32(0.01 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step) * head._SCALE)
        head._adam_step(ours, gradient.copy(), m, v, scale)
        np.testing.assert_allclose(ours, np.asarray(variable), atol=1e-5)


def test_large_layers_are_updated_by_several_threads_to_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    train = Labeled(rng.normal(size=(60, 150)).astype(np.float32), rng.integers(0, 3, 60))
    plan = Plan(hidden_units=70, epochs=3)
    monkeypatch.setattr(head, "_SMALL", 100)
    monkeypatch.setattr(head, "_CORES", 3)
    shared = head.fit(train, train, 3, plan, Silent()).head
    monkeypatch.setattr(head, "_CORES", 1)
    whole = head.fit(train, train, 3, plan, Silent()).head
    for (kernel, bias), (expected, expected_bias) in zip(shared.layers, whole.layers, strict=True):
        np.testing.assert_allclose(kernel, expected, atol=1e-5)
        np.testing.assert_allclose(bias, expected_bias, atol=1e-5)


def test_a_matrix_on_disk_trains_the_same_head_as_one_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    values = rng.normal(2, 3, size=(90, 20)).astype(np.float32)
    targets = rng.integers(0, 3, 90)
    cache, views = Cache(tmp_path, Recipe("0" * 64, "average", 16)), [View(f"{i:064}") for i in range(90)]
    for start in range(0, 90, 25):
        cache.add(views[start : start + 25], values[start : start + 25])
    on_disk = Rows(cache, [(i // 25, i % 25) for i in range(90)])
    plan = Plan(epochs=4)
    held = head.fit(Labeled(values, targets), Labeled(values, targets), 3, plan, Silent())
    read = head.fit(Labeled(on_disk, targets), Labeled(on_disk, targets), 3, plan, Silent())
    assert read.history == held.history
    np.testing.assert_array_equal(read.head.layers[0][0], held.head.layers[0][0])
    np.testing.assert_array_equal(read.head.probabilities(on_disk), held.head.probabilities(values))


def test_without_regularization_the_answer_does_not_depend_on_what_was_asked_before() -> None:
    rng = np.random.default_rng(9)
    data = Labeled(rng.normal(size=(60, 100)).astype(np.float32), rng.integers(0, 3, 60))
    plan = Plan(regularization=0.0)
    cold, after = head.solve(data, 3, plan), head.solve(data, 3, plan, head.solve(data, 3, Plan()))
    np.testing.assert_array_equal(after.layers[0][0], cold.layers[0][0])


def uneven(n: int = 400) -> Labeled:
    """Three overlapping classes, one of them rare: 9 to 9 to 1."""
    rng = np.random.default_rng(8)
    targets = rng.choice(3, n, p=[0.475, 0.475, 0.05])
    centers = rng.normal(size=(3, 16))
    return Labeled((centers[targets] + rng.normal(0, 1.5, (n, 16))).astype(np.float32), targets)


def test_balance_weighs_classes_from_as_they_are_to_all_the_same() -> None:
    targets = np.array([0] * 6 + [1] * 3 + [2])
    np.testing.assert_allclose(head.class_weights(targets, 3, 0.0), [1, 1, 1])
    np.testing.assert_allclose(head.class_weights(targets, 3, 1.0) * [6, 3, 1], [10 / 3] * 3, rtol=1e-6)
    half = head.class_weights(targets, 3, 0.5)
    assert half[0] < 1 < half[2] and half[targets].mean() == pytest.approx(1)


@pytest.mark.parametrize("exact", [True, False])
def test_balance_finds_more_of_a_rare_class(exact: bool) -> None:
    data = uneven()
    recall = []
    for balance in (0.0, 1.0):
        plan = Plan(balance=balance)
        fitted = head.solve(data, 3, plan) if exact else head.fit(data, data, 3, plan, Silent()).head
        predicted = fitted.probabilities(data.features).argmax(axis=1)
        recall.append((predicted[data.targets == 2] == 2).mean())
    assert recall[1] > recall[0] + 0.2


@pytest.mark.parametrize(("regularization", "balance"), [(50.0, 0.0), (2.0, 1.0)])
def test_solve_is_the_logistic_regression_of_scikit_learn(regularization: float, balance: float) -> None:
    data = uneven()
    ours = head.solve(data, 3, Plan(regularization=regularization, balance=balance))
    standard = Standard.of(data.features)
    weights = head.class_weights(data.targets, 3, balance)[data.targets]
    reference = LogisticRegression(C=1 / regularization, tol=1e-8, max_iter=5000)
    reference.fit(standard.apply(data.features), data.targets, sample_weight=weights)
    expected = reference.predict_proba(standard.apply(data.features))
    np.testing.assert_allclose(ours.probabilities(data.features), expected, atol=2e-3)


def test_solve_finds_the_lowest_smoothed_loss() -> None:
    data, plan = uneven(), Plan(regularization=20.0, label_smoothing=0.2)
    standard = Standard.of(data.features)
    x = np.asarray(standard.apply(data.features), np.float64)
    aims = np.eye(3)[data.targets] * 0.8 + 0.2 / 3

    def loss(model: Head, moved: tuple[int, int, float] = (0, 0, 0.0)) -> float:
        kernel, bias = standard.unfold(model.layers)[0]
        kernel = kernel.astype(np.float64)
        kernel[moved[:2]] += moved[2]
        logits = x @ kernel + bias
        cross = np.log(np.exp(logits).sum(axis=1)) - (aims * logits).sum(axis=1)
        return float(cross.mean() + 20.0 / len(x) / 2 * (kernel**2).sum())

    ours = head.solve(data, 3, plan)
    assert loss(ours) < loss(head.solve(data, 3, plan.with_(label_smoothing=0.0))) - 0.005
    assert all(loss(ours, (i, c, step)) > loss(ours) for i in range(16) for c in range(3) for step in (-0.02, 0.02))


def test_solve_finds_the_same_from_a_start_and_from_nothing() -> None:
    data = uneven()
    near = head.solve(data, 3, Plan(regularization=20.0))
    cold = head.solve(data, 3, Plan(regularization=50.0))
    warm = head.solve(data, 3, Plan(regularization=50.0), near)
    np.testing.assert_allclose(warm.probabilities(data.features), cold.probabilities(data.features), atol=2e-3)


@pytest.mark.parametrize("patience", [0, 3, 8])
def test_the_head_stops_once_val_loss_has_not_fallen_for_so_many_epochs(patience: int) -> None:
    plan = Plan(epochs=60, hidden_units=64, learning_rate=1e-2, regularization=0.0, patience=patience)
    fitted = head.fit(blobs(0, n=30, spread=3), blobs(1, spread=3), CLASSES, plan, Silent())
    whole = head.fit(blobs(0, n=30, spread=3), blobs(1, spread=3), CLASSES, plan.with_(patience=0), Silent())
    assert len(whole.history) == 60
    assert len(fitted.history) == (min(60, fitted.best_epoch + patience) if patience else 60)
    assert fitted.history == whole.history[: len(fitted.history)]  # it is the same training, cut off
    assert len(fitted.history) < 60 or not patience


def test_without_a_val_part_patience_stops_nothing() -> None:
    assert len(head.fit(blobs(0), NOTHING, CLASSES, Plan(epochs=9, patience=1), Silent()).history) == 9


def test_a_head_that_does_not_fit_the_memory_is_refused_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    textbook = PRESETS["textbook"]
    monkeypatch.setattr(head, "memory_bytes", lambda: 4 << 30)
    head.require_memory(7 * 7 * 512, 10, textbook)  # VGG16
    with pytest.raises(HeadstartError) as caught:
        head.require_memory(7 * 7 * 2048, 10, textbook)
    assert caught.value.message.startswith(
        "A head of 103 million weights needs about 3.3 GB of memory to train; the limit is 2.1 GB"
    )
    assert "average pooling" in caught.value.hint
    monkeypatch.setattr(head, "memory_bytes", lambda: 0)  # unknown
    head.require_memory(7 * 7 * 2048, 10, textbook)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak of one process")
def test_training_a_large_head_takes_no_more_memory_than_was_said() -> None:
    code = """
import re, numpy as np
from pathlib import Path
from core.learning import head
from core.learning.head import Labeled
from core.plan import Plan
from core.progress import Silent
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
data = Labeled(np.ones((4, 20_000), np.float32), np.array([0, 1, 0, 1]))
plan = Plan(hidden_units=1024, epochs=2)
head.fit(data, data, 2, plan.with_(hidden_units=1), Silent())
before = peak()
head.fit(data, data, 2, plan, Silent()).head.to_bytes()
print((peak() - before) / (20_000 * 1024))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 20 < float(done.stdout) < head._BYTES_PER_WEIGHT


def test_the_widths_of_a_head_are_read_from_its_file_and_of_a_damaged_one_are_an_error(tmp_path: Path) -> None:
    layers = tuple((np.zeros((a, b), np.float32), np.zeros(b, np.float32)) for a, b in ((5, 3), (3, 2)))
    path = tmp_path / "head.npz"
    path.write_bytes(Head(layers).to_bytes())
    assert head.sizes(path) == [5, 3, 2] and head.n_weights([5, 3, 2]) == 26
    whole, draw = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        bytes_now = bytearray(whole)
        for place in draw.integers(0, len(whole), 4):
            bytes_now[place] ^= int(draw.integers(1, 256))
        path.write_bytes(bytes(bytes_now))
        with contextlib.suppress(ValueError):
            head.sizes(path)
    path.write_bytes(b"PK\x05\x06" + bytes(18))  # an empty archive
    with pytest.raises(ValueError):
        head.sizes(path)
