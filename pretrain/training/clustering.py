"""How PCL's clusters are made: every image is embedded by the EMA copy, then all are sorted by k-means.

Each process embeds its share of the images and finds the nearest centroids for its share; both are gathered, and the
rest, which takes little time, every process does for itself. So the clusters are equal in all.
"""

import logging
import time

import torch
from accelerate.utils import broadcast
from torch import Tensor, nn

from ..models.across_processes import Processes, share_of
from ..models.clusters import ImageClusters
from ..models.ema import EmaPair
from ..models.kmeans import Nearest, nearest
from ..views.operations import Normalize
from ..views.view import CentreCrop, View
from .run import Run

log = logging.getLogger(__name__)

_REPORT_EVERY_S = 30.0


def renew_clusters(run: Run, epoch: int) -> None:
    """Make an epoch's clusters, if its recipe has any and they are not there yet.

    A run resumed in mid-epoch has them from its checkpoint: made of its newer weights they would be others.
    """
    clusters = run.state.memory(ImageClusters)
    if clusters is None or epoch < clusters.plan.from_epoch or epoch == clusters.epoch:
        return
    rows = embed_images(run, epoch)
    start = time.monotonic()

    def report(count: int) -> None:
        _log(run, "epoch %d: %d clusters of %d images, %.0f s", epoch, count, len(rows), time.monotonic() - start)

    shared = _shared_out(run.processes)
    clusters.renew(rows, seed=run.options.seed, epoch=epoch, nearest=shared, observe=report)
    run.monitor.restart_clock()


@torch.no_grad()
def embed_images(run: Run, epoch: int) -> Tensor:
    """(n, D) unit rows, on the device: the EMA copy's embedding of the middle of every image.

    Its batch norms work with running statistics, of which each process has its own: all take the first one's, which are
    those that a checkpoint holds. An unreadable image has the embedding of the next readable one, as in training.
    """
    pair = run.state.memory(EmaPair)
    assert pair is not None, "an objective that needs clusters needs a KeyNetwork"
    key, view, start = pair.key, middle(run), time.monotonic()
    for name, statistics in key.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            broadcast(statistics, from_process=0)
    rows, done, reported = [], 0, start
    modes = {module: module.training for module in key.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)}
    key.eval()
    for batch in run.loader.in_order(view):
        with run.accelerator.autocast():
            rows.append(key.embed(batch.views[view.name].to(run.accelerator.device)).float())
        done += len(batch.samples) * run.processes.world
        if time.monotonic() - reported > _REPORT_EVERY_S:
            reported = time.monotonic()
            _log(run, "epoch %d: %d images embedded, %.0f img/s", epoch, done, done / (reported - start))
    for module, mode in modes.items():
        module.train(mode)
    total = len(run.loader.source)
    _log(run, "epoch %d: all %d images embedded, %.0f img/s", epoch, total, total / (time.monotonic() - start))
    return run.processes.gather(torch.cat(rows))[:total]


def middle(run: Run) -> View:
    """The centre crop that stands for an image, of the first view's size and normalisation."""
    recipe = run.recipe
    normalize = Normalize(recipe.preprocessing.mean, recipe.preprocessing.std)
    return View("middle", CentreCrop(recipe.input_px, interpolation=recipe.preprocessing.interpolation), (normalize,))


def _shared_out(processes: Processes) -> Nearest:
    """`nearest`, of which each process does its share."""

    def nearest_of_all(rows: Tensor, centroids: Tensor) -> Tensor:
        mine = share_of(len(rows), processes.rank, processes.world).to(rows.device)
        return processes.gather(nearest(rows[mine], centroids))[: len(rows)]

    return nearest_of_all


def _log(run: Run, text: str, *figures: float) -> None:
    if run.accelerator.is_main_process:
        log.info(text, *figures)
