"""Finds where a network of unknown making can be divided: where its stages end, since feature maps become smaller."""

from typing import Any

import keras

from core.backbones import Block, Depth

# Most blocks that are offered for fine-tuning, from the top.
_BLOCKS = 9
# Earlier maps that can serve as features.
_DEPTHS = 2


def divide(network: keras.Model) -> tuple[tuple[Block, ...], tuple[Depth, ...]]:
    """The blocks of a network for fine-tuning and its depths, from the top down. Both end a stage, and a block starts
    where nothing of what is below is read but one map. Neither where a layer is used in several places."""
    try:
        steps = [_Step(operation) for operation in network.operations]
    except (ValueError, AttributeError):  # what `input` and `output` raise for such a layer
        return (), ()
    made = {id(output): number for number, step in enumerate(steps) for output in step.outputs}
    below = [[made[id(each)] for each in step.inputs if id(each) in made] for step in steps]
    ends = _ends(steps, below)
    last = steps[-1].shape
    depths = [Depth(steps[end].name, steps[end].shape[-1]) for end in ends if steps[end].shape[1] > last[1]]
    cuts = [end for end in ends if all(each >= end for later in below[end + 1 :] for each in later)]
    blocks, top = [], len(steps)
    for end in reversed(cuts):
        learns = any(step.learns for step in steps[end + 1 : top])
        if learns and any(step.learns for step in steps[:end]):
            blocks.append(Block(f"stage_{cuts.index(end) + 2}", steps[end].name))
            top = end + 1
    return tuple(blocks[:_BLOCKS]), tuple(depths[::-1][:_DEPTHS])


class _Step:
    """One operation of a network, with the tensors that it reads and makes."""

    def __init__(self, operation: Any) -> None:
        self.name: str = operation.name
        self.inputs = keras.tree.flatten(operation.input)
        self.outputs = keras.tree.flatten(operation.output)
        self.shape = tuple(self.outputs[0].shape)
        self.is_layer = isinstance(operation, keras.layers.Layer)
        self.is_padding = isinstance(operation, keras.layers.ZeroPadding2D)
        self.learns = bool(getattr(operation, "trainable_weights", ())) and self.name != "scale"


def _ends(steps: list[_Step], below: list[list[int]]) -> list[int]:
    """The numbers of the layers that end a stage, in order: what the first step to a smaller map reads."""
    found = set()
    for step, sources in zip(steps, below, strict=True):
        if len(sources) != 1 or not len(step.shape) == len(steps[sources[0]].shape) == 4:
            continue
        if step.shape[1] < steps[sources[0]].shape[1]:
            end = sources[0]
            while steps[end].is_padding:
                (end,) = below[end]
            if steps[end].is_layer and any(each.learns for each in steps[: end + 1]):
                found.add(end)
    return sorted(found)
