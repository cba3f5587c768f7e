"""Makes the export that is a web page: fetches what runs a model in a browser, and puts model, pictures and page into
one ZIP."""

from dataclasses import replace
from pathlib import Path

from core.demos import published
from core.demos.published import Appearance
from core.disk import blobs
from core.errors import HeadstartError
from core.explain import novelty
from core.exports import litert_js
from core.exports import web_page as page
from core.exports.web_page import PageModel
from core.features.runtime import described
from core.language import catalog
from core.scores.thresholds import Thresholds
from core.worker.exports.making import Material


def web_page(material: Material, path: Path) -> None:
    """Write the ZIP. Raises HeadstartError as `litert_js.fetch` does, and HeadstartError("known_missing") where the
    limits need remembered pictures that the model lacks."""
    litert_js.fetch(material.store.home, material.ticket)
    material.ticket.stage("export", 0)
    appearance = page.appearance(material.store, material.run)
    appearance = replace(appearance, language=appearance.language or catalog.current().language)
    files = page.files(
        _model(material), appearance, _examples(material, appearance), litert_js.files(material.store.home)
    )
    blobs.write(path, page.pack(files))


def _model(material: Material) -> PageModel:
    from core.neural import model

    known, limits = novelty.read(material.folder), Thresholds.read(material.folder)
    if known is None and limits.farthest is not None:
        raise HeadstartError("known_missing", path=str(material.folder))
    directions, neighbor = (None, 0) if known is None else (known.directions, known.neighbor)
    network = model.for_one_picture(material.model, directions, neighbor)
    terms = material.backbone.terms
    return PageModel(described(network, terms), material.data.classes, material.backbone.size, limits, terms)


def _examples(material: Material, appearance: Appearance) -> list[tuple[str, bytes]]:
    """The pictures of the demo, else one of each class that the model has not learned from: class and JPEG."""
    labels = {picture.id: picture.label for picture in material.data.pictures}
    first = {picture.label: picture.id for picture in reversed(material.data.part("test").pictures)}
    wanted = [each for each in appearance.examples if each in labels] or [first[label] for label in sorted(first)]
    here = [each for each in wanted[: published.EXAMPLES] if material.store.pictures.path(each).is_file()]
    return list(zip((labels[each] for each in here), material.jpegs(here), strict=True))
