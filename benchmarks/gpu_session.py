"""Everything that only a GPU can show, in one run of eight minutes: what is right first, then what is fast.

    python benchmarks/gpu_session.py [--only correctness] [--rehearse] [--images DIR] [--out gpu_session.json]

Every part is a process of its own with its own share of the eight minutes; what earlier parts have left of theirs is
added to it, so the whole cannot take longer. Figures are written as they are found, so a part that hangs or fails
costs only what it has not measured yet. What a part needs and does not find (a second library, data) it says, and is
skipped. `--rehearse` runs the same parts tiny on a CPU: it shows that they run, its figures mean nothing.
"""

import argparse
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

BUDGET_S = 480.0
PHOTOS = Path(__file__).parent.parent / "tests" / "photos"
IMAGENETTE_PHOTOS, IMAGENETTE_EPOCHS, IMAGENETTE_S = 9469, 800, 50.0
BIG = ("moco_v2_200", "infomin_200", "clsa_multi_200")

Figures = dict[str, Any]
Found = Iterator[tuple[str, Any]]  # figures by name, as they are found


class Skipped(Exception):
    """What the part needs is not here."""


@dataclass(frozen=True)
class Setting:
    """Of one part: the device, whether it is a rehearsal, and the photos."""

    rehearse: bool
    images: Path
    imagenette: Path | None = None

    @property
    def device(self) -> str:
        return "cpu" if self.rehearse else "cuda"


def main() -> None:
    """Run the parts, or, called by itself, one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["correctness"], help="leave out what measures speed")
    parser.add_argument("--rehearse", action="store_true", help="tiny, on a CPU")
    parser.add_argument("--images", type=Path, default=PHOTOS, help="a folder of photos (default: those of the tests)")
    parser.add_argument("--imagenette", type=Path, help="Imagenette's training photos, for the part of that name")
    parser.add_argument(
        "--out", type=Path, default=Path("gpu_session.json"), help="the figures, written after each part"
    )
    parser.add_argument("--part", choices=[*PARTS], help="run this part alone")
    given = parser.parse_args()
    setting = Setting(given.rehearse, given.images, given.imagenette)
    if given.part:
        _run_part(given.part, setting, given.out)
        return
    names = [name for name, part in PARTS.items() if part.is_correctness or not given.only]
    figures = _run_all(setting, given.out, names)
    if failed := [name for name, found in figures["parts"].items() if "failed" in found]:
        sys.exit(f"Failed: {', '.join(failed)}; {given.out} says how.")


def _run_all(setting: Setting, out: Path, names: list[str]) -> Figures:
    start_s = time.monotonic()
    from goodviews.hub.reports.provenance import commit, hardware, libraries

    figures: Figures = {"hardware": hardware(), "commit": commit(), "libraries": libraries()}
    figures |= {"rehearsal": setting.rehearse, "parts": {}}
    ends = _ends(names, is_rehearsal=setting.rehearse)
    for name in names:
        figures["parts"][name] = _in_a_process(name, setting, start_s + ends[name] - time.monotonic())
        print(f"{name}: {json.dumps(figures['parts'][name])[:200]}", flush=True)
        out.write_text(json.dumps(figures, indent=2) + "\n")
    return figures


def _ends(names: list[str], *, is_rehearsal: bool) -> dict[str, float]:
    """The latest end of each part, in seconds from the start: the sum of all shares so far.

    A rehearsal takes a minute on two cores; on a busy machine its parts may use the eight as they need them.
    """
    if is_rehearsal:
        return dict.fromkeys(names, BUDGET_S)
    return dict(zip(names, itertools.accumulate(PARTS[name].share_s for name in names), strict=True))


def _in_a_process(name: str, setting: Setting, limit_s: float) -> Figures:
    """The figures of a part; those that it has found, where the time is up or it fails."""
    if limit_s <= 0:
        return {"failed": "earlier parts used up the time"}
    with TemporaryDirectory() as folder:
        found, said = Path(folder) / "figures.json", Path(folder) / "said.txt"
        command = [sys.executable, __file__, "--part", name, "--out", str(found), "--images", str(setting.images)]
        begin = time.monotonic()
        with said.open("w") as stream:
            part = subprocess.Popen([*command, *_words(setting)], stdout=stream, stderr=stream, start_new_session=True)
        state: Figures = {}
        try:
            if part.wait(limit_s):
                state = {"failed": (said.read_text().strip().splitlines() or ["no word"])[-1]}
        except subprocess.TimeoutExpired:
            state = {"failed": f"not done after {limit_s:.0f} s"}
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(part.pid, signal.SIGKILL)  # it, and whoever loads photos for it
            part.wait()
        figures = json.loads(found.read_text()) if found.is_file() else {}
        return {"seconds": round(time.monotonic() - begin, 1), **state, **figures}


def _words(setting: Setting) -> list[str]:
    imagenette = [] if setting.imagenette is None else ["--imagenette", str(setting.imagenette)]
    return [*(["--rehearse"] if setting.rehearse else []), *imagenette]


def _run_part(name: str, setting: Setting, out: Path) -> None:
    """Writes the figures after each that is found, whole."""
    figures: Figures = {}
    try:
        for what, figure in PARTS[name].measure(setting):
            figures[what] = figure
            _write(figures, out)
    except Skipped as reason:
        _write(figures | {"skipped": str(reason)}, out)


def _write(figures: Figures, out: Path) -> None:
    partial = out.with_name(f"{out.name}.partial")
    partial.write_text(json.dumps(figures) + "\n")
    partial.replace(out)


# --- what is right ---


def every_method(setting: Setting) -> Found:
    """Two steps of every smoke recipe in bf16; the losses."""
    from goodviews.pretrain.recipes.registry import RECIPES

    names = [name for name in RECIPES if name.endswith("_smoke")]
    for name in names[:2] if setting.rehearse else names:
        yield name, _last_loss(_trained(name, setting, "bf16"))


def in_fp16(setting: Setting) -> Found:
    """Two steps with a loss scaler."""
    if setting.rehearse:
        raise Skipped("fp16 needs a GPU")
    yield "infomin_smoke", _last_loss(_trained("infomin_smoke", setting, "fp16"))


def views_agree(setting: Setting) -> Found:
    """Views rendered on the device beside those of the CPU: the share of values that differ, and by how much."""
    import torch

    from goodviews.pretrain.data.packed_batch import add_pixels, crops_in, pack, pack_crops, unpack
    from goodviews.pretrain.recipes.registry import choose
    from goodviews.pretrain.views.device_views import render

    for name in BIG if not setting.rehearse else ("infomin_smoke", "clsa_smoke"):
        views = choose(name).views
        planned, crops, numbers = _plan(views, setting.images, images=8)
        packed = add_pixels(pack(*planned), [crops_in(pack_crops(views, crops), views, images=8)])
        floats, ints, pixels = unpack(packed._replace(memory=packed.memory.to(setting.device)))
        made = render(packed.plan, pixels, floats, ints)
        for view, its in zip(views, numbers, strict=True):
            apart = (made[view.name].cpu() - view.render(torch.stack(crops[view.name]), its)).abs()
            yield f"{name}/{view.name}", {"share": float((apart > 0).float().mean()), "most": float(apart.max())}


def resumed(setting: Setting) -> Found:
    """Whether a run that is broken off and resumed has the same weights, bit for bit."""
    names = ("moco_v2_smoke", "infomin_smoke", "swav_smoke", "instdis_smoke")
    for name in names[:1] if setting.rehearse else names:
        yield name, _resumes(name, setting)
    name = names[0] if setting.rehearse else names[-1]  # sums of gradients of a memory bank come in any order
    yield f"{name} --deterministic", _resumes(name, setting, deterministic=True)


def checked_on_cpu(setting: Setting) -> Found:
    """The distance of the fingerprint that the device wrote from that of the CPU; at most 1e-3 is right."""
    from goodviews.hub.artifact import load, read_config
    from goodviews.hub.fingerprint import fingerprint, fingerprint_distance

    with TemporaryDirectory() as folder:
        encoder = _train("moco_v2_smoke", setting, Path(folder), "fp32")
        here = fingerprint(load(encoder, verify=False))
        yield "distance", fingerprint_distance(here, read_config(encoder)["goodviews"]["fingerprint"])


def process_group(setting: Setting) -> Found:
    """One process with NCCL (gloo in a rehearsal): a sum, and batch norm over all processes."""
    import torch
    import torch.distributed as dist

    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511", "RANK": "0", "WORLD_SIZE": "1"}
    dist.init_process_group("gloo" if setting.rehearse else "nccl")
    ones = torch.ones(4, device=setting.device)
    dist.all_reduce(ones)
    yield "sum", ones.tolist()
    if not setting.rehearse:
        network = torch.nn.SyncBatchNorm(4).cuda()
        yield "batch_norm", network(torch.randn(8, 4, 2, 2, device="cuda")).isfinite().all().item()
    dist.destroy_process_group()


# --- what is fast ---


def ceiling(setting: Setting) -> Found:
    """Images a second when every step gets the same views: what the network can do. And the most memory in use."""
    for name in _big(setting):
        yield name, _rate(name, setting, synthetic=True)


def deterministic(setting: Setting) -> Found:
    """The same with --deterministic."""
    for name in _big(setting)[:1]:
        yield name, _rate(name, setting, synthetic=True, deterministic=True)


def from_files(setting: Setting) -> Found:
    """Images a second from JPEG files through the loader."""
    for name in _big(setting):
        yield name, _rate(name, setting)


def from_gpu(setting: Setting) -> Found:
    """Images a second from photos that lie decoded on the GPU."""
    if setting.rehearse:
        raise Skipped("--keep gpu needs a GPU")
    for name in BIG[:2]:
        yield name, _rate(name, setting, keep="gpu")


def views_alone(setting: Setting) -> Found:
    """Milliseconds, launches and waits of the views of one step at a batch of 256, by torch's profiler."""
    for name in _big(setting):
        yield name, _views_of_a_step(name, setting)


def _views_of_a_step(name: str, setting: Setting, **how: Any) -> Figures:
    import torch

    from goodviews.pretrain.recipes.registry import choose
    from goodviews.pretrain.views.device_views import render

    images = 256 if not setting.rehearse else 4
    (plan, floats, ints), _, _ = _plan(choose(name).views, setting.images, images=images)
    device = [torch.empty(plan.pixels, 3, dtype=torch.uint8, device=setting.device)]
    device += [array.to(setting.device) for array in (floats, ints)]
    render(plan, *device, **how)
    activities = [torch.profiler.ProfilerActivity.CPU]
    activities += [] if setting.rehearse else [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        begin = time.perf_counter()
        render(plan, *device, **how)
        host_s = time.perf_counter() - begin
        if not setting.rehearse:
            torch.cuda.synchronize()
        whole_s = time.perf_counter() - begin
    counts = {event.key: event.count for event in profile.key_averages()}
    waits = sum(n for key, n in counts.items() if "Synchronize" in key)
    return {
        "host_ms": 1e3 * host_s,
        "whole_ms": 1e3 * whole_s,
        "waits": waits - (not setting.rehearse),
        "launches": sum(n for key, n in counts.items() if "LaunchKernel" in key),
    }


def beside_lightly(setting: Setting) -> Found:
    """MoCo v2 by lightly's parts on the same photos, and goodviews' rate over it."""
    if find_spec("lightly") is None:
        raise Skipped("lightly is not installed")
    import gpu_pretraining

    given = argparse.Namespace(device=setting.device, precision="auto", workers=_workers(), images=setting.images)
    given.steps, given.warm_up = (2, 1) if setting.rehearse else (20, 5)
    recipe = _recipe(_big(setting)[0], setting)
    ours, theirs = _rate(recipe.name, setting)["images_per_s"], gpu_pretraining.lightly_rate(recipe, given)
    yield from {"ours": ours, "lightly": theirs, "ratio": ours / theirs}.items()


def imagenette(setting: Setting) -> Found:
    """MoCo v2 of a ResNet-18 at 128 px for 50 s from memory and as long from files, and the minutes of 800 epochs.

    The photos that it is given may be fewer or smaller than the 9,469 of the whole: the time is for those, at the rate
    that was measured.
    """
    if setting.imagenette is None and not setting.rehearse:
        raise Skipped("needs Imagenette: --imagenette DIR")
    for way, keep in {"from_memory": "memory", "from_files": "no"}.items():
        rate = _rate_of_imagenette(setting, keep=keep)
        minutes = IMAGENETTE_EPOCHS * IMAGENETTE_PHOTOS / rate / 60
        yield way, {"images_per_s": rate, "minutes_of_800_epochs": minutes}


def _rate_of_imagenette(setting: Setting, *, keep: str) -> float:
    """A short run says how many steps fill the time."""
    name = "moco_v2_smoke" if setting.rehearse else "moco_v2_imagenette"
    images = setting.imagenette or setting.images
    tried = _rate(name, setting, images=images, keep=keep)["images_per_s"]
    if setting.rehearse:
        return float(tried)
    steps = max(10, int(IMAGENETTE_S * tried / _recipe(name, setting).batch_size))
    return float(_rate(name, setting, images=images, keep=keep, steps=steps)["images_per_s"])


def compiled(setting: Setting) -> Found:
    """The ceiling and the views with --compile; a small batch plain, with --compile and by CUDA graphs."""
    if setting.rehearse:
        raise Skipped("a compiler takes longer than a rehearsal")
    from goodviews.pretrain.training import prepare
    from goodviews.pretrain.views.compiled_chains import compiled as run

    yield BIG[0], _rate(BIG[0], setting, synthetic=True, compile=True)
    yield f"views of {BIG[1]}", _views_of_a_step(BIG[1], setting, run=run)
    yield "small batch, plain", _rate_of_small(setting)
    yield "small batch, --compile", _rate_of_small(setting, compile=True)
    prepare.compile_step = _as_cuda_graph  # type: ignore[assignment]
    yield "small batch, CUDA graphs", _rate_of_small(setting, compile=True)


@dataclass(frozen=True)
class Part:
    """What it measures, and its share of BUDGET_S."""

    measure: Callable[[Setting], Found]
    share_s: float
    is_correctness: bool = False


PARTS = {
    "views_agree": Part(views_agree, 15, is_correctness=True),
    "every_method": Part(every_method, 45, is_correctness=True),
    "in_fp16": Part(in_fp16, 10, is_correctness=True),
    "resumed": Part(resumed, 30, is_correctness=True),
    "checked_on_cpu": Part(checked_on_cpu, 10, is_correctness=True),
    "process_group": Part(process_group, 10, is_correctness=True),
    "views_alone": Part(views_alone, 20),
    "ceiling": Part(ceiling, 40),
    "from_files": Part(from_files, 55),
    "from_gpu": Part(from_gpu, 20),
    "beside_lightly": Part(beside_lightly, 20),
    "deterministic": Part(deterministic, 15),
    "imagenette": Part(imagenette, 130),
    "compiled": Part(compiled, 55),
}


# --- helpers of several parts ---


def _big(setting: Setting) -> tuple[str, ...]:
    return ("moco_v2_smoke",) if setting.rehearse else BIG


def _rate_of_small(setting: Setting, **options: Any) -> Figures:
    """A ResNet-18 at 64 px, whose launches cost more than their work."""
    from goodviews.pretrain.recipes.moco import moco_v2_views

    small = {"architecture": "resnet18", "views": moco_v2_views(px=64), "batch_size": 64}
    return _rate(BIG[0], setting, synthetic=True, steps=50, changes=small, **options)


def _as_cuda_graph(objective: Any, state: Any, *, processes: int) -> Any:
    """By torch.compile's mode reduce-overhead. What a graph gives lies where its next run writes, so it is copied."""
    import torch

    graph = torch.compile(objective.__call__, mode="reduce-overhead")

    def step(*given: Any) -> Any:
        made = graph(*given)
        values = [{name: value.detach().clone() for name, value in its.items()} for its in (made.losses, made.metrics)]
        return replace(made, loss=made.loss.clone(), losses=values[0], metrics=values[1], keys=made.keys.clone())

    return step


def _workers() -> int:
    return min(16, os.cpu_count() or 1)


def _recipe(name: str, setting: Setting) -> Any:
    from goodviews.pretrain.recipes.registry import choose

    recipe = choose(name)
    return replace(recipe, architecture="test_resnet") if setting.rehearse and recipe.branches == 1 else recipe


def _rate(
    name: str,
    setting: Setting,
    *,
    images: Path | None = None,
    steps: int | None = None,
    synthetic: bool = False,
    keep: str = "no",
    compile: bool = False,
    deterministic: bool = False,
    changes: dict[str, Any] | None = None,
) -> Figures:
    import torch
    from driven_run import watch

    from goodviews.pretrain.options import Options

    workers = 0 if setting.rehearse else _workers()
    options = Options(
        device=setting.device,
        workers=workers,
        keep=keep,  # type: ignore[arg-type]
        compile=compile,
        deterministic=deterministic,
    )
    # Longer than what the workers have ready at the start, so that the pipeline is measured and not its stock.
    warm_up, usual = (1, 2) if setting.rehearse else (5, 10) if synthetic else (4 * workers, 2 * workers)
    watched = watch(
        replace(_recipe(name, setting), **(changes or {})),
        images or setting.images,
        steps=steps or usual,
        warm_up=warm_up,
        synthetic=synthetic,
        options=options,
    )
    figures = {"images_per_s": watched.images_per_s}
    if not setting.rehearse:
        figures["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
        torch.cuda.reset_peak_memory_stats()
    return figures


def _plan(views: Any, folder: Path, *, images: int) -> Any:
    """A plan of a batch, the crops by view and the uniform numbers of each view."""
    import numpy as np
    import torch

    from goodviews.hub.sources.folders import find_images
    from goodviews.pretrain.data.decode import read_crops
    from goodviews.pretrain.randomness import uniforms
    from goodviews.pretrain.views.plan import make_plan

    photos = find_images(folder)
    rows = [[uniforms(0, 0, sample, i, view.width) for sample in range(images)] for i, view in enumerate(views)]
    crops: dict[str, list[Any]] = {view.name: [] for view in views}
    for sample in range(min(images, 8)):
        made = read_crops(photos[sample % len(photos)], [v.crop for v in views], [its[sample] for its in rows])
        for view, crop in zip(views, made, strict=True):
            crops[view.name].append(crop)
    numbers = [torch.from_numpy(np.stack(its)) for its in rows]
    return make_plan(views, numbers), crops, numbers


def _trained(name: str, setting: Setting, precision: str) -> list[Figures]:
    """The lines of metrics.jsonl of two steps."""
    with TemporaryDirectory() as folder:
        _train(name, setting, Path(folder), precision)
        return [json.loads(line) for line in (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()]


def _last_loss(lines: list[Figures]) -> float:
    return float(lines[-1]["loss"])


def _train(name: str, setting: Setting, folder: Path, precision: str, *, out: str = "run", **changes: Any) -> Path:
    from goodviews.pretrain.options import Options
    from goodviews.pretrain.training.loop import pretrain

    recipe = _recipe(name, setting)
    if recipe.head == "classifier":
        recipe = replace(recipe, dim=2)
    observe = changes.pop("observe", lambda progress: None)
    options = Options(device=setting.device, precision=precision, knn_every=0, save_every=1, **changes)  # type: ignore[arg-type]
    return pretrain(
        recipe, _two_classes(setting.images, folder, 2 * recipe.batch_size), folder / out, options, observe=observe
    )


def _two_classes(images: Path, folder: Path, count: int) -> Path:
    """A folder with links to so many photos, in two classes."""
    from goodviews.hub.sources.folders import find_images

    photos, made = find_images(images), folder / "photos"
    if not made.exists():
        for i in range(count):
            link = made / ("one", "two")[i % 2] / f"{i}.jpg"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(photos[i % len(photos)].resolve())
    return made


def _resumes(name: str, setting: Setting, **changes: Any) -> bool:
    class Broken(Exception):
        pass

    def breaks(progress: Any) -> None:
        if progress.step == 2:  # the first step is saved, this one not yet
            raise Broken

    with TemporaryDirectory() as text:
        folder = Path(text)
        whole = _train(name, setting, folder, "fp32", out="whole", **changes)
        with contextlib.suppress(Broken):
            _train(name, setting, folder, "fp32", out="broken", observe=breaks, **changes)
        again = _train(name, setting, folder, "fp32", out="broken", resume=True, **changes)
        return _digest(whole) == _digest(again)


def _digest(encoder: Path) -> str:
    return sha256((encoder / "model.safetensors").read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
