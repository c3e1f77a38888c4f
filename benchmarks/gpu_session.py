"""Everything that only a GPU can show, in one run of eight minutes: what is right first, then what is fast.

    python benchmarks/gpu_session.py [--only correctness] [--rehearse] [--images DIR] [--out gpu_session.json]

Every part is a process of its own with its own limit; the figures are written after each, so a part that hangs or
fails costs only itself. What a part needs and does not find (a second library, data) it says, and is skipped.
`--rehearse` runs the same parts tiny on a CPU: it shows that they run, its figures mean nothing.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
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
        given.out.write_text(json.dumps(_figures_of(given.part, setting)) + "\n")
    else:
        _run_all(setting, given.out, [name for name, part in PARTS.items() if part.is_correctness or not given.only])


def _run_all(setting: Setting, out: Path, names: list[str]) -> None:
    from goodviews.hub.reports.provenance import commit, hardware, libraries

    figures: Figures = {"hardware": hardware(), "commit": commit(), "libraries": libraries()}
    figures |= {"rehearsal": setting.rehearse, "parts": {}}
    start = time.monotonic()
    for name in names:
        left = BUDGET_S - (time.monotonic() - start)
        figures["parts"][name] = _in_a_process(name, setting, min(PARTS[name].limit_s, left))
        print(f"{name}: {json.dumps(figures['parts'][name])[:200]}", flush=True)
        out.write_text(json.dumps(figures, indent=2) + "\n")


def _in_a_process(name: str, setting: Setting, limit_s: float) -> Figures:
    if limit_s < 5:
        return {"skipped": "the time is used up"}
    with TemporaryDirectory() as folder:
        found = Path(folder) / "figures.json"
        command = [sys.executable, __file__, "--part", name, "--out", str(found), "--images", str(setting.images)]
        begin = time.monotonic()
        try:
            ended = subprocess.run(
                [*command, *_words(setting)],
                capture_output=True,
                text=True,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"not done after {limit_s:.0f} s"}
        seconds = {"seconds": round(time.monotonic() - begin, 1)}
        if not found.is_file():
            return seconds | {"failed": (ended.stderr.strip().splitlines() or ["no word"])[-1]}
        return seconds | json.loads(found.read_text())


def _words(setting: Setting) -> list[str]:
    imagenette = [] if setting.imagenette is None else ["--imagenette", str(setting.imagenette)]
    return [*(["--rehearse"] if setting.rehearse else []), *imagenette]


def _figures_of(name: str, setting: Setting) -> Figures:
    try:
        return PARTS[name].measure(setting)
    except Skipped as reason:
        return {"skipped": str(reason)}


# --- what is right ---


def every_method(setting: Setting) -> Figures:
    """Two steps of every smoke recipe in bf16; the losses."""
    from goodviews.pretrain.recipes.registry import RECIPES

    names = [name for name in RECIPES if name.endswith("_smoke")]
    return {name: _last_loss(_trained(name, setting, "bf16")) for name in (names[:2] if setting.rehearse else names)}


def in_fp16(setting: Setting) -> Figures:
    """Two steps with a loss scaler."""
    if setting.rehearse:
        raise Skipped("fp16 needs a GPU")
    return {"infomin_smoke": _last_loss(_trained("infomin_smoke", setting, "fp16"))}


def views_agree(setting: Setting) -> Figures:
    """Views rendered on the device beside those of the CPU: the share of values that differ, and by how much."""
    import torch

    from goodviews.pretrain.data.packed_batch import pack, unpack
    from goodviews.pretrain.recipes.registry import choose
    from goodviews.pretrain.views.device_views import render

    figures: Figures = {}
    for name in BIG if not setting.rehearse else ("infomin_smoke", "clsa_smoke"):
        views = choose(name).views
        planned, crops, numbers = _plan(views, setting.images, images=8)
        packed = pack(*planned, crops)
        floats, ints, pixels = unpack(packed._replace(memory=packed.memory.to(setting.device)))
        made = render(packed.plan, pixels, floats, ints)
        for view, its in zip(views, numbers, strict=True):
            apart = (made[view.name].cpu() - view.render(torch.stack(crops[view.name]), its)).abs()
            figures[f"{name}/{view.name}"] = {"share": float((apart > 0).float().mean()), "most": float(apart.max())}
    return figures


def resumed(setting: Setting) -> Figures:
    """Whether a run that is broken off and resumed has the same weights, bit for bit."""
    names = ("moco_v2_smoke", "infomin_smoke", "swav_smoke", "instdis_smoke")
    figures: Figures = {name: _resumes(name, setting) for name in (names[:1] if setting.rehearse else names)}
    name = names[0] if setting.rehearse else names[-1]  # sums of gradients of a memory bank come in any order
    return figures | {f"{name} --deterministic": _resumes(name, setting, deterministic=True)}


def checked_on_cpu(setting: Setting) -> Figures:
    """The distance of the fingerprint that the device wrote from that of the CPU; at most 1e-3 is right."""
    from goodviews.hub.artifact import load, read_config
    from goodviews.hub.fingerprint import fingerprint, fingerprint_distance

    with TemporaryDirectory() as folder:
        encoder = _train("moco_v2_smoke", setting, Path(folder), "fp32")
        here = fingerprint(load(encoder, verify=False))
        return {"distance": fingerprint_distance(here, read_config(encoder)["goodviews"]["fingerprint"])}


def process_group(setting: Setting) -> Figures:
    """One process with NCCL (gloo in a rehearsal): a sum, and batch norm over all processes."""
    import torch
    import torch.distributed as dist

    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511", "RANK": "0", "WORLD_SIZE": "1"}
    dist.init_process_group("gloo" if setting.rehearse else "nccl")
    ones = torch.ones(4, device=setting.device)
    dist.all_reduce(ones)
    figures: Figures = {"sum": ones.tolist()}
    if not setting.rehearse:
        network = torch.nn.SyncBatchNorm(4).cuda()
        figures["batch_norm"] = network(torch.randn(8, 4, 2, 2, device="cuda")).isfinite().all().item()
    dist.destroy_process_group()
    return figures


# --- what is fast ---


def ceiling(setting: Setting) -> Figures:
    """Images a second when every step gets the same views: what the network can do. And the most memory in use."""
    return {name: _rate(name, setting, synthetic=True) for name in _big(setting)}


def deterministic(setting: Setting) -> Figures:
    """The same with --deterministic."""
    return {name: _rate(name, setting, synthetic=True, deterministic=True) for name in _big(setting)[:1]}


def from_files(setting: Setting) -> Figures:
    """Images a second from JPEG files through the loader."""
    return {name: _rate(name, setting) for name in _big(setting)}


def from_gpu(setting: Setting) -> Figures:
    """Images a second from photos that lie decoded on the GPU."""
    if setting.rehearse:
        raise Skipped("--keep gpu needs a GPU")
    return {name: _rate(name, setting, keep="gpu") for name in BIG[:2]}


def views_alone(setting: Setting) -> Figures:
    """Milliseconds, launches and waits of the views of one step at a batch of 256, by torch's profiler."""
    import torch

    from goodviews.pretrain.recipes.registry import choose
    from goodviews.pretrain.views.device_views import render

    figures: Figures = {}
    for name in _big(setting):
        (plan, floats, ints), _, _ = _plan(
            choose(name).views, setting.images, images=256 if not setting.rehearse else 4
        )
        device = [torch.empty(plan.pixels, 3, dtype=torch.uint8, device=setting.device)]
        device += [array.to(setting.device) for array in (floats, ints)]
        render(plan, *device)
        activities = [torch.profiler.ProfilerActivity.CPU]
        activities += [] if setting.rehearse else [torch.profiler.ProfilerActivity.CUDA]
        with torch.profiler.profile(activities=activities) as profile:
            begin = time.perf_counter()
            render(plan, *device)
            host_s = time.perf_counter() - begin
            if not setting.rehearse:
                torch.cuda.synchronize()
            whole_s = time.perf_counter() - begin
        counts = {event.key: event.count for event in profile.key_averages()}
        waits = sum(n for key, n in counts.items() if "Synchronize" in key)
        figures[name] = {"host_ms": 1e3 * host_s, "whole_ms": 1e3 * whole_s, "waits": waits - (not setting.rehearse)}
        figures[name]["launches"] = sum(n for key, n in counts.items() if "LaunchKernel" in key)
    return figures


def beside_lightly(setting: Setting) -> Figures:
    """MoCo v2 by lightly's parts on the same photos, and goodviews' rate over it."""
    if find_spec("lightly") is None:
        raise Skipped("lightly is not installed")
    import gpu_pretraining

    given = argparse.Namespace(device=setting.device, precision="auto", workers=_workers(), images=setting.images)
    given.steps, given.warm_up = (2, 1) if setting.rehearse else (20, 5)
    recipe = _recipe(_big(setting)[0], setting)
    ours, theirs = _rate(recipe.name, setting)["images_per_s"], gpu_pretraining.lightly_rate(recipe, given)
    return {"ours": ours, "lightly": theirs, "ratio": ours / theirs}


def imagenette(setting: Setting) -> Figures:
    """MoCo v2 of a ResNet-18 at 128 px for 50 s from memory and as long from files, and the minutes of 800 epochs.

    The photos that it is given may be fewer or smaller than the 9,469 of the whole: the time is for those, at the rate
    that was measured.
    """
    if setting.imagenette is None and not setting.rehearse:
        raise Skipped("needs Imagenette: --imagenette DIR")
    rates = {
        "from_memory": _rate_of_imagenette(setting, keep="memory"),
        "from_files": _rate_of_imagenette(setting, keep="no"),
    }
    minutes = {way: IMAGENETTE_EPOCHS * IMAGENETTE_PHOTOS / rate / 60 for way, rate in rates.items()}
    return {"images_per_s": rates, "minutes_of_800_epochs": minutes}


def _rate_of_imagenette(setting: Setting, *, keep: str) -> float:
    """A short run says how many steps fill the time."""
    name = "moco_v2_smoke" if setting.rehearse else "moco_v2_imagenette"
    images = setting.imagenette or setting.images
    tried = _rate(name, setting, images=images, keep=keep)["images_per_s"]
    if setting.rehearse:
        return float(tried)
    steps = max(10, int(IMAGENETTE_S * tried / _recipe(name, setting).batch_size))
    return float(_rate(name, setting, images=images, keep=keep, steps=steps)["images_per_s"])


def compiled(setting: Setting) -> Figures:
    """The ceiling with --compile."""
    if setting.rehearse:
        raise Skipped("a compiler takes longer than a rehearsal")
    return {BIG[0]: _rate(BIG[0], setting, synthetic=True, compile=True)}


@dataclass(frozen=True)
class Part:
    """What it measures, and for how long at most."""

    measure: Callable[[Setting], Figures]
    limit_s: float
    is_correctness: bool = False


PARTS = {
    "views_agree": Part(views_agree, 40, is_correctness=True),
    "every_method": Part(every_method, 90, is_correctness=True),
    "in_fp16": Part(in_fp16, 20, is_correctness=True),
    "resumed": Part(resumed, 75, is_correctness=True),
    "checked_on_cpu": Part(checked_on_cpu, 20, is_correctness=True),
    "process_group": Part(process_group, 20, is_correctness=True),
    "views_alone": Part(views_alone, 40),
    "ceiling": Part(ceiling, 60),
    "from_files": Part(from_files, 90),
    "from_gpu": Part(from_gpu, 40),
    "beside_lightly": Part(beside_lightly, 40),
    "deterministic": Part(deterministic, 30),
    "imagenette": Part(imagenette, 150),
    "compiled": Part(compiled, 90),
}


# --- helpers of several parts ---


def _big(setting: Setting) -> tuple[str, ...]:
    return ("moco_v2_smoke",) if setting.rehearse else BIG


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
        _recipe(name, setting),
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
