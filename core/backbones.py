"""The catalogue of pretrained networks, as data, the models of a user's own beside it, and the paths of their weights.

Nothing here imports Keras, because pages show this catalogue too. `core.neural.networks` builds a network from an
entry; `core.features.weights` gets its weights. A model of a user's own lies in the Keras cache with its description,
which `core.features.own_models` writes.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core import settings
from core.errors import HeadstartError

_K = "https://storage.googleapis.com/tensorflow/keras-applications"
# Presets of keras-hub. A version never changes.
_KAGGLE = "https://www.kaggle.com/api/v1/models"
# Where the same presets are too.
_HUGGING_FACE = "https://huggingface.co/keras"
# How to install keras-hub: without tensorflow-text, which it asks for and pictures do not need.
INSTALL = "pip install --no-deps keras-hub==0.32.0 tokenizers==0.23.3 regex"

# Families trained with label smoothing, dropout, auxiliary losses or mixed pictures. These raise the accuracy on
# ImageNet a little and make the frozen features much worse for other pictures (S. Kornblith, J. Shlens, Q. Le, Do
# Better ImageNet Models Transfer Better?, CVPR 2019).
_REGULARIZED = ("ConvNeXt", "DeiT", "EfficientNet", "Inception", "MobileNetV3", "NASNet", "Xception")
# Points that this counts: the fewest whole ones that put ResNet50 (74.9 on ImageNet) before all regularized networks of
# that study, of which NASNetLarge is best on ImageNet (82.5). With published weights, ResNets were consistently better
# feature extractors than those, and accuracy on ImageNet said little (r2 = 0.24; first version, arXiv 1805.08974v1).
_REGULARIZED_POINTS = 8.0


@dataclass(frozen=True)
class Block:
    """A part of a network that is fine-tuned as a unit: it starts after the output of layer `after`."""

    name: str
    after: str


@dataclass(frozen=True)
class Depth:
    """An earlier layer whose output can serve as features too, and the number of its channels."""

    layer: str
    width: int


@dataclass(frozen=True)
class Hub:
    """How keras-hub builds a network: the class `builder` with these arguments. `tokens` says what is read where it
    answers tokens in place of a feature map: the "class" token, the "mean" of the tokens of the picture, or both."""

    builder: str
    arguments: tuple[tuple[str, Any], ...]
    tokens: str = ""


@dataclass(frozen=True)
class OwnModel:
    """What is known of a model of a user's own: the `sha256` of the file that he gave, the `layer` whose output is
    read, whether the layers after it were left out because they answer classes (`is_cut`), and the `side` of the map
    that this is, in cells; 1 for numbers about the whole picture, which have no place in it."""

    sha256: str
    layer: str
    is_cut: bool
    side: int


@dataclass(frozen=True)
class Backbone:
    """One pretrained network without its classifier.

    `size` is the side of its square input in px, `width` the channels of its last feature map, `scaling` the
    preprocessing of pixels of 0..255, `layers` the number of Keras layers, `cpu_ms` the milliseconds that one core
    needs for one picture, `top1` the published ImageNet accuracy in percent (of a linear head, where the network was
    not trained to classify; None: not measured), `blocks` its parts from the top down, `depths` the last activations of
    the two stages below the last one (a stage ends where the feature map becomes smaller), from the top down,
    `weights_hash` the MD5 or SHA-256 that Keras publishes, `golden` the first features of a known picture, where Keras
    publishes no hash, `hub` what keras-hub needs to build it, `own` what is known of a user's own model (both None:
    `keras.applications` has it), and `conditions` what the license asks of whoever passes the weights on, or a
    model made of them. Weights with conditions are never downloaded: a user accepts them where he gets them.
    """

    name: str
    size: int
    width: int
    scaling: str
    parameters: int
    layers: int
    cpu_ms: float
    top1: float | None
    license: str
    blocks: tuple[Block, ...]
    depths: tuple[Depth, ...]
    weights_url: str = ""
    weights_hash: str = ""
    weights_name: str = ""
    golden: tuple[float, ...] = ()
    hub: Hub | None = None
    conditions: str = ""
    own: OwnModel | None = None

    @property
    def weights_file(self) -> str:
        """The name of its weights file: the end of the address, except for one network."""
        return self.weights_name or self.weights_url.rpartition("/")[2]

    @property
    def megabytes(self) -> float:
        """Size of the weights in float32."""
        return self.parameters * 4 / 1e6

    @property
    def transfer(self) -> float:
        """How good its frozen features are expected to be for other pictures, to put networks in an order as long as
        nothing was measured: `top1`, which orders networks trained alike (r = 0.99; Kornblith et al., 2019), less
        what regularization added to it. Not a score on anything."""
        return (self.top1 or 0.0) - _REGULARIZED_POINTS * self.name.startswith(_REGULARIZED)

    @property
    def has_places(self) -> bool:
        """False when it answers numbers about the whole picture, of which there is no heat map."""
        return self.own is None or self.own.side > 1

    @property
    def is_installed(self) -> bool:
        """True when the package that builds it is on this machine."""
        return self.hub is None or has_hub()

    @property
    def has_weights(self) -> bool:
        """True when the weights are on this machine, and what builds the network."""
        return self.is_installed and weights_path(self).is_file()

    @property
    def is_available(self) -> bool:
        """True when the weights are on this machine or may be downloaded, and what builds the network is there."""
        return self.is_installed and (self.has_weights or self.is_downloadable)

    @property
    def is_downloadable(self) -> bool:
        """True when Headstart may download the weights."""
        return bool(self.weights_url) and not self.conditions and settings.may_download()

    @property
    def weights_urls(self) -> tuple[str, ...]:
        """The addresses of the weights, the next one for when the one before does not answer."""
        if not self.hub:
            return (self.weights_url,)
        return self.weights_url, f"{_HUGGING_FACE}/{self.weights_file}".replace("/model.", "/resolve/main/model.")

    @property
    def weights_given(self) -> bool:
        """True when the weights in use are a file that a user gave."""
        return weights_path(self) in given_paths(self)

    @property
    def terms(self) -> str:
        """The license of the weights in use and where they are from: it goes into all files made of them."""
        if self.own:
            return f"Weights of {self.name}: {self.license}, from a file of the user's own, sha256 {self.own.sha256}"
        source = "Headstart" if not self.weights_url else self.weights_url
        given = "; these were given as a file" if self.weights_given else ""
        conditions = f"; {self.conditions}" if self.conditions else ""
        return f"Weights of {self.name}: {self.license}, from {source}{given}{conditions}"

    def require_installed(self) -> None:
        """Raises HeadstartError("hub_missing") where keras-hub is needed and missing."""
        if not self.is_installed:
            raise HeadstartError("hub_missing", backbone=self.name, install=INSTALL)


def has_hub() -> bool:
    """Whether keras-hub is installed; it is not imported for that."""
    return find_spec("keras_hub") is not None


def _blocks(text: str) -> tuple[Block, ...]:
    """Blocks from text, from the top down, each as name:after."""
    return tuple(Block(*pair.split(":")) for pair in text.split())


def _depths(text: str) -> tuple[Depth, ...]:
    """Depths from text, from the top down, each as layer:width."""
    return tuple(Depth(layer, int(width)) for layer, _, width in (pair.partition(":") for pair in text.split()))


def _hub(builder: str, tokens: str = "", **arguments: Any) -> Hub:
    """What keras-hub needs; `arguments` are those of the preset."""
    return Hub(builder, tuple(arguments.items()), tokens)


def _kaggle(family: str, preset: str, version: int) -> tuple[str, str, str]:
    """Address, hash and name of the weights of a preset of keras-hub. Kaggle publishes no hash."""
    url = f"{_KAGGLE}/keras/{family}/keras/{preset}/{version}/download/model.weights.h5"
    return url, "", f"{preset}/model.weights.h5"


# The upper nine of twelve transformer blocks. The layer of each block has its number, in DINO counted from 0.
_TRANSFORMER_BLOCKS = _blocks(" ".join(f"block_{n}:transformer_block_{n - 1}" for n in range(12, 3, -1)))
_DINO_BLOCKS = _blocks(" ".join(f"block_{n}:layers_{n - 2}" for n in range(12, 3, -1)))

STARTER = Backbone(
    "Starter", 128, 512, "signed", 793_064, 45, 3.6, None, "Apache-2.0",
    _blocks("top:block4_out block4:block3_out block3:block2_out block2:block1_out block1:stem_relu"),
    _depths("block3_out:96 block2_out:48"),
    weights_name="starter.weights.h5",
)  # fmt: skip

VGG16 = Backbone(
    "VGG16", 224, 512, "caffe", 14_714_688, 20, 311, 71.3, "CC BY 4.0",
    _blocks(
        "block5:block4_pool block4:block3_pool block3:block2_pool block2:block1_pool"
    ),
    _depths("block4_conv3:512 block3_conv3:256"),
    f"{_K}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "6d6bbae143d832006294945121d1f1fc",
)  # fmt: skip

MOBILENET_V2 = Backbone(
    "MobileNetV2", 224, 1280, "signed", 2_257_984, 155, 7.2, 71.3, "Apache-2.0",
    _blocks(
        "top:block_16_project_BN block_16:block_15_add block_15:block_14_add block_14:block_13_project_BN "
        "block_13:block_12_add block_12:block_11_add block_11:block_10_project_BN block_10:block_9_add "
        "block_9:block_8_add"
    ),
    _depths("block_13_expand_relu:576 block_6_expand_relu:192"),
    f"{_K}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    golden=(0.2116, 0.0034, 0.192, 0.0592, 0.0, 0.1333, 0.0231, 0.1627),
)  # fmt: skip

# Top-1 from https://keras.io/api/applications/ (MobileNetV3: from its source). Licenses of the weights as stated by
# Keras or by their authors. `cpu_ms` from `tests/bench_backbones.py`.
CATALOGUE = (
    STARTER,
    MOBILENET_V2,
    VGG16,
    Backbone(
        "VGG19", 224, 512, "caffe", 20_024_384, 23, 395, 71.3, "CC BY 4.0",
        _blocks(
            "block5:block4_pool block4:block3_pool block3:block2_pool block2:block1_pool"
        ),
        _depths("block4_conv4:512 block3_conv4:256"),
        f"{_K}/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "253f8cb515780f3b799900260a226db6",
    ),
    Backbone(
        "ResNet50", 224, 2048, "caffe", 23_587_712, 176, 87, 74.9, "MIT",
        _blocks(
            "conv5_block3:conv5_block2_out conv5_block2:conv5_block1_out conv5_block1:conv4_block6_out "
            "conv4_block6:conv4_block5_out conv4_block5:conv4_block4_out conv4_block4:conv4_block3_out "
            "conv4_block3:conv4_block2_out conv4_block2:conv4_block1_out conv4_block1:conv3_block4_out"
        ),
        _depths("conv4_block6_out:1024 conv3_block4_out:512"),
        f"{_K}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "4d473c1dd8becc155b73f8504c6f6626",
    ),
    Backbone(
        "ResNet101", 224, 2048, "caffe", 42_658_176, 346, 159, 76.4, "MIT",
        _blocks(
            "conv5_block3:conv5_block2_out conv5_block2:conv5_block1_out conv5_block1:conv4_block23_out "
            "conv4_block23:conv4_block22_out conv4_block22:conv4_block21_out conv4_block21:conv4_block20_out "
            "conv4_block20:conv4_block19_out conv4_block19:conv4_block18_out conv4_block18:conv4_block17_out"
        ),
        _depths("conv4_block23_out:1024 conv3_block4_out:512"),
        f"{_K}/resnet/resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "88cf7a10940856eca736dc7b7e228a21",
    ),
    Backbone(
        "ResNet152", 224, 2048, "caffe", 58_370_944, 516, 227, 76.6, "MIT",
        _blocks(
            "conv5_block3:conv5_block2_out conv5_block2:conv5_block1_out conv5_block1:conv4_block36_out "
            "conv4_block36:conv4_block35_out conv4_block35:conv4_block34_out conv4_block34:conv4_block33_out "
            "conv4_block33:conv4_block32_out conv4_block32:conv4_block31_out conv4_block31:conv4_block30_out"
        ),
        _depths("conv4_block36_out:1024 conv3_block8_out:512"),
        f"{_K}/resnet/resnet152_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "ee4c566cf9a93f14d82f913c2dc6dd0c",
    ),
    Backbone(
        "ResNet50V2", 224, 2048, "signed", 23_564_800, 191, 74, 76.0, "BSD-3-Clause",
        _blocks(
            "conv5_block3:conv5_block2_out conv5_block2:conv5_block1_out conv5_block1:conv4_block6_out "
            "conv4_block6:conv4_block5_out conv4_block5:conv4_block4_out conv4_block4:conv4_block3_out "
            "conv4_block3:conv4_block2_out conv4_block2:conv4_block1_out conv4_block1:conv3_block4_out"
        ),
        _depths("conv4_block6_preact_relu:1024 conv3_block4_preact_relu:512"),
        f"{_K}/resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "fac2f116257151a9d068a22e544a4917",
    ),
    Backbone(
        "ResNet101V2", 224, 2048, "signed", 42_626_560, 378, 149, 77.2, "BSD-3-Clause",
        _blocks(
            "conv5_block3:conv5_block2_out conv5_block2:conv5_block1_out conv5_block1:conv4_block23_out "
            "conv4_block23:conv4_block22_out conv4_block22:conv4_block21_out conv4_block21:conv4_block20_out "
            "conv4_block20:conv4_block19_out conv4_block19:conv4_block18_out conv4_block18:conv4_block17_out"
        ),
        _depths("conv4_block23_preact_relu:1024 conv3_block4_preact_relu:512"),
        f"{_K}/resnet/resnet101v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "c0ed64b8031c3730f411d2eb4eea35b5",
    ),
    Backbone(
        "ResNet152V2", 224, 2048, "signed", 58_331_648, 565, 221, 78.0, "BSD-3-Clause",
        _blocks(
            "conv5_block3:conv5_block2_out conv5_block2:conv5_block1_out conv5_block1:conv4_block36_out "
            "conv4_block36:conv4_block35_out conv4_block35:conv4_block34_out conv4_block34:conv4_block33_out "
            "conv4_block33:conv4_block32_out conv4_block32:conv4_block31_out conv4_block31:conv4_block30_out"
        ),
        _depths("conv4_block36_preact_relu:1024 conv3_block8_preact_relu:512"),
        f"{_K}/resnet/resnet152v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "ed17cf2e0169df9d443503ef94b23b33",
    ),
    Backbone(
        "InceptionV3", 299, 2048, "signed", 21_802_784, 312, 117, 77.9, "Apache-2.0",
        _blocks(
            "mixed10:mixed9 mixed9:mixed8 mixed8:mixed7 mixed7:mixed6 mixed6:mixed5 mixed5:mixed4 mixed4:mixed3 "
            "mixed3:mixed2 mixed2:mixed1 mixed1:mixed0"
        ),
        _depths("mixed7:768 mixed2:288"),
        f"{_K}/inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "bcbd6486424b2319ff4ef7d526e38f63",
    ),
    Backbone(
        "InceptionResNetV2", 299, 1536, "signed", 54_336_736, 781, 268, 80.3, "Apache-2.0",
        _blocks(
            "block8_10:block8_9_ac block8_9:block8_8_ac block8_8:block8_7_ac block8_7:block8_6_ac "
            "block8_6:block8_5_ac block8_5:block8_4_ac block8_4:block8_3_ac block8_3:block8_2_ac "
            "block8_2:block8_1_ac block8_1:mixed_7a"
        ),
        _depths("block17_20_ac:1088 block35_10_ac:320"),
        f"{_K}/inception_resnet_v2/inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "d19885ff4a710c122648d3b5c3b684e4",
    ),
    Backbone(
        "Xception", 299, 2048, "signed", 20_861_480, 133, 174, 79.0, "MIT",
        _blocks(
            "block14:add_11 block13:add_10 block12:add_9 block11:add_8 block10:add_7 block9:add_6 block8:add_5 "
            "block7:add_4 block6:add_3 block5:add_2"
        ),
        _depths("block13_sepconv1_act:728 block4_sepconv1_act:256"),
        f"{_K}/xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "b0042744bf5b25fce3cb969f33bebb97",
    ),
    Backbone(
        "MobileNet", 224, 1024, "signed", 3_228_864, 87, 11.5, 70.4, "Apache-2.0",
        _blocks(
            "conv_13:conv_pw_12_relu conv_12:conv_pw_11_relu conv_11:conv_pw_10_relu conv_10:conv_pw_9_relu "
            "conv_9:conv_pw_8_relu conv_8:conv_pw_7_relu conv_7:conv_pw_6_relu conv_6:conv_pw_5_relu "
            "conv_5:conv_pw_4_relu"
        ),
        _depths("conv_pw_11_relu:512 conv_pw_5_relu:256"),
        f"{_K}/mobilenet/mobilenet_1_0_224_tf_no_top.h5",
    ),
    Backbone(
        "MobileNetV3Small", 224, 576, "inside", 939_120, 157, 1.6, 68.1, "Apache-2.0",
        _blocks(
            "conv_1:expanded_conv_10_add expanded_conv_10:expanded_conv_9_add "
            "expanded_conv_9:expanded_conv_8_project_bn expanded_conv_8:expanded_conv_7_add "
            "expanded_conv_7:expanded_conv_6_project_bn expanded_conv_6:expanded_conv_5_add "
            "expanded_conv_5:expanded_conv_4_add expanded_conv_4:expanded_conv_3_project_bn "
            "expanded_conv_3:expanded_conv_2_add"
        ),
        _depths("activation_11:288 activation_1:96"),
        f"{_K}/mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
        "d3e8ec802a04aa4fc771ee12a9a9b836",
    ),
    Backbone(
        "MobileNetV3Large", 224, 960, "inside", 2_996_352, 187, 5.6, 75.6, "Apache-2.0",
        _blocks(
            "conv_1:expanded_conv_14_add expanded_conv_14:expanded_conv_13_add "
            "expanded_conv_13:expanded_conv_12_project_bn expanded_conv_12:expanded_conv_11_add "
            "expanded_conv_11:expanded_conv_10_project_bn expanded_conv_10:expanded_conv_9_add "
            "expanded_conv_9:expanded_conv_8_add expanded_conv_8:expanded_conv_7_add "
            "expanded_conv_7:expanded_conv_6_project_bn"
        ),
        _depths("activation_13:672 activation_1:240"),
        f"{_K}/mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        "07fb09a5933dd0c8eaafa16978110389",
    ),
    Backbone(
        "DenseNet121", 224, 1024, "torch", 7_037_504, 428, 57, 75.0, "BSD-3-Clause",
        _blocks(
            "conv5:pool4_pool conv4:pool3_pool conv3:pool2_pool"
        ),
        _depths("pool4_relu:1024 pool3_relu:512"),
        f"{_K}/densenet/densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "30ee3e1110167f948a6b9946edeeb738",
    ),
    Backbone(
        "DenseNet169", 224, 1664, "torch", 12_642_880, 596, 68, 76.2, "BSD-3-Clause",
        _blocks(
            "conv5:pool4_pool conv4:pool3_pool conv3:pool2_pool"
        ),
        _depths("pool4_relu:1280 pool3_relu:512"),
        f"{_K}/densenet/densenet169_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "b8c4d4c20dd625c148057b9ff1c1176b",
    ),
    Backbone(
        "DenseNet201", 224, 1920, "torch", 18_321_984, 708, 87, 77.3, "BSD-3-Clause",
        _blocks(
            "conv5:pool4_pool conv4:pool3_pool conv3:pool2_pool"
        ),
        _depths("pool4_relu:1792 pool3_relu:512"),
        f"{_K}/densenet/densenet201_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "c13680b51ded0fb44dff2d8f86ac8bb1",
    ),
    Backbone(
        "NASNetMobile", 224, 1056, "signed", 4_269_716, 770, 27, 74.4, "Apache-2.0",
        _blocks(
            "cells:stem_bn1"
        ),
        _depths("adjust_relu_1_9:528 adjust_relu_1_5:264"),
        f"{_K}/nasnet/NASNet-mobile-no-top.h5",
        "1ed92395b5b598bdda52abe5c0dbfd63",
        weights_name="nasnet_mobile_no_top.h5",
    ),
    Backbone(
        "EfficientNetB0", 224, 1280, "efficientnet", 4_049_571, 237, 12.2, 77.1, "Apache-2.0",
        _blocks(
            "top:block7a_project_bn block7a:block6d_add block6d:block6c_add block6c:block6b_add "
            "block6b:block6a_project_bn block6a:block5c_add block5c:block5b_add block5b:block5a_project_bn "
            "block5a:block4c_add"
        ),
        _depths("block6a_expand_activation:672 block4a_expand_activation:240"),
        "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5",
        "50bc09e76180e00e4465e1a485ddc09d",
    ),
    Backbone(
        "EfficientNetB1", 240, 1280, "efficientnet", 6_575_239, 339, 21, 79.1, "Apache-2.0",
        _blocks(
            "top:block7b_add block7b:block7a_project_bn block7a:block6e_add block6e:block6d_add "
            "block6d:block6c_add block6c:block6b_add block6b:block6a_project_bn block6a:block5d_add "
            "block5d:block5c_add"
        ),
        _depths("block6a_expand_activation:672 block4a_expand_activation:240"),
        "https://storage.googleapis.com/keras-applications/efficientnetb1_notop.h5",
        "74c4e6b3e1f6a1eea24c589628592432",
    ),
    Backbone(
        "EfficientNetB2", 260, 1408, "efficientnet", 7_768_569, 339, 30, 80.1, "Apache-2.0",
        _blocks(
            "top:block7b_add block7b:block7a_project_bn block7a:block6e_add block6e:block6d_add "
            "block6d:block6c_add block6c:block6b_add block6b:block6a_project_bn block6a:block5d_add "
            "block5d:block5c_add"
        ),
        _depths("block6a_expand_activation:720 block4a_expand_activation:288"),
        "https://storage.googleapis.com/keras-applications/efficientnetb2_notop.h5",
        "111f8e2ac8aa800a7a99e3239f7bfb39",
    ),
    Backbone(
        "EfficientNetB3", 300, 1536, "efficientnet", 10_783_535, 384, 54, 81.6, "Apache-2.0",
        _blocks(
            "top:block7b_add block7b:block7a_project_bn block7a:block6f_add block6f:block6e_add "
            "block6e:block6d_add block6d:block6c_add block6c:block6b_add block6b:block6a_project_bn "
            "block6a:block5e_add"
        ),
        _depths("block6a_expand_activation:816 block4a_expand_activation:288"),
        "https://storage.googleapis.com/keras-applications/efficientnetb3_notop.h5",
        "af6d107764bb5b1abb91932881670226",
    ),
    Backbone(
        "EfficientNetB4", 380, 1792, "efficientnet", 17_673_823, 474, 127, 82.9, "Apache-2.0",
        _blocks(
            "top:block7b_add block7b:block7a_project_bn block7a:block6h_add block6h:block6g_add "
            "block6g:block6f_add block6f:block6e_add block6e:block6d_add block6d:block6c_add "
            "block6c:block6b_add"
        ),
        _depths("block6a_expand_activation:960 block4a_expand_activation:336"),
        "https://storage.googleapis.com/keras-applications/efficientnetb4_notop.h5",
        "ebc24e6d6c33eaebbd558eafbeedf1ba",
    ),
    Backbone(
        "EfficientNetB5", 456, 2048, "efficientnet", 28_513_527, 576, 296, 83.6, "Apache-2.0",
        _blocks(
            "top:block7c_add block7c:block7b_add block7b:block7a_project_bn block7a:block6i_add "
            "block6i:block6h_add block6h:block6g_add block6g:block6f_add block6f:block6e_add "
            "block6e:block6d_add"
        ),
        _depths("block6a_expand_activation:1056 block4a_expand_activation:384"),
        "https://storage.googleapis.com/keras-applications/efficientnetb5_notop.h5",
        "38879255a25d3c92d5e44e04ae6cec6f",
    ),
    Backbone(
        "EfficientNetB6", 528, 2304, "efficientnet", 40_960_143, 666, 574, 84.0, "Apache-2.0",
        _blocks(
            "top:block7c_add block7c:block7b_add block7b:block7a_project_bn block7a:block6k_add "
            "block6k:block6j_add block6j:block6i_add block6i:block6h_add block6h:block6g_add "
            "block6g:block6f_add"
        ),
        _depths("block6a_expand_activation:1200 block4a_expand_activation:432"),
        "https://storage.googleapis.com/keras-applications/efficientnetb6_notop.h5",
        "9ecce42647a20130c1f39a5d4cb75743",
    ),
    Backbone(
        "EfficientNetB7", 600, 2560, "efficientnet", 64_097_687, 813, 1124, 84.3, "Apache-2.0",
        _blocks(
            "top:block7d_add block7d:block7c_add block7c:block7b_add block7b:block7a_project_bn "
            "block7a:block6m_add block6m:block6l_add block6l:block6k_add block6k:block6j_add "
            "block6j:block6i_add"
        ),
        _depths("block6a_expand_activation:1344 block4a_expand_activation:480"),
        "https://storage.googleapis.com/keras-applications/efficientnetb7_notop.h5",
        "cbcfe4450ddf6f3ad90b1b398090fe4a",
    ),
    Backbone(
        "EfficientNetV2B0", 224, 1280, "inside", 5_919_312, 270, 17.5, 78.7, "Apache-2.0",
        _blocks(
            "top:block6h_add block6h:block6g_add block6g:block6f_add block6f:block6e_add block6e:block6d_add "
            "block6d:block6c_add block6c:block6b_add block6b:block6a_project_bn block6a:block5e_add"
        ),
        _depths("block6a_expand_activation:672 block4a_expand_activation:192"),
        f"{_K}/efficientnet_v2/efficientnetv2-b0_notop.h5",
        "893217f2bb855e2983157299931e43ff",
    ),
    Backbone(
        "EfficientNetV2B1", 240, 1280, "inside", 6_931_124, 334, 29, 79.8, "Apache-2.0",
        _blocks(
            "top:block6i_add block6i:block6h_add block6h:block6g_add block6g:block6f_add block6f:block6e_add "
            "block6e:block6d_add block6d:block6c_add block6c:block6b_add block6b:block6a_project_bn"
        ),
        _depths("block6a_expand_activation:672 block4a_expand_activation:192"),
        f"{_K}/efficientnet_v2/efficientnetv2-b1_notop.h5",
        "0e80663031ca32d657f9caa404b6ec37",
    ),
    Backbone(
        "EfficientNetV2B2", 260, 1408, "inside", 8_769_374, 349, 40, 80.5, "Apache-2.0",
        _blocks(
            "top:block6j_add block6j:block6i_add block6i:block6h_add block6h:block6g_add block6g:block6f_add "
            "block6f:block6e_add block6e:block6d_add block6d:block6c_add block6c:block6b_add"
        ),
        _depths("block6a_expand_activation:720 block4a_expand_activation:224"),
        f"{_K}/efficientnet_v2/efficientnetv2-b2_notop.h5",
        "1dfe2e7a5d45b6632553a8961ea609eb",
    ),
    Backbone(
        "EfficientNetV2B3", 300, 1536, "inside", 12_930_622, 409, 71, 82.0, "Apache-2.0",
        _blocks(
            "top:block6l_add block6l:block6k_add block6k:block6j_add block6j:block6i_add block6i:block6h_add "
            "block6h:block6g_add block6g:block6f_add block6f:block6e_add block6e:block6d_add"
        ),
        _depths("block6a_expand_activation:816 block4a_expand_activation:224"),
        f"{_K}/efficientnet_v2/efficientnetv2-b3_notop.h5",
        "f6abf7b5849ac99a89b50dd3fd532856",
    ),
    Backbone(
        "EfficientNetV2S", 384, 1280, "inside", 20_331_360, 513, 217, 83.9, "Apache-2.0",
        _blocks(
            "top:block6o_add block6o:block6n_add block6n:block6m_add block6m:block6l_add block6l:block6k_add "
            "block6k:block6j_add block6j:block6i_add block6i:block6h_add block6h:block6g_add"
        ),
        _depths("block6a_expand_activation:960 block4a_expand_activation:256"),
        f"{_K}/efficientnet_v2/efficientnetv2-s_notop.h5",
        "af0682fb74e8c54910f2d4393339c070",
    ),
    Backbone(
        "EfficientNetV2M", 480, 1280, "inside", 53_150_388, 740, 542, 85.3, "Apache-2.0",
        _blocks(
            "top:block7e_add block7e:block7d_add block7d:block7c_add block7c:block7b_add "
            "block7b:block7a_project_bn block7a:block6r_add block6r:block6q_add block6q:block6p_add "
            "block6p:block6o_add"
        ),
        _depths("block6a_expand_activation:1056 block4a_expand_activation:320"),
        f"{_K}/efficientnet_v2/efficientnetv2-m_notop.h5",
        "1b8dc055df72dde80d614482840fe342",
    ),
    Backbone(
        "EfficientNetV2L", 480, 1280, "inside", 117_746_848, 1028, 1181, 85.7, "Apache-2.0",
        _blocks(
            "top:block7g_add block7g:block7f_add block7f:block7e_add block7e:block7d_add block7d:block7c_add "
            "block7c:block7b_add block7b:block7a_project_bn block7a:block6y_add block6y:block6x_add"
        ),
        _depths("block6a_expand_activation:1344 block4a_expand_activation:384"),
        f"{_K}/efficientnet_v2/efficientnetv2-l_notop.h5",
        "b0b66b5c863aef5b46e8608fe1711615",
    ),
    Backbone(
        "ConvNeXtTiny", 224, 768, "inside", 27_820_128, 133, 134, 81.3, "MIT",
        _blocks(
            "stage_3:convnext_tiny_downsampling_block_2 stage_2:convnext_tiny_downsampling_block_1 "
            "stage_1:convnext_tiny_downsampling_block_0"
        ),
        _depths("convnext_tiny_stage_2_block_8_gelu:1536 convnext_tiny_stage_1_block_2_gelu:768"),
        f"{_K}/convnext/convnext_tiny_notop.h5",
        "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    Backbone(
        "ConvNeXtSmall", 224, 768, "inside", 49_454_688, 259, 242, 82.3, "MIT",
        _blocks(
            "stage_3:convnext_small_downsampling_block_2 stage_2:convnext_small_downsampling_block_1 "
            "stage_1:convnext_small_downsampling_block_0"
        ),
        _depths("convnext_small_stage_2_block_26_gelu:1536 convnext_small_stage_1_block_2_gelu:768"),
        f"{_K}/convnext/convnext_small_notop.h5",
        "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    ),
    Backbone(
        "ConvNeXtBase", 224, 1024, "inside", 87_566_464, 259, 427, 85.3, "MIT",
        _blocks(
            "stage_3:convnext_base_downsampling_block_2 stage_2:convnext_base_downsampling_block_1 "
            "stage_1:convnext_base_downsampling_block_0"
        ),
        _depths("convnext_base_stage_2_block_26_gelu:2048 convnext_base_stage_1_block_2_gelu:1024"),
        f"{_K}/convnext/convnext_base_notop.h5",
        "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
    ),
    # Top-1 of a linear head on frozen features, at 224 px (M. Oquab et al., DINOv2, arXiv 2304.07193).
    Backbone(
        "DINOv2Small", 224, 768, "torch", 22_155_264, 22, 57.8, 81.1, "Apache-2.0", _DINO_BLOCKS, (),
        *_kaggle("dinov2", "dinov2_small", 1),
        hub=_hub(
            "DINOV2Backbone", "class mean",
            patch_size=14, num_layers=12, hidden_dim=384, num_heads=6, intermediate_dim=1536,
        ),
    ),
    Backbone(
        "DINOv2Base", 224, 1536, "torch", 86_777_856, 22, 209, 84.5, "Apache-2.0", _DINO_BLOCKS, (),
        *_kaggle("dinov2", "dinov2_base", 1),
        hub=_hub(
            "DINOV2Backbone", "class mean",
            patch_size=14, num_layers=12, hidden_dim=768, num_heads=12, intermediate_dim=3072,
        ),
    ),
    Backbone(
        "DINOv3Small", 224, 768, "torch", 21_596_544, 58, 54.4, None, "DINOv3 License", _DINO_BLOCKS, (),
        *_kaggle("dinov3", "dinov3_vit_small_lvd1689m", 1),
        hub=_hub(
            "DINOV3Backbone", "class mean",
            patch_size=16, num_layers=12, hidden_dim=384, num_heads=6, intermediate_dim=1536,
            num_register_tokens=4, use_key_bias=False,
        ),
        conditions=(
            "anyone who passes on these weights, or a model made of them, must do so under the same license, add a "
            "copy of it, and say 'Built with DINOv3'; military and nuclear uses, weapons and espionage are forbidden"
        ),
    ),
    # Top-1 from https://github.com/facebookresearch/deit.
    Backbone(
        "DeiTTiny", 224, 384, "torch", 5_524_800, 82, 11.6, 74.5, "Apache-2.0", _TRANSFORMER_BLOCKS, (),
        *_kaggle("deit", "deit_tiny_distilled_patch16_224_imagenet", 1),
        hub=_hub(
            "DeiTBackbone", "class mean",
            patch_size=16, num_layers=12, num_heads=3, hidden_dim=192, intermediate_dim=768, layer_norm_epsilon=1e-12,
        ),
    ),
    # Learned to tell the 21,843 classes of the large ImageNet apart, not the usual 1,000.
    Backbone(
        "ViTBase", 224, 1536, "signed", 85_798_656, 22, 166, None, "Apache-2.0", _TRANSFORMER_BLOCKS, (),
        *_kaggle("vit", "vit_base_patch16_224_imagenet21k", 3),
        hub=_hub("ViTBackbone", "class mean", patch_size=16, num_layers=12, num_heads=12, hidden_dim=768, mlp_dim=3072),
    ),
    # Learned on the large ImageNet, then on the usual one. Top-1 from https://github.com/Alibaba-MIIL/ImageNet21K.
    Backbone(
        "MobileNetV3Large21k", 224, 960, "unit", 2_996_352, 197, 5.9, 78.0, "Apache-2.0",
        _blocks(
            "top:block_5_2 block_5_2:block_5_1 block_5_1:block_5_0 block_5_0:block_4_1 block_4_1:block_4_0 "
            "block_4_0:block_3_3 block_3_3:block_3_2 block_3_2:block_3_1 block_3_1:block_3_0"
        ),
        _depths("block_5_0_activation1:672 block_3_0_activation1:240"),
        *_kaggle("mobilenetv3", "mobilenet_v3_large_100_imagenet_21k", 1),
        hub=_hub(
            "MobileNetBackbone",
            stackwise_num_blocks=(2, 3, 4, 2, 3),
            stackwise_expansion=((64, 72), (72, 120, 120), (240, 200, 184, 184), (480, 672), (672, 960, 960)),
            stackwise_num_filters=((24,) * 2, (40,) * 3, (80,) * 4, (112,) * 2, (160,) * 3),
            stackwise_kernel_size=((3,) * 2, (5,) * 3, (3,) * 4, (3,) * 2, (5,) * 3),
            stackwise_num_strides=((2, 1), (2, 1, 1), (2, 1, 1, 1), (1, 1), (2, 1, 1)),
            stackwise_se_ratio=((None,) * 2, (0.25,) * 3, (None,) * 4, (0.25,) * 2, (0.25,) * 3),
            stackwise_activation=(("relu",) * 2, ("relu",) * 3, *(("hard_swish",) * n for n in (4, 2, 3))),
            stackwise_padding=((1,) * 2, (2,) * 3, (1,) * 4, (1,) * 2, (2,) * 3),
            output_num_filters=1024, depthwise_filters=16, depthwise_stride=1, depthwise_residual=True,
            last_layer_filter=960,
        ),
    ),
    Backbone(
        "EfficientNetB0ra4", 224, 1280, "signed", 4_049_564, 239, 13.9, None, "Apache-2.0",
        _blocks(
            "top:block7a_project_bn block7a:block6d_add block6d:block6c_add block6c:block6b_add "
            "block6b:block6a_project_bn block6a:block5c_add block5c:block5b_add block5b:block5a_project_bn "
            "block5a:block4c_add"
        ),
        _depths("block6a_expand_activation:672 block4a_expand_activation:240"),
        *_kaggle("efficientnet", "efficientnet_b0_ra4_e3600_r224_imagenet", 2),
        hub=_hub(
            "EfficientNetBackbone",
            stackwise_width_coefficients=(1.0,) * 7, stackwise_depth_coefficients=(1.0,) * 7,
            stackwise_kernel_sizes=(3, 3, 5, 3, 5, 5, 3), stackwise_num_repeats=(1, 2, 2, 3, 3, 4, 1),
            stackwise_input_filters=(32, 16, 24, 40, 80, 112, 192),
            stackwise_output_filters=(16, 24, 40, 80, 112, 192, 320),
            stackwise_expansion_ratios=(1, 6, 6, 6, 6, 6, 6), stackwise_strides=(1, 2, 2, 2, 1, 2, 1),
            stackwise_squeeze_and_excite_ratios=(0.25,) * 7, stackwise_block_types=("v1",) * 7,
            min_depth=None, use_depth_divisor_as_min_depth=True, cap_round_filter_decrease=True, dropout=0,
        ),
    ),
)  # fmt: skip


def known() -> tuple[Backbone, ...]:
    """The catalogue, and after it the models of users' own that this machine knows, whether their files are here or
    not."""
    found = (_own(path.parent.name) for path in sorted(_own_root().glob(f"*/{DESCRIPTION}")))
    return (*CATALOGUE, *sorted((each for each in found if each), key=lambda each: each.name.casefold()))


def find(name: str) -> Backbone:
    """The backbone with this name; upper and lower case are the same. Raises HeadstartError when there is none."""
    for backbone in CATALOGUE:
        if backbone.name.casefold() == name.casefold():
            return backbone
    key = name[-8:].lower()
    if _OWN_NAME.fullmatch(name[:-8] + key):
        own = _own(key)
        if own and own.name.casefold() == name.casefold():
            return own
        raise HeadstartError("own_unknown", backbone=name)
    raise HeadstartError("backbone_unknown", name=name, names=", ".join(b.name for b in known()))


# The description of a model of a user's own, beside its file.
DESCRIPTION = "backbone.json"
SCALINGS = ("inside", "signed", "unit", "torch", "caffe")
# Most characters of the license of such a model, in the words of who brought it.
LICENSE = 300
# The name that a user gave, and the key of file and scaling: what has another key is another network.
_OWN_NAME = re.compile(r"\w[\w .-]{0,39}-[0-9a-f]{8}")
_LAYER = re.compile(r"[^\x00-\x1f]{1,200}")
# What `of_description` raises.
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, OverflowError)
# The largest numbers that a description may have.
_MOST = {"size": 1024, "width": 65_536, "parameters": 10**9, "layers": 100_000, "cpu_ms": 10**6}


def own_name(name: str, key: str) -> str:
    """The name of a model that a user calls so. Raises HeadstartError("own_name")."""
    full = f"{' '.join(name.split())}-{key}"
    if not _OWN_NAME.fullmatch(full):
        raise HeadstartError("own_name", name=name[:80])
    return full


def own_terms(license: str) -> str:
    """The license of such a model on one line. Raises HeadstartError("own_license")."""
    terms = " ".join(license.split())
    if not 0 < len(terms) <= LICENSE or not terms.isprintable():
        raise HeadstartError("own_license", limit=LICENSE)
    return terms


def own_folder(key: str) -> Path:
    """Where the model of a user's own with this key lies, and its description."""
    return _own_root() / key


def own_key(backbone: Backbone) -> str:
    """The key of a model of a user's own, with which its name ends."""
    return backbone.name[-8:]


def to_description(backbone: Backbone) -> dict[str, Any]:
    """All that is known of a model of a user's own, as JSON."""
    values = asdict(backbone)
    names = ("name", "scaling", "license", *_MOST, "blocks", "depths", "own")
    return {name: values[name] for name in names}


def of_description(values: Mapping[str, Any]) -> Backbone:
    """The model that a description is about. It may come from anyone: raises one of UNREADABLE where it is none."""
    texts = {name: str(values[name]) for name in ("name", "scaling", "license")}
    numbers = {name: (float if name == "cpu_ms" else int)(values[name]) for name in _MOST}
    blocks = tuple(Block(str(each["name"]), str(each["after"])) for each in values["blocks"])
    depths = tuple(Depth(str(each["layer"]), int(each["width"])) for each in values["depths"])
    own = OwnModel(**{name: kind(values["own"][name]) for name, kind in OwnModel.__annotations__.items()})
    layers = [own.layer, *(block.after for block in blocks), *(depth.layer for depth in depths)]
    makes_sense = (
        _OWN_NAME.fullmatch(texts["name"])
        and texts["scaling"] in SCALINGS
        and 0 < len(texts["license"]) <= LICENSE
        and texts["license"].isprintable()
        and all(0 <= number <= _MOST[name] for name, number in numbers.items())
        and min(numbers["size"], numbers["width"], own.side, *(depth.width for depth in depths)) > 0
        and len(blocks) <= 50
        and len(depths) <= 2
        and all(map(_LAYER.fullmatch, layers))
        and re.fullmatch(r"[0-9a-f]{64}", own.sha256)
    )
    if not makes_sense:
        raise ValueError
    return Backbone(**texts, **numbers, top1=None, blocks=blocks, depths=depths, own=own)  # type: ignore[arg-type]


def _own(key: str) -> Backbone | None:
    """The model of a user's own with this key; None where nothing here describes it."""
    path = own_folder(key) / DESCRIPTION
    try:
        found = _read(path, path.stat().st_mtime_ns)
    except OSError:
        return None
    return found if found and own_key(found) == key else None


@lru_cache(maxsize=256)
def _read(path: Path, mtime_ns: int) -> Backbone | None:
    try:
        return of_description(json.loads(path.read_bytes()))
    except (*UNREADABLE, RecursionError):  # damaged: as if it were not there
        return None


def _own_root() -> Path:
    return _models() / "own"


def weights_path(backbone: Backbone) -> Path:
    """The path of a backbone's weights, whether they exist or not: inside Headstart, in the Keras cache (`KERAS_HOME`),
    or in that of kagglehub, if only that has them."""
    if backbone.own:
        return own_folder(own_key(backbone)) / "model.keras"
    if not backbone.weights_url:
        return Path(__file__).parent / "neural" / backbone.weights_file
    usual = _models() / backbone.weights_file
    places = (*given_paths(backbone), usual, *_kaggle_paths(backbone))
    return next((path for path in places if path.is_file()), usual)


def given_paths(backbone: Backbone) -> tuple[Path, Path]:
    """The paths of weights that a user gives as a file: in the newer format, which Keras recognizes by its suffix, and
    in the older one. Their names differ from the published one, because they may be other weights."""
    models, stem = _models(), backbone.weights_file.removesuffix(".h5").replace(".weights", ".given")
    return models / f"{stem}.weights.h5", models / f"{stem}.given.h5"


def _kaggle_paths(backbone: Backbone) -> tuple[Path, ...]:
    """Where kagglehub keeps the same file (`KAGGLEHUB_CACHE`)."""
    if not backbone.weights_url.startswith(_KAGGLE):
        return ()
    root = os.environ.get("KAGGLEHUB_CACHE")
    cache = Path(root) if root else Path.home() / ".cache" / "kagglehub"
    return (cache / "models" / backbone.weights_url.removeprefix(f"{_KAGGLE}/").replace("/download/", "/"),)


def _models() -> Path:
    root = os.environ.get("KERAS_HOME")
    return (Path(root) if root else Path.home() / ".keras") / "models"
