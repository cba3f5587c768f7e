"""The work behind `core.atlas`: the first map as a training ends, the second (and for older runs the first) as a job.

Part of the worker. The job extracts features that are missing; it gives way to whatever computes.
"""

from core import atlas, embedding
from core.dataset import Dataset
from core.extraction import of_run
from core.features import Cache, views
from core.inspection import Look, Polite, give_way
from core.store import Store
from core.ticket import Ticket


def overview(store: Store, run_id: str, data: Dataset, cache: Cache) -> None:
    """Lay out a run's pictures as the backbone sees them, if all are in its cache: that takes a part of a second, and
    nobody need wait for it later."""
    seen = views([picture.id for picture in data.pictures])
    if not cache.missing(seen):
        atlas.write(store, run_id, "pca", embedding.places(embedding.components(cache.read(seen), 2)))


def survey(ticket: Ticket) -> None:
    """Params: run. What was found before is not found again."""
    store, run_id = ticket.store, ticket.job.params["run"]
    if not all(atlas.exists(store, run_id, layout) for layout in atlas.LAYOUTS):
        plan, data, _ = of_run(store, run_id)  # what the training of the run took stays as it is
        features = Look(ticket, plan, data).all()
        ticket.stage("map_pca", 0)
        wide = embedding.components(features)
        if not atlas.exists(store, run_id, "pca"):
            atlas.write(store, run_id, "pca", embedding.places(wide))
        ticket.stage("map_tsne", embedding.STEPS)
        give_way(ticket)
        atlas.write(store, run_id, "tsne", embedding.neighborhoods(wide, Polite(ticket)))
    ticket.succeed({}, {})
