"""The catalogue."""

from pathlib import Path

import pytest

from core import backbones
from core.disk import blobs
from core.errors import HeadstartError
from core.language import catalog


@pytest.fixture(autouse=True)
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras"


def test_a_backbone_is_found_by_its_name_in_any_case() -> None:
    assert backbones.find("vgg16") is backbones.VGG16
    assert backbones.find("Starter") is backbones.STARTER
    with pytest.raises(HeadstartError, match="no backbone named VGG17"):
        backbones.find("VGG17")


def test_the_weights_of_starter_ship_with_headstart() -> None:
    assert backbones.STARTER.has_weights
    size = backbones.weights_path(backbones.STARTER).stat().st_size
    assert size / 1e6 == pytest.approx(backbones.STARTER.megabytes, rel=0.05)


def test_other_weights_belong_into_the_keras_cache(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    assert backbones.weights_path(backbones.MOBILENET_V2) == keras_home / "models" / name
    assert not backbones.MOBILENET_V2.has_weights
    monkeypatch.delenv("KERAS_HOME")
    assert backbones.weights_path(backbones.MOBILENET_V2) == Path.home() / ".keras" / "models" / name


def test_weights_given_in_the_newer_format_stand_in_for_the_published_file(keras_home: Path) -> None:
    given = backbones.given_paths(backbones.VGG16)[0]
    assert given.name == "vgg16_weights_tf_dim_ordering_tf_kernels_notop.weights.h5"
    given.parent.mkdir(parents=True)
    given.write_bytes(b"newer")
    assert backbones.weights_path(backbones.VGG16) == given and backbones.VGG16.has_weights


def test_every_entry_says_where_its_weights_are_from_and_what_they_may_be_used_for() -> None:
    names = [b.name for b in backbones.CATALOGUE]
    assert len(set(names)) == len(names) == 45
    assert len({b.weights_file for b in backbones.CATALOGUE}) == 45
    for backbone in backbones.CATALOGUE[1:]:
        published = "https://www.kaggle.com/" if backbone.hub else "https://storage.googleapis.com/"
        assert backbone.weights_url.startswith(published) and backbone.weights_file
        assert backbone.weights_hash or backbone.golden or backbone.name == "MobileNet" or backbone.hub
        assert len(backbone.weights_hash) in (0, 32, 64)
        assert backbone.license in ("Apache-2.0", "MIT", "BSD-3-Clause", "CC BY 4.0") or backbone.conditions
        assert backbone.top1 is None or 60 < backbone.top1 < 90
        assert backbone.cpu_ms > 0
    assert [b.name for b in backbones.CATALOGUE[1:] if b.top1 is None] == [
        "DINOv3Small",
        "ViTBase",
        "EfficientNetB0ra4",
    ]


def test_weights_whose_license_has_conditions_are_never_downloaded_and_the_conditions_are_told() -> None:
    entry = backbones.find("DINOv3Small")
    assert [b for b in backbones.CATALOGUE if b.conditions] == [entry]
    assert not entry.is_downloadable and not entry.is_available
    assert entry.terms.endswith(f"; {entry.conditions}") and "same license" in entry.conditions
    assert catalog.of("en").texts["conditions.DINOv3Small"][0] == f"{entry.license}: {entry.conditions}."
    blobs.write(backbones.given_paths(entry)[0], b"weights")
    assert entry.is_available is backbones.has_hub()


def test_the_line_that_installs_keras_hub_is_the_same_everywhere() -> None:
    root = Path(backbones.__file__).parents[1]
    packages = backbones.INSTALL.partition(" --no-deps ")[2]
    assert backbones.INSTALL in (root / "docs" / "backbones.md").read_text()
    assert f"--no-deps {packages}\n" in (root / ".ci" / "run").read_text()


def test_networks_trained_alike_are_expected_to_transfer_in_the_order_of_their_accuracy_on_imagenet() -> None:
    names = ("VGG16", "ResNet50", "ResNet101", "ResNet152")
    assert [backbones.find(name).transfer for name in names] == [71.3, 74.9, 76.4, 76.6]
    assert backbones.STARTER.transfer == 0 < backbones.MOBILENET_V2.transfer


def test_accuracy_on_imagenet_that_came_from_regularization_is_not_expected_to_transfer() -> None:
    resnet = backbones.find("ResNet50")
    for name in ("InceptionV3", "InceptionResNetV2", "EfficientNetV2B0", "MobileNetV3Large"):
        entry = backbones.find(name)
        assert (entry.top1 or 0) > (resnet.top1 or 0) and entry.transfer < resnet.transfer


def test_blocks_of_a_backbone_have_names_of_their_own() -> None:
    for backbone in backbones.CATALOGUE:
        assert backbone.blocks
        for values in ([b.name for b in backbone.blocks], [b.after for b in backbone.blocks]):
            assert len(set(values)) == len(values), backbone.name
