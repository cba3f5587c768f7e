"""Previews the altered copies that a training would make.

A `Preview` is a long-lived sandbox process that decodes a few of the user's pictures with the function that training
uses, so the pixels are those of the network's input. No network runs.
"""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from core.disk.blobs import Shelf
from core.features.feature_cache import views
from core.sandbox import decoding
from core.sandbox.process import Child

# Side of a tile: on a phone, differences between two tiles are still visible.
TILE_PX = 112
_GAP_PX = 6
# Every strip has room for the picture and this many copies, so that all tiles have one size.
COPIES = 4


class Preview:
    """A handle on the process, which starts at the first call."""

    def __init__(self, pictures: Shelf) -> None:
        self._pictures = pictures
        self._child = Child("core.sandbox.decoding:answer", decoding.DECODING)

    def strips(self, ids: Sequence[str], size: int, copies: int, kinds: Sequence[str]) -> list[bytes]:
        """For each picture one WebP: the network's input in `size` px, then its first copies to the right.

        Raises HeadstartError when a picture cannot be decoded.
        """
        copies = min(copies, COPIES)
        seen = views(ids, copies, tuple(kinds))
        squares = [[str(self._pictures.path(view.picture_id)), view.number, view.kinds] for view in seen]
        _, data = self._child.ask({"squares": squares, "size": size})
        pixels = np.frombuffer(data, np.uint8).reshape(copies + 1, len(ids), size, size, 3)
        return [_strip(pixels[:, i]) for i in range(len(ids))]

    def close(self) -> None:
        self._child.close()


def _strip(tiles: decoding.Pixels) -> bytes:
    """A WebP of the squares (n, size, size, 3) in a row, with transparent gaps that suit light and dark backgrounds."""
    row = Image.new("RGBA", ((COPIES + 1) * (TILE_PX + _GAP_PX) - _GAP_PX, TILE_PX))
    for i, tile in enumerate(tiles):
        row.paste(Image.fromarray(decoding.resize(tile, TILE_PX)), (i * (TILE_PX + _GAP_PX), 0))
    out = io.BytesIO()
    row.save(out, "WEBP", lossless=True, method=0)  # 2 ms in place of 70, and 16 % larger
    return out.getvalue()
