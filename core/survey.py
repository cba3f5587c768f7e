"""The work behind `core.atlas`: the features of a run's pictures, extracted where they are missing, then both maps.

Part of the worker. The first map is there at once; before the second, and during it, it gives way to whatever computes.
"""

from typing import Any

from core import atlas, embedding, weights
from core.extraction import Extraction
from core.features import views
from core.inspection import Polite, give_way
from core.matrix import Matrix
from core.ticket import Ticket


def survey(ticket: Ticket) -> None:
    """Params: run. What an earlier attempt has found is not found again."""
    store, run_id = ticket.store, ticket.job.params["run"]
    if not all(atlas.exists(store, run_id, layout) for layout in atlas.LAYOUTS):
        features = _Survey(ticket, run_id).all()
        ticket.stage("map_pca", 0)
        wide = embedding.components(features)
        atlas.write(store, run_id, "pca", embedding.places(wide))
        ticket.stage("map_tsne", embedding.STEPS)
        give_way(ticket)
        atlas.write(store, run_id, "tsne", embedding.neighborhoods(wide, Polite(ticket)))
    ticket.succeed({}, {})


class _Survey(Extraction):
    """What the backbone of a run says of the run's pictures as they are, without altered copies."""

    def all(self) -> Matrix:
        """(n, width), in the order of the run's pictures; in float32, as those of val and test are."""
        self.weights = weights.fetch(self.backbone, self.ticket)
        recipe, seen = self._recipe("val"), views([picture.id for picture in self.data.pictures])
        if self._cache(recipe).missing(seen):
            give_way(self.ticket)
        return self._extract("features", recipe, seen).read(seen)

    def _keep(self, name: str, value: Any) -> None:
        """What the training of the run took stays as it is."""
