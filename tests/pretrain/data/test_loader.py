"""The loader: the same batches for any number of workers and processes, whatever the files are like."""

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from goodviews.hub.errors import DataError, UsageError
from goodviews.hub.sources.files import Files
from goodviews.hub.sources.folders import open_folder
from goodviews.hub.sources.packed_names import Names
from goodviews.pretrain.data import portions, prefetch, worker
from goodviews.pretrain.data.loader import Batch, ViewLoader
from goodviews.pretrain.data.places import Places
from goodviews.pretrain.data.portions import Portion, Portions
from goodviews.pretrain.data.side_stream import SideStream
from goodviews.pretrain.views.operations import (
    ColorJitter,
    CutJigsaw,
    Flip,
    GaussianBlur,
    Grayscale,
    Normalize,
)
from goodviews.pretrain.views.rand_augment import RandAugment
from goodviews.pretrain.views.view import CentreCrop, RandomResizedCrop, View

PROGRAM = (Flip(), ColorJitter(0.8, 0.8, 0.8, 0.2, p=0.8), GaussianBlur(kind="conv23"), RandAugment(), Grayscale(0.2))
VIEWS = (
    View("query", RandomResizedCrop(48, (0.2, 1.0)), (*PROGRAM, Normalize())),
    View("jigsaw", RandomResizedCrop(63, (0.6, 1.0)), (Flip(), CutJigsaw(patch_px=16), Normalize())),
)


@pytest.fixture(scope="module")
def source(photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Ten images in two classes."""
    root = tmp_path_factory.mktemp("images")
    for i in range(10):
        target = root / ("even", "odd")[i % 2] / f"{i}.jpg"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(photos[i % len(photos)], target)
    return open_folder(root)


def batches(source: Files, *, epoch: int = 0, start_step: int = 0, **kwargs: int) -> list[Batch]:
    loader = ViewLoader(source, VIEWS, **{"batch_size": 4, "seed": 1, "workers": 0, **kwargs})
    return list(loader.epoch(epoch, start_step))


def assert_same(ours: list[Batch], theirs: list[Batch]) -> None:
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine.samples, other.samples)
        assert all(torch.equal(mine.views[view.name], other.views[view.name]) for view in VIEWS)


def test_a_batch_holds_every_view_normalised(source: Files):
    batch = batches(source)[0]
    assert batch.samples.dtype == torch.int64
    assert batch.views["query"].shape == (4, 3, 48, 48)
    assert batch.views["jigsaw"].shape == (4, 9, 3, 16, 16)
    assert batch.views["query"].dtype == torch.float32
    assert -2.2 < batch.views["query"].min() < 0 < batch.views["query"].max() < 2.7
    assert batch.wait_s > 0


def test_batches_do_not_depend_on_the_number_of_workers(source: Files):
    alone = batches(source)
    for workers in (1, 2):
        assert_same(batches(source, workers=workers), alone)


def in_portions(source: Files, *, workers: int, device: str) -> ViewLoader:
    """With a device that is none, views are planned and put together as for a GPU, and rendered here."""
    loader = ViewLoader(source, VIEWS, batch_size=8, seed=1, workers=workers, device=device)
    loader.device = torch.device("cpu")
    return loader


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_batches_of_several_portions_equal_whole_ones(source: Files, device: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(portions, "PORTION", 3)
    for workers in (0, 1, 2):
        loader = in_portions(source, workers=workers, device=device)
        for epoch in (0, 1, 0):
            assert_same(list(loader.epoch(epoch)), batches(source, batch_size=8, epoch=epoch))
        loader.close()


def test_a_step_is_planned_anew_where_a_photo_was_replaced(odd_files: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(portions, "PORTION", 3)
    odd = open_folder(odd_files)
    for ours, theirs in zip(in_portions(odd, workers=2, device="meta").epoch(0), batches(odd, batch_size=8)):
        assert_same([ours], [theirs])


def test_of_rendered_views_only_the_first_step_comes_in_portions(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(portions, "PORTION", 3)
    steps = [[(0, sample) for sample in range(7)]] * 2
    counts = [[len(asked.places) for asked in Portions(steps, 2, is_rendered=each)] for each in (False, True)]
    assert counts == [[3, 2, 2, 3, 2, 2], [3, 2, 2, 7]]


def test_planning_is_shared_out_among_the_workers():
    places = [[(0, sample) for sample in range(7)]] * 12
    for size, workers in ((3, 3), (3, 2), (3, 6), (7, 4), (3, 1)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(portions, "PORTION", size)
            turns = [turn % workers for turn, asked in enumerate(Portions(places, workers)) if asked.step]
        counts = [turns.count(worker) for worker in range(workers)]
        assert sum(counts) == 12
        assert max(counts) - min(counts) <= 1


def test_the_processes_of_a_run_share_out_the_batches_of_one(source: Files):
    shares = [batches(source, rank=rank, world=2) for rank in range(2)]
    for whole, first, second in zip(batches(source), *shares, strict=True):
        assert torch.equal(whole.samples, torch.cat([first.samples, second.samples]))
        for view in VIEWS:
            assert torch.equal(whole.views[view.name], torch.cat([first.views[view.name], second.views[view.name]]))


@pytest.mark.parametrize("workers", [0, 2])
def test_all_images_are_shown_once_and_in_order_also_the_last_few(source: Files, workers: int):
    middle = View("middle", CentreCrop(40), (Normalize(),))
    shown = [*ViewLoader(source, VIEWS, batch_size=4, seed=1, workers=workers).in_order(middle)]
    assert [batch.samples.tolist() for batch in shown] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert shown[-1].views["middle"].shape == (2, 3, 40, 40)
    whole = torch.cat([batch.views["middle"] for batch in shown])
    shares = [
        ViewLoader(source, VIEWS, batch_size=9, seed=1, workers=workers, rank=rank, world=3).in_order(middle)
        for rank in range(3)
    ]
    parts = torch.cat([batch.views["middle"] for share in shares for batch in share])
    assert len(parts) == 12  # each of three processes has four, the last one two of the first again
    assert torch.equal(parts[:10], whole)
    assert torch.equal(parts[10:], whole[:2])


def test_an_epoch_continues_at_any_step_without_decoding_what_came_before(
    source: Files, monkeypatch: pytest.MonkeyPatch
):
    whole = batches(source, epoch=3, batch_size=3)
    read, original = [], worker.read_crops
    monkeypatch.setattr(
        worker, "read_crops", lambda path, *rest, **kw: read.append(path) or original(path, *rest, **kw)
    )
    assert_same(batches(source, epoch=3, batch_size=3, start_step=1), whole[1:])
    assert len(read) == 6


def test_workers_kept_between_epochs_show_each_epoch_its_own_views(source: Files):
    loader = ViewLoader(source, VIEWS, batch_size=4, seed=1, workers=2)
    for epoch in (0, 1, 0):
        assert_same(list(loader.epoch(epoch)), batches(source, epoch=epoch))
    assert not torch.equal(batches(source, epoch=0)[0].samples, batches(source, epoch=1)[0].samples)


def test_an_epoch_that_was_left_early_does_not_spill_into_the_next(source: Files):
    loader = ViewLoader(source, VIEWS, batch_size=2, seed=1, workers=2)
    next(loader.epoch(0))
    assert_same(list(loader.epoch(1, start_step=2)), batches(source, epoch=1, batch_size=2, start_step=2))


def test_the_same_image_looks_different_in_the_next_epoch_and_with_another_seed(source: Files):
    def picture(batch: Batch) -> torch.Tensor:
        return batch.views["query"][batch.samples == 3]

    everything = {"batch_size": 10}
    first, again = batches(source, **everything)[0], batches(source, **everything)[0]
    assert torch.equal(picture(first), picture(again))
    assert not torch.equal(picture(first), picture(batches(source, epoch=1, **everything)[0]))
    assert not torch.equal(picture(first), picture(batches(source, seed=2, **everything)[0]))


def test_loading_leaves_the_global_random_numbers_alone(source: Files):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    batches(source, workers=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_worker_that_was_not_forked_gives_the_same_batches(source: Files):
    """On macOS and Windows workers start afresh and receive all they have by pickle."""
    photos = pickle.loads(pickle.dumps(worker.Photos(worker.FromSource(source), VIEWS, 1, renders=True)))
    batch = batches(source)[0]
    loaded = photos[Portion([(0, int(sample)) for sample in batch.samples])]
    assert all(torch.equal(loaded.images[view.name], batch.views[view.name]) for view in VIEWS)


def test_workers_end_when_their_loader_is_closed_whoever_holds_its_batches(source: Files):
    others = multiprocessing.active_children()
    loader = ViewLoader(source, VIEWS, batch_size=4, seed=1, workers=2)
    held = loader.epoch(0), loader.in_order(View("middle", CentreCrop(40), (Normalize(),)))
    for batches in held:
        next(batches)
    assert len(multiprocessing.active_children()) == len(others) + 4
    loader.close()
    assert multiprocessing.active_children() == others


FAILING = """
from pathlib import Path

from goodviews.hub.sources.folders import open_folder
from goodviews.pretrain.data.loader import ViewLoader
from goodviews.pretrain.views.view import CentreCrop, View

def test_fails_in_mid_epoch():
    source = open_folder(Path({folder!r}))
    loader = ViewLoader(source, (View("a", CentreCrop(8), ()),), batch_size=4, seed=1, workers=2)
    batches = loader.epoch(0)
    next(batches)
    assert False
"""


def test_pytest_ends_after_a_test_that_failed_in_mid_epoch(source: Files, tmp_path: Path):
    (tmp_path / "test_failing.py").write_text(FAILING.format(folder=str(source.root)))
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    plain = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    ended = subprocess.run(words, env=plain, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 1
    assert "1 failed" in ended.stdout


@pytest.mark.parametrize("workers", [0, 2])
def test_every_odd_file_is_loaded_or_listed_once(odd_files: Path, workers: int):
    source = open_folder(odd_files)
    loader = ViewLoader(source, VIEWS, batch_size=4, seed=0, workers=workers)
    shown = torch.cat([batch.samples for epoch in range(2) for batch in loader.epoch(epoch)])
    unreadable = {Path(path).name for path, _ in loader.skipped}
    assert len(unreadable) == len(loader.skipped) == 12
    assert not {source.path(sample).name for sample in shown} & unreadable
    assert all(str(path) in reason for path, reason in loader.skipped)


def test_an_unreadable_image_is_replaced_by_the_next_with_that_ones_numbers(source: Files, tmp_path: Path):
    broken = tmp_path / "broken.jpg"
    broken.write_text("no image")
    names = [str(source.path(i).resolve()) for i in range(10)]
    names[4] = str(broken)
    damaged = ViewLoader(Files("x", tmp_path, Names.of(names), None, ()), VIEWS, batch_size=10, seed=1, workers=0)
    (batch,), (whole,) = list(damaged.epoch(0)), batches(source, batch_size=10)
    (place,) = (whole.samples == 4).nonzero()[0].tolist()
    assert batch.samples[place] == 5
    (next_place,) = (whole.samples == 5).nonzero()[0].tolist()
    assert torch.equal(batch.views["query"][place], whole.views["query"][next_place])
    assert [path for path, _ in damaged.skipped] == [str(broken)]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_folder_without_a_readable_image_is_refused_in_one_sentence(tmp_path: Path, workers: int):
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_text("no image")
    loader = ViewLoader(open_folder(tmp_path), VIEWS, batch_size=2, seed=0, workers=workers)
    with pytest.raises(DataError, match=r"^None of the 3 images of .* can be read\.$"):
        next(loader.epoch(0))


def test_fewer_images_than_a_batch_are_refused(source: Files):
    with pytest.raises(DataError, match="holds 10 images, fewer than one batch of 16"):
        ViewLoader(source, VIEWS, batch_size=16, seed=0, workers=0)


def test_a_batch_that_cannot_be_shared_out_is_refused(source: Files):
    with pytest.raises(UsageError, match="5 images cannot be shared by 2 processes"):
        ViewLoader(source, VIEWS, batch_size=5, seed=0, workers=0, world=2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_views_rendered_on_a_gpu_equal_those_of_a_cpu_within_rounding(source: Files):
    loader = ViewLoader(source, VIEWS, batch_size=4, seed=1, workers=1, device="cuda")
    for there, here in zip(loader.epoch(0), batches(source), strict=True):
        assert torch.equal(there.samples, here.samples)
        for view in VIEWS:
            difference = (there.views[view.name].cpu() - here.views[view.name]).abs() * 0.225 * 255
            assert (difference > 0.5).float().mean() < 0.01  # levels of 8 bits


def test_workers_go_on_into_the_next_epoch_and_not_beyond_the_last(source: Files):
    places = Places(10, 4, seed=1, rank=0, world=1, epochs=3)
    assert [[epoch for epoch, _ in batch] for batch in places] == 2 * [[0] * 4] + 2 * [[1] * 4] + 2 * [[2] * 4]
    loader = ViewLoader(source, VIEWS, batch_size=4, seed=1, workers=0, epochs=2)
    started, start = [], loader._reading.start
    loader._reading.start = lambda: (started.append(1), start())  # type: ignore[method-assign]
    shown = [batch for epoch in range(2) for batch in loader.epoch(epoch)]
    assert started == [1]
    assert_same(shown, batches(source, epoch=0) + batches(source, epoch=1))


def ahead(*, images: int, workers: int) -> int:
    return prefetch.portions_ahead(VIEWS, images, is_rendered=False, workers=workers)


def test_what_is_read_ahead_is_bounded_in_bytes(source: Files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(prefetch, "SHARED_MEMORY", tmp_path / "none")
    image = prefetch.batch_bytes(VIEWS, 1, is_rendered=False)
    assert ahead(images=32, workers=2) == ahead(images=256, workers=16) == prefetch.MOST_PORTIONS
    assert ahead(images=256, workers=2) == 8  # two steps of eight portions
    monkeypatch.setattr(prefetch, "MOST_BYTES", 512 * image)
    assert ahead(images=256, workers=2) == 8
    assert ahead(images=256, workers=4) == 4
    assert ahead(images=256, workers=8) == 2
    assert ahead(images=256, workers=32) == 1
    rendered, crops = (prefetch.batch_bytes(VIEWS, 10, is_rendered=each) for each in (True, False))
    shown = batches(source, batch_size=10)[0].views.values()
    assert rendered == sum(view.numel() * 4 for view in shown)
    assert crops == 10 * 3 * (48**2 + 63**2)


class Stream:
    """As much of torch.cuda's as is called, on a CPU."""

    def __init__(self, name: str, events: list[tuple[str, ...]]):
        self.name, self.events = name, events

    def wait_stream(self, other: "Stream") -> None:
        self.events.append((self.name, "waits for", other.name))


def test_views_are_rendered_on_the_side_and_the_step_waits_for_them(monkeypatch: pytest.MonkeyPatch):
    events: list[tuple[str, ...]] = []
    current, side = Stream("current", events), Stream("side", events)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: side)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: current)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext(events.append(("on", stream.name))))
    view = torch.zeros(1)
    view.record_stream = lambda stream: events.append(("kept for", stream.name))  # type: ignore[method-assign]
    rendered = SideStream(torch.device("cuda")).render(lambda: events.append(("render",)) or {"query": view})
    assert rendered["query"] is view
    assert events[0] == ("side", "waits for", "current")
    assert events[1:] == [("on", "side"), ("render",), ("current", "waits for", "side"), ("kept for", "current")]
