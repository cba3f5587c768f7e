"""The picture map as a job, for what the end of a training has not laid out.

Part of the worker. The job extracts features that are missing; it gives way to whatever computes.
"""

from core.explain import embedding, picture_map
from core.jobs.job_context import Ticket
from core.jobs.kinds import OfRun
from core.worker.audit_job import Polite, give_way, look
from core.worker.extraction import FeatureSource, of_run


def survey(ticket: Ticket, parameters: OfRun) -> None:
    """Make the maps of a run; one that is there already is not made again."""
    store, run_id = ticket.store, parameters.run
    if not all(picture_map.exists(store, run_id, layout) for layout in picture_map.LAYOUTS):
        features = look(FeatureSource(ticket, *of_run(store, run_id)))  # what its training took stays as it is
        ticket.stage("map_pca", 0)
        wide = embedding.components(features)
        if not picture_map.exists(store, run_id, "pca"):
            places = embedding.places(wide)
            picture_map.write(store.folder(run_id), "pca", places)
        ticket.stage("map_tsne", embedding.STEPS)
        give_way(ticket)
        places = embedding.neighborhoods(wide, Polite(ticket))  # meanwhile a training may put another model in place
        picture_map.write(store.folder(run_id), "tsne", places)
    ticket.succeed()
