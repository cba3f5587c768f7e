"""The preview shows what a training sees: the same squares, by the same function."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.disk.blobs import Shelf
from core.errors import HeadstartError
from core.runs.augmentation_preview import COPIES, TILE_PX, Preview
from core.sandbox import decoding
from tests import drawing


def png(number: int) -> bytes:
    out = io.BytesIO()
    drawing.draw("circle", number).save(out, "PNG")
    return out.getvalue()


def test_a_strip_has_the_picture_and_each_copy_as_the_network_sees_them(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    files = [png(1), png(2)]
    ids = [shelf.settle(shelf.stage([data])) for data in files]
    preview = Preview(shelf)
    strips = preview.strips(ids, 96, 2, ("crop", "flip"))
    preview.close()
    assert len(strips) == 2
    for data, strip in zip(files, strips, strict=True):
        with Image.open(io.BytesIO(strip)) as image:
            assert image.format == "WEBP" and image.height == TILE_PX
            row = np.asarray(image.convert("RGBA"))
        step = (image.width - TILE_PX) // COPIES
        for number in range(3):
            seen = decoding.resize(decoding.square(data, 96, number, ("crop", "flip")), TILE_PX)
            tile = row[:, number * step : number * step + TILE_PX, :3]
            np.testing.assert_array_equal(tile, seen)
        assert row[0, TILE_PX + 1, 3] == 0  # a clear gap
        assert not row[:, 3 * step :, 3].any()  # room for more copies


def test_what_cannot_be_decoded_is_said_as_an_error(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    preview = Preview(shelf)
    with pytest.raises(HeadstartError) as caught:
        preview.strips([shelf.settle(shelf.stage([b"no picture"]))], 96, 1, ("crop",))
    assert caught.value.code == "file_not_picture"
    preview.close()
