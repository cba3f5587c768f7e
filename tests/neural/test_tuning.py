"""Fine-tuning changes what it may, keeps the best epoch, and goes on where it was stopped."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from core import backbones
from core.features.streamed import Standard
from core.learning import head
from core.learning.head import Head, Labeled
from core.neural import networks, tuning
from core.neural.checkpoints import Checkpoints, State
from core.neural.tuning import Frozen, Tuned
from core.plan import Plan
from core.progress import Cancelled, Progress, Silent
from tests.recorder import Recorder

TINY = replace(backbones.STARTER, size=32)
BLOCK = TINY.blocks[1]  # top and block4, with convolutions and BatchNormalization in both
PLAN = Plan(
    fine_tune_blocks=2, fine_tune_epochs=4, fine_tune_rate=1e-3, fine_tune_schedule="constant", fine_tune_warmup=0,
    learning_rate=1e-2, batch_size=16, dropout=0.2,
)  # fmt: skip


def fine_tune(upper: keras.Model, frozen: Frozen, data: tuple[Labeled, Labeled], *more: Any) -> Tuned:
    """Fine-tuning on the same pictures in each epoch."""
    train, val = data
    return tuning.fine_tune(upper, frozen, (lambda _: train, val), *more)


@dataclass
class Memory:
    """Where checkpoints go in these tests."""

    data: bytes | None = None
    written: list[bytes] = field(default_factory=list)

    def checkpoints(self) -> Checkpoints:
        return Checkpoints(lambda: self.data, self.write)

    def write(self, data: bytes) -> None:
        self.data = data
        self.written.append(data)


@dataclass
class Setup:
    """The weights of Starter, pictures at its input, at the boundary and as features, a head that knows little, and a
    network for one test after the other."""

    weights: list[NDArray[np.float32]]
    pixels: dict[str, NDArray[np.uint8]]
    parts: dict[str, Labeled]
    features: dict[str, Labeled]
    frozen: Frozen
    shared: keras.Model

    @property
    def head(self) -> Head:
        return self.frozen.head

    def begun(self, head: Head) -> Frozen:
        """Another head on the same features."""
        return replace(self.frozen, head=head)

    def network(self) -> keras.Model:
        network = networks.build(TINY, None)
        network.set_weights(self.weights)
        return network

    def again(self) -> keras.Model:
        """The shared network as it was: building one takes as long as tuning it for an epoch."""
        self.shared.set_weights(self.weights)
        return self.shared

    def tune(self, network: keras.Model, watch: Progress, memory: Memory, plan: Plan = PLAN) -> Tuned:
        data = (self.parts["train"], self.parts["val"])
        return fine_tune(networks.upper(network, BLOCK), self.frozen, data, plan, watch, memory.checkpoints())


def striped(n: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Noisy pictures with stripes of one of three directions."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 3
    y, x = np.mgrid[:32, :32]
    waves = np.stack([np.sin(x * 0.8), np.sin(y * 0.8), np.sin((x + y) * 0.6)])[targets]
    pixels = 128 + 25 * waves[..., None] + rng.normal(0, 70, (n, 32, 32, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8), targets


def pooled(network: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    model = keras.Model(network.input, networks.pool(network.output, "average"))
    return np.asarray(model(pixels, training=False))


@pytest.fixture(scope="module")
def setup() -> Setup:
    network = networks.build(TINY, backbones.weights_path(TINY))
    lower = keras.Model(network.input, network.get_layer(BLOCK.after).output)
    pixels, parts, features = {}, {}, {}
    for part, n, seed in (("train", 96, 1), ("val", 60, 2)):
        pixels[part], targets = striped(n, seed)
        parts[part] = Labeled(np.asarray(lower(pixels[part], training=False)), targets)
        features[part] = Labeled(pooled(network, pixels[part]), targets)
    weak = head.fit(features["train"], features["val"], 3, Plan(epochs=1), Silent()).head
    frozen = Frozen(weak, Standard.of(features["train"].features))
    return Setup(network.get_weights(), pixels, parts, features, frozen, network)


@pytest.fixture(scope="module")
def watch() -> Recorder:
    return Recorder()


@pytest.fixture(scope="module")
def memory() -> Memory:
    return Memory()


@pytest.fixture(scope="module")
def network(setup: Setup) -> keras.Model:
    return setup.network()


@pytest.fixture(scope="module")
def tuned(setup: Setup, network: keras.Model, watch: Recorder, memory: Memory) -> Tuned:
    """One training to its end, looked at from several sides."""
    return setup.tune(network, watch, memory)


def by_layer(network: keras.Model, weights: list[NDArray[np.float32]]) -> Iterator[tuple[str, bool, list, list]]:
    """Name, whether above the boundary, weights before and now, of each layer that has any."""
    above = {layer.name for layer in networks.upper(network, BLOCK).layers}
    rest = list(weights)
    for layer in network.layers:
        now = layer.get_weights()
        before, rest = rest[: len(now)], rest[len(now) :]
        if now:
            yield layer.name, layer.name in above, before, now
    assert not rest


def test_batch_normalization_stays_as_it_was_in_statistics_and_scale(
    setup: Setup, network: keras.Model, tuned: Tuned
) -> None:
    names = []
    for name, above, before, now in by_layer(network, setup.weights):
        if name.endswith("_bn"):
            names += [name] if above else []
            assert len(now) == 4  # gamma, beta, moving mean, moving variance
            assert all(np.array_equal(a, b) for a, b in zip(before, now, strict=True)), name
    assert sorted(names) == ["block4_a_bn", "block4_b_bn", "block4_skip_bn", "top_bn"]


def test_layers_below_the_boundary_stay_and_those_above_learn(setup: Setup, network: keras.Model, tuned: Tuned) -> None:
    changed, same = set(), set()
    for name, _, before, now in by_layer(network, setup.weights):
        equal = all(np.array_equal(a, b) for a, b in zip(before, now, strict=True))
        (same if equal else changed).add(name)
    assert changed == {"block4_a_conv", "block4_b_conv", "block4_skip_conv", "top_conv"}
    assert {"stem_conv", "block1_a_conv", "block2_a_conv", "block3_b_conv", "block3_skip_conv"} <= same


def test_the_head_learns_too(setup: Setup, tuned: Tuned) -> None:
    (kernel, bias), (kernel_2, bias_2) = setup.head.layers[0], tuned.head.layers[0]
    assert kernel_2.shape == (512, 3) and kernel_2.dtype == np.float32
    assert np.abs(kernel_2 - kernel).max() > 1e-4 and np.abs(bias_2 - bias).max() > 1e-4


def test_epoch_0_is_the_frozen_model(setup: Setup, tuned: Tuned) -> None:
    val = setup.parts["val"].targets
    probabilities = setup.head.probabilities(setup.features["val"].features)
    assert set(tuned.history[0]) == {"val_loss", "val_accuracy", "val_balanced"}
    assert tuned.history[0]["val_accuracy"] == pytest.approx((probabilities.argmax(axis=1) == val).mean(), abs=1e-6)
    loss = -np.log(probabilities[np.arange(60), val]).mean()
    assert tuned.history[0]["val_loss"] == pytest.approx(loss, abs=1e-4)


def test_the_network_is_left_with_the_best_weights(setup: Setup, network: keras.Model, tuned: Tuned) -> None:
    ranks = [(row["val_accuracy"], -row["val_loss"]) for row in tuned.history]
    best = ranks.index(max(ranks))
    assert tuned.best_epoch == best > 0
    again = setup.network()
    upper = networks.upper(again, BLOCK)
    upper.set_weights(tuned.weights)
    val = setup.parts["val"].targets
    for candidate in (network, again):  # the network itself, and one made from what was returned
        probabilities = tuned.head.probabilities(pooled(candidate, setup.pixels["val"]))
        accuracy = (probabilities.argmax(axis=1) == val).mean()
        loss = -np.log(probabilities[np.arange(60), val]).mean()
        assert accuracy == pytest.approx(tuned.history[best]["val_accuracy"], abs=1e-6)
        assert loss == pytest.approx(tuned.history[best]["val_loss"], rel=1e-3)
    assert tuned.history[best]["val_accuracy"] > tuned.history[0]["val_accuracy"]


def test_every_epoch_is_reported_and_checkpointed(tuned: Tuned, watch: Recorder, memory: Memory) -> None:
    assert watch.stages == [("fine_tune", 4)] and watch.ticks == {"fine_tune": 4}
    assert watch.epochs == [{"epoch": i, **row} for i, row in enumerate(tuned.history[1:], start=1)]
    assert all(
        set(row) == {"loss", "accuracy", "val_loss", "val_accuracy", "val_balanced"} for row in tuned.history[1:]
    )
    assert len(memory.written) == 4


def test_work_that_was_stopped_goes_on_as_if_it_had_not_been(setup: Setup, tuned: Tuned) -> None:
    memory, stopped = Memory(), Recorder(cancel_after=4)  # an epoch and a tick each
    with pytest.raises(Cancelled):
        setup.tune(setup.again(), stopped, memory)
    assert [row["epoch"] for row in stopped.epochs] == [1, 2] and len(memory.written) == 2
    watch, network = Recorder(), setup.again()
    resumed = setup.tune(network, watch, memory)
    assert len(memory.written) == 4  # two more, not four
    assert [row["epoch"] for row in watch.epochs] == [1, 2, 3, 4]
    assert resumed.best_epoch == tuned.best_epoch
    for ours, theirs in zip(resumed.history, tuned.history, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-4)
    for ours, theirs in zip(resumed.weights, tuned.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_allclose(resumed.head.layers[0][0], tuned.head.layers[0][0], atol=1e-4)


def test_each_epoch_learns_from_the_pictures_that_are_its_own(setup: Setup) -> None:
    asked: list[int] = []

    def train(epoch: int) -> Labeled:
        asked.append(epoch)
        return rows[epoch - 1]

    known = setup.parts["train"]
    rows = [replace(known, features=np.roll(known.features[:], shift, axis=1)) for shift in range(4)]
    upper, memory, stopped = networks.upper(setup.again(), BLOCK), Memory(), Recorder(cancel_after=4)
    with pytest.raises(Cancelled):
        tuning.fine_tune(upper, setup.frozen, (train, setup.parts["val"]), PLAN, stopped, memory.checkpoints())
    upper = networks.upper(setup.again(), BLOCK)
    fresh = tuning.fine_tune(upper, setup.frozen, (train, setup.parts["val"]), PLAN, Silent(), memory.checkpoints())
    assert asked == [1, 2, 3, 4]  # stopped after the second, and gone on with the next
    same = setup.tune(setup.again(), Silent(), Memory())
    losses = [[row["val_loss"] for row in each.history] for each in (fresh, same)]
    assert losses[0][:2] == pytest.approx(losses[1][:2], rel=1e-3) and abs(losses[0][2] - losses[1][2]) > 1e-3


def test_a_training_that_only_makes_val_worse_keeps_the_frozen_model(setup: Setup) -> None:
    features = setup.features["train"]
    good = head.fit(features, Labeled(features.features[:0], features.targets[:0]), 3, Plan(), Silent()).head
    # What is right on val is taught wrong: nothing can improve.
    wrong = Labeled(setup.parts["train"].features, (setup.parts["train"].targets + 1) % 3)
    network, plan = setup.again(), PLAN.with_(fine_tune_epochs=9)
    data = (wrong, setup.parts["train"])
    tuned = fine_tune(networks.upper(network, BLOCK), setup.begun(good), data, plan, Silent(), Memory().checkpoints())
    assert tuned.best_epoch == 0
    assert len(tuned.history) == 1 + 5  # it gave up after five epochs
    assert tuned.history[-1]["val_accuracy"] < tuned.history[0]["val_accuracy"] - 0.1
    assert all(np.array_equal(a, b) for a, b in zip(network.get_weights(), setup.weights, strict=True))
    for (kernel, bias), (kernel_2, bias_2) in zip(good.layers, tuned.head.layers, strict=True):
        np.testing.assert_allclose(kernel_2, kernel, atol=1e-6)
        np.testing.assert_allclose(bias_2, bias, atol=1e-5)


def test_without_a_val_part_the_frozen_model_is_kept(setup: Setup) -> None:
    nothing = Labeled(np.empty((0,), np.float32), np.empty(0, np.int64))  # what a cache answers for no pictures
    network, memory = setup.again(), Memory()
    data = (setup.parts["train"], nothing)
    tuned = fine_tune(
        networks.upper(network, BLOCK),
        setup.frozen,
        data,
        PLAN.with_(fine_tune_epochs=1),
        Silent(),
        memory.checkpoints(),
    )
    assert tuned.best_epoch == 0
    assert [set(row) for row in tuned.history] == [set(), {"loss", "accuracy"}]
    assert all(np.array_equal(a, b) for a, b in zip(network.get_weights(), setup.weights, strict=True))
    state = memory.checkpoints().load()
    assert state is not None and tuple(state.history) == tuned.history


def standard_of(upper: keras.Model, data: Labeled) -> Standard:
    """The mean and deviation of the features of an upper part of a network."""
    pooled = keras.Model(upper.input, networks.pool(upper.output, "average"))
    return Standard.of(np.asarray(pooled(data.features, training=False)))


def plain_epoch(upper: keras.Model, knows: Head, data: Labeled, plan: Plan) -> tuple[list[NDArray[np.float32]], float]:
    """One epoch of Keras' own fit in our order, with the head on standardized features: weights after it, and loss."""
    for layer in upper.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    pooled, standard = keras.Model(upper.input, networks.pool(upper.output, "average")), standard_of(upper, data)
    scaled = keras.layers.Normalization(mean=standard.mean, variance=standard.deviation**2)(pooled.output)
    dense = keras.layers.Dense(len(knows.layers[0][1]))
    model = keras.Model(upper.input, dense(scaled))
    dense.set_weights(standard.unfold(knows.layers)[0])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(plan.fine_tune_rate), loss)
    order = np.random.default_rng([plan.seed, 1, 1]).permutation(len(data.targets))
    x, y = data.features[order], data.targets[order]
    history = model.fit(x, y, batch_size=plan.batch_size, shuffle=False, verbose=0).history
    return upper.get_weights(), history["loss"][0]


@pytest.mark.parametrize("case", ["starter", "mobilenet"])
def test_an_epoch_is_that_of_plain_keras_in_the_same_order(setup: Setup, case: str) -> None:
    plan = PLAN.with_(dropout=0.0, fine_tune_epochs=1, fine_tune_rate=1e-4)
    if case == "starter":
        network, again, block, knows = setup.network(), setup.network(), BLOCK, setup.head
        data = setup.parts["train"]
    else:
        backbone = replace(backbones.MOBILENET_V2, size=64)
        network, again = networks.build(backbone, None), networks.build(backbone, None)
        block = backbone.blocks[2]
        again.set_weights(network.get_weights())
        rng = np.random.default_rng(0)
        rows = rng.normal(size=(40, 2, 2, 160)).astype(np.float32)
        data = Labeled(rows, np.arange(40) % 3)  # the last batch is a half
        plan = plan.with_(backbone="MobileNetV2", fine_tune_blocks=3)
        knows = Head(((rng.normal(size=(1280, 3)).astype(np.float32) * 0.01, np.zeros(3, np.float32)),))
    memory = Memory()
    upper = networks.upper(network, block)
    before = upper.get_weights()
    frozen = Frozen(knows, standard_of(upper, data))
    tuned = fine_tune(upper, frozen, (data, data), plan, Silent(), memory.checkpoints())
    state = memory.checkpoints().load()
    assert state is not None
    weights, loss = plain_epoch(networks.upper(again, block), knows, data, plan)
    assert tuned.history[1]["loss"] == pytest.approx(loss, rel=1e-3)
    assert tuned.best_epoch == 1  # so its weights are those of after the epoch
    for ours, theirs, start in zip(tuned.weights, weights, before, strict=True):
        moved = np.abs(theirs - start).mean()
        # Adam's first steps go by the sign: rounding turns a few of the gradients that are next to nothing.
        assert np.abs(ours - theirs).mean() <= 0.02 * moved


def test_class_weights_are_factors_of_the_losses_and_count_in_the_choice(setup: Setup) -> None:
    plan = PLAN.with_(dropout=0.0, fine_tune_epochs=1, fine_tune_rate=1e-7)
    histories = {}
    for name, weights in (("none", None), ("ones", np.ones(3)), ("uneven", np.array([3.0, 0.5, 0.0]))):
        data = (setup.parts["train"], setup.parts["train"])
        upper = networks.upper(setup.again(), BLOCK)
        tuned = fine_tune(upper, setup.frozen, data, plan, Silent(), Memory().checkpoints(), weights)
        histories[name] = tuned.history
    assert histories["none"][1] == pytest.approx(histories["ones"][1], abs=1e-5)
    for name in ("accuracy", "val_accuracy"):
        assert histories["uneven"][1][name] == pytest.approx(histories["none"][1][name], abs=1e-3)
    probabilities = setup.head.probabilities(setup.features["train"].features)
    targets = setup.parts["train"].targets
    losses = -np.log(probabilities[np.arange(96), targets])
    expected = (np.array([3.0, 0.5, 0.0])[targets] * losses).mean()
    assert histories["uneven"][1]["loss"] == pytest.approx(expected, rel=1e-2)
    assert abs(expected - losses.mean()) > 0.05
    weights = np.array([3.0, 0.5, 0.0])[targets]
    right = probabilities.argmax(axis=1) == targets
    assert histories["uneven"][0]["val_loss"] == pytest.approx((weights * losses).sum() / weights.sum(), rel=1e-2)
    assert histories["uneven"][0]["val_balanced"] == pytest.approx((weights * right).sum() / weights.sum(), abs=0.03)


def test_the_loss_that_is_told_is_not_smoothed_and_smoothing_still_counts(setup: Setup) -> None:
    plan = PLAN.with_(dropout=0.0, fine_tune_epochs=1, fine_tune_rate=1e-7, label_smoothing=0.3)
    (kernel, bias), data = setup.head.layers[0], (setup.parts["train"], setup.parts["train"])
    sure = Head(((20 * kernel, 20 * bias),))  # so that it matters
    upper = networks.upper(setup.again(), BLOCK)
    tuned = fine_tune(upper, setup.begun(sure), data, plan, Silent(), Memory().checkpoints())
    logs = np.log(sure.probabilities(setup.features["train"].features))
    true = logs[np.arange(96), setup.parts["train"].targets]
    assert tuned.history[1]["loss"] == pytest.approx(-true.mean(), rel=2e-2, abs=1e-3)
    ends = {}
    for smoothing in (0.0, 0.3):
        upper = networks.upper(setup.again(), BLOCK)
        faster = plan.with_(label_smoothing=smoothing, fine_tune_rate=1e-3, fine_tune_epochs=3)
        ends[smoothing] = fine_tune(upper, setup.begun(sure), data, faster, Silent(), Memory().checkpoints()).history[
            3
        ]["loss"]
    assert ends[0.3] > ends[0.0]  # less sure of the same pictures


def test_a_class_of_great_weight_is_recognized_more_often(setup: Setup) -> None:
    found = []
    for weights in (np.array([20.0, 1.0, 1.0]), np.array([0.05, 1.0, 1.0])):
        tuner = tuning._Tuner(networks.upper(setup.again(), BLOCK), setup.frozen, PLAN, Silent())
        tuner.class_weights = weights.astype(np.float32)
        tuner.epoch(setup.parts["train"], 1)
        found.append((tuner._predict(tuner.model, setup.parts["val"]).argmax(axis=1) == 0).mean())
    assert found[0] > found[1] + 0.2


@dataclass
class Shelved:
    """Rows that exist only when they are asked for, by number."""

    rows: NDArray[np.float32]
    largest: int = 0
    asked: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        self.largest = max(self.largest, len(rows))
        self.asked += len(rows)
        return self.rows[rows].astype(np.float16)


def test_activations_need_not_be_an_array_and_are_asked_for_a_batch_at_a_time(setup: Setup) -> None:
    shelved = {part: Shelved(data.features.astype(np.float16)) for part, data in setup.parts.items()}
    weights = []
    for lazy in (False, True):
        data = tuple(
            Labeled(shelved[part] if lazy else shelved[part].rows, setup.parts[part].targets)  # type: ignore[arg-type]
            for part in ("train", "val")
        )
        upper = networks.upper(setup.again(), BLOCK)
        tuned = fine_tune(upper, setup.frozen, data, PLAN, Silent(), Memory().checkpoints())  # type: ignore[arg-type]
        weights.append(tuned.weights)
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert shelved["train"].largest == 16 and shelved["val"].largest == 60


def test_the_activations_of_train_are_read_once_an_epoch_and_never_before(setup: Setup) -> None:
    train = Shelved(setup.parts["train"].features)
    data: Any = (Labeled(train, setup.parts["train"].targets), setup.parts["val"])  # type: ignore[arg-type]
    upper = networks.upper(setup.again(), BLOCK)
    fine_tune(upper, setup.frozen, data, PLAN.with_(fine_tune_epochs=2), Silent(), Memory().checkpoints())
    assert train.asked == 2 * 96


def test_cancelling_takes_effect_within_a_batch(setup: Setup) -> None:
    class Impatient(Silent):
        calls = 0

        def tick(self, n: int = 1) -> None:
            self.calls += 1
            if self.calls == 5:
                raise Cancelled

    watch, memory = Impatient(), Memory()
    with pytest.raises(Cancelled):
        setup.tune(setup.again(), watch, memory)
    assert watch.calls == 5 and memory.written == []  # one for val, then batches of the first epoch


def test_a_checkpoint_brings_back_every_number() -> None:
    rng = np.random.default_rng(0)
    current = [rng.normal(size=(3, 4)).astype(np.float32), np.array(7, np.int64), np.array([1, 2**32 - 1], np.uint32)]
    history = [{"val_loss": 0.5, "val_accuracy": 0.25}, {"loss": 0.1, "val_loss": 1 / 3, "val_accuracy": 0.5}]
    memory = Memory()
    memory.checkpoints().save(State(history, 1, current, current[::-1]))
    assert memory.data is not None and memory.data[:2] == b"PK"
    state = memory.checkpoints().load()
    assert state is not None
    assert (state.history, state.best) == (history, 1)
    for ours, theirs in ((state.current, current), (state.best_arrays, current[::-1])):
        assert all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_there_is_no_checkpoint_before_the_first() -> None:
    assert Memory().checkpoints().load() is None


@pytest.mark.parametrize(
    ("accuracy", "loss", "better"),
    [(0.6, 9.0, True), (0.5, 0.9, True), (0.5, 1.0, False), (0.5, 1.1, False), (0.4, 0.1, False)],
)
def test_an_epoch_is_better_by_val_accuracy_and_at_equal_accuracy_by_val_loss(
    accuracy: float, loss: float, better: bool
) -> None:
    best = {"val_balanced": 0.5, "val_loss": 1.0}
    assert tuning._better({"val_balanced": accuracy, "val_loss": loss}, best) is better
    assert tuning._better({"loss": 0.1, "accuracy": 1.0}, {}) is False


def moved(setup: Setup, network: keras.Model) -> set[str]:
    """The layers that differ from what they were."""
    return {
        name
        for name, _, before, now in by_layer(network, setup.weights)
        if not all(np.array_equal(a, b) for a, b in zip(before, now, strict=True))
    }


@dataclass
class Seen(Silent):
    """Which layers had moved after each epoch."""

    setup: Setup
    network: keras.Model
    layers: list[set[str]] = field(default_factory=list)

    def epoch(self, index: int, scores: object) -> None:
        self.layers.append(moved(self.setup, self.network))


def test_gradual_unfreezing_leaves_lower_blocks_untouched_until_it_is_their_turn(setup: Setup) -> None:
    network, plan = setup.again(), PLAN.with_(fine_tune_gradual=2)
    seen = Seen(setup, network)
    setup.tune(network, seen, Memory(), plan)
    top, block4 = {"top_conv"}, {"block4_a_conv", "block4_b_conv", "block4_skip_conv"}
    assert seen.layers == [top, top, top | block4, top | block4]


def test_a_block_that_joins_later_takes_steps_of_the_rate_not_larger_ones(setup: Setup) -> None:
    # Adam with a count of steps that began before its moments would begin with steps of three times the rate.
    plan = PLAN.with_(dropout=0.0, fine_tune_gradual=1, batch_size=96, fine_tune_epochs=3)
    tuner = tuning._Tuner(networks.upper(setup.again(), BLOCK), setup.frozen, plan, Silent())
    kernel = next(variable for variable in tuner.groups[1] if variable.name == "kernel")
    before = kernel.numpy()
    tuner.epoch(setup.parts["train"], 1)  # one step an epoch
    assert np.array_equal(kernel.numpy(), before)
    tuner.epoch(setup.parts["train"], 2)
    assert np.abs(kernel.numpy() - before).max() == pytest.approx(plan.fine_tune_rate, rel=0.01)


def test_the_first_step_of_each_block_is_its_share_of_the_rate_at_that_moment(setup: Setup) -> None:
    # Adam's first step is the rate in the direction of the sign of the gradient.
    plan = PLAN.with_(dropout=0.0, batch_size=96, fine_tune_decay=0.25, fine_tune_warmup=4, fine_tune_epochs=8)
    tuner = tuning._Tuner(networks.upper(setup.again(), BLOCK), setup.frozen, plan, Silent())
    before = [[v.numpy() for v in group] for group in tuner.groups]
    tuner.epoch(setup.parts["train"], 1)
    largest = [
        max(np.abs(v.numpy() - b).max() for v, b in zip(group, old, strict=True))
        for group, old in zip(tuner.groups, before, strict=True)
    ]
    assert largest == pytest.approx([plan.fine_tune_rate / 4, plan.fine_tune_rate / 16], rel=0.01)


@pytest.mark.parametrize("policy", ["frozen", "scales", "adapt"])
def test_batch_normalization_learns_what_its_policy_says(setup: Setup, policy: str) -> None:
    network, plan = setup.again(), PLAN.with_(fine_tune_batch_norm=policy, fine_tune_epochs=1)
    watch = Seen(setup, network)
    setup.tune(network, watch, Memory(), plan)
    normalizations = {"block4_a_bn", "block4_b_bn", "block4_skip_bn", "top_bn"}
    convolutions = {"block4_a_conv", "block4_b_conv", "block4_skip_conv", "top_conv"}
    assert watch.layers == [convolutions | (set() if policy == "frozen" else normalizations)]


@pytest.mark.parametrize(("policy", "changed"), [("scales", [True, True, False, False]), ("adapt", [True] * 4)])
def test_scales_learn_with_or_without_statistics_that_move(setup: Setup, policy: str, changed: list[bool]) -> None:
    network, plan = setup.again(), PLAN.with_(fine_tune_batch_norm=policy)
    tuner = tuning._Tuner(networks.upper(network, BLOCK), setup.frozen, plan, Silent())
    tuner.epoch(setup.parts["train"], 1)
    for name, above, before, now in by_layer(network, setup.weights):
        if name.endswith("_bn"):
            differs = [not np.array_equal(a, b) for a, b in zip(before, now, strict=True)]
            assert differs == (changed if above else [False] * 4), name


def test_statistics_that_adapt_move_toward_those_of_the_batch(setup: Setup) -> None:
    network, plan = setup.again(), PLAN.with_(fine_tune_batch_norm="adapt", batch_size=96, dropout=0.0)
    upper = networks.upper(network, BLOCK)
    tuner = tuning._Tuner(upper, setup.frozen, plan, Silent())
    kernel = upper.get_layer("block4_a_conv").kernel.numpy()
    values = np.asarray(keras.ops.conv(setup.parts["train"].features, kernel, strides=2, padding="same"))
    normalization = upper.get_layer("block4_a_bn")
    mean, momentum = normalization.moving_mean.numpy(), normalization.momentum
    tuner.epoch(setup.parts["train"], 1)
    expected = momentum * mean + (1 - momentum) * values.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(normalization.moving_mean.numpy(), expected, atol=1e-4)


def test_statistics_of_a_block_whose_turn_has_not_come_do_not_adapt(setup: Setup) -> None:
    network = setup.again()
    seen = Seen(setup, network)
    setup.tune(network, seen, Memory(), PLAN.with_(fine_tune_batch_norm="adapt", fine_tune_gradual=3))
    assert seen.layers[:3] == [{"top_conv", "top_bn"}] * 3
    assert seen.layers[3] >= {"block4_a_bn", "block4_a_conv"}


@pytest.mark.parametrize("policy", ["frozen", "adapt"])
def test_work_that_was_stopped_goes_on_at_the_pace_it_had(setup: Setup, policy: str) -> None:
    plan = PLAN.with_(
        fine_tune_schedule="cosine", fine_tune_warmup=1, fine_tune_gradual=2, fine_tune_decay=0.5,
        fine_tune_batch_norm=policy,
    )  # fmt: skip
    whole = setup.tune(setup.again(), Silent(), Memory(), plan)
    memory = Memory()
    with pytest.raises(Cancelled):
        setup.tune(setup.again(), Recorder(cancel_after=6), memory, plan)
    assert len(memory.written) == 3
    resumed = setup.tune(setup.again(), Silent(), memory, plan)
    assert len(memory.written) == 4 and resumed.best_epoch == whole.best_epoch
    for ours, theirs in zip(resumed.history, whole.history, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-4)
    for ours, theirs in zip(resumed.weights, whole.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_patience_is_that_of_the_plan(setup: Setup) -> None:
    wrong = Labeled(setup.parts["train"].features, (setup.parts["train"].targets + 1) % 3)
    features = setup.features["train"]
    good = head.fit(features, Labeled(features.features[:0], features.targets[:0]), 3, Plan(), Silent()).head
    plan, data = PLAN.with_(fine_tune_epochs=9, fine_tune_patience=2), (wrong, setup.parts["train"])
    tuned = fine_tune(
        networks.upper(setup.again(), BLOCK), setup.begun(good), data, plan, Silent(), Memory().checkpoints()
    )
    assert tuned.best_epoch == 0 and len(tuned.history) == 1 + 2


def test_dropout_inside_a_backbone_draws_the_same_for_the_same_seed() -> None:
    rows = np.random.default_rng(0).normal(size=(32, 4, 4, 6)).astype(np.float32)
    kernel = np.stack([np.arange(5), -np.arange(5)], axis=1).astype(np.float32)
    data, knows = Labeled(rows, np.arange(32) % 2), Head(((kernel, np.zeros(2, np.float32)),))
    losses = []
    for seed in (0, 0, 1):
        inputs = keras.Input((4, 4, 6))
        convolution = keras.layers.Conv2D(5, 1, kernel_initializer=keras.initializers.GlorotUniform(seed=3))
        upper = keras.Model(inputs, keras.layers.Dropout(0.5)(convolution(inputs)))
        plan = Plan(fine_tune_blocks=1, fine_tune_epochs=1, seed=seed, batch_size=32)
        frozen = Frozen(knows, standard_of(upper, data))
        losses.append(fine_tune(upper, frozen, (data, data), plan, Silent(), Memory().checkpoints()).history[1]["loss"])
    assert losses[0] == losses[1] != losses[2]
