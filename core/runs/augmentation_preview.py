"""Altered copies as a training makes them, to look at before it.

A `Preview` is a warm, limited process that decodes a few of the user's pictures; the pixels are those that the network
would see, by the same function. No network and no numbers are involved.
"""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from core import images
from core.child import Child
from core.features import views
from core.shelf import Shelf

# Two of these beside each other are still told apart on a phone.
TILE_PX = 112
_GAP_PX = 6
# A strip has room for the picture and so many copies, however many there are, so that all tiles are of one size.
COPIES = 4


class Preview:
    """A handle on the process; it starts at the first question."""

    def __init__(self, pictures: Shelf) -> None:
        self._pictures = pictures
        self._child = Child("core.images:answer", images.DECODING)

    def strips(self, ids: Sequence[str], size: int, copies: int, kinds: Sequence[str]) -> list[bytes]:
        """For each picture one WebP: the picture as the network sees it in `size` px, then its first copies beside it.

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


def _strip(tiles: images.Pixels) -> bytes:
    """Squares (n, size, size, 3) in a row with clear gaps, so that they lie on light and dark ground."""
    row = Image.new("RGBA", ((COPIES + 1) * (TILE_PX + _GAP_PX) - _GAP_PX, TILE_PX))
    for i, tile in enumerate(tiles):
        row.paste(Image.fromarray(images.resize(tile, TILE_PX)), (i * (TILE_PX + _GAP_PX), 0))
    out = io.BytesIO()
    row.save(out, "WEBP", lossless=True)
    return out.getvalue()
