"""How much faster exported files run than PyTorch: the same network, pixels and threads, in turn, in one run.

    python benchmarks/onnx_speed.py --encoder random:resnet50 --threads 1 --out onnx.json

The int8 file is calibrated on noise and not judged: only its speed counts here, and that does not hang on the weights.
fastembed, where it is installed, embeds photos from disk, and so does OnnxEncoder beside it. Speeds depend on the
machine and on what else runs there; the ratios, taken round by round, hardly do.
"""

import argparse
import copy
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch

from goodviews.export.onnx.bench import (
    EAGER,
    HEADINGS,
    Measured,
    Row,
    cells,
    competitors_of,
    eager,
    pixels_of,
    prepared,
    race,
    sizes_of,
)
from goodviews.export.onnx.memory import peak_memory
from goodviews.export.onnx.onnx_file import export
from goodviews.export.onnx.shrink import to_int8
from goodviews.export.onnx.write import needs, save
from goodviews.hub import Encoder, OnnxEncoder, from_pretrained
from goodviews.hub.files.atomic import write_json
from goodviews.hub.machine import processor_flags
from goodviews.hub.reports.provenance import command, commit, hardware, libraries
from goodviews.hub.sources.folders import find_images

LAST, COMPILED, FASTEMBED = "PyTorch eager, channels_last", "torch.compile", "fastembed, from disk"
OURS = "OnnxEncoder fp32, from disk"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="random:resnet50")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32], metavar="N")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--round-s", type=float, default=1.0, help="seconds a round of one competitor")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--memory", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, help="JSON to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    encoder = from_pretrained(options.encoder)
    with tempfile.TemporaryDirectory() as temporary:
        folder = export_all(encoder, Path(temporary) / "onnx")
        rows = list(measure(encoder, folder, options))
        sizes, px, batch = sizes_of(folder), encoder.preprocessing.input_px, max(options.batches)
        memory = peak_memory(options.encoder, folder, eager=EAGER, px=px, batch=batch) if options.memory else {}
    measured = Measured(encoder.architecture, px, options.threads, hardware(), libraries(), rows, sizes, memory)
    if options.out:
        about = {"command": command(), "commit": commit(), "rounds": options.rounds}
        write_json(options.out, about | measured.to_json() | {"instructions": instructions()})
    report(measured)


def export_all(encoder: Encoder, folder: Path) -> Path:
    """fp32 as always, and int8 calibrated on noise."""
    export(encoder, folder)
    network = needs("onnx").load(folder / "model_pixels.onnx")
    note = json.loads({each.key: each.value for each in network.metadata_props}["goodviews"])
    px, generator = encoder.preprocessing.input_px, np.random.default_rng(0)
    noise = (generator.normal(size=(1, 3, px, px)).astype(np.float32) for _ in range(4))
    small = to_int8(network, noise)
    save(small, folder / "model_pixels_int8.onnx", note | {"variant": "int8"})
    return folder


def measure(encoder: Encoder, folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    onnx_files = competitors_of(folder, options.threads)
    last = copy.deepcopy(encoder).to(memory_format=torch.channels_last)
    compiled: Any = torch.compile(copy.deepcopy(encoder.backbone)) if options.compile else None
    for batch in options.batches:
        pixels = pixels_of(encoder, batch)
        pixels_last = pixels.contiguous(memory_format=torch.channels_last)
        runs: dict[str, Callable[[], object]] = {EAGER: eager(encoder, batch)}
        runs[LAST] = without_gradient(lambda pixels=pixels_last: last.embed(pixels))
        if compiled is not None:
            runs[COMPILED] = without_gradient(lambda pixels=pixels: compiled(pixels))
        runs |= prepared(onnx_files, encoder, batch)
        yield from race(batch, runs, rounds=options.rounds, round_s=options.round_s)
        yield from from_disk(folder, encoder, batch, options)


def without_gradient(run: Callable[[], object]) -> Callable[[], object]:
    def inner() -> object:
        with torch.inference_mode():
            return run()

    return inner


def from_disk(folder: Path, encoder: Encoder, batch: int, options: argparse.Namespace) -> list[Row]:
    """Photos to vectors, decoding and preparation counted; the ratios here are to OnnxEncoder."""
    if importlib.util.find_spec("fastembed") is None:
        return []
    from fastembed import ImageEmbedding

    place = folder / "fastembed"
    place.mkdir(exist_ok=True)
    shutil.copy(folder / "model_pixels.onnx", place / "model.onnx")
    p = encoder.preprocessing
    prepare = {
        "do_resize": True,
        "size": {"shortest_edge": int(p.input_px / p.crop_pct)},
        "resample": 2,
        "do_center_crop": True,
        "crop_size": {"height": p.input_px, "width": p.input_px},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(p.mean),
        "image_std": list(p.std),
        "image_processor_type": "CLIPImageProcessor",
    }
    (place / "preprocessor_config.json").write_text(json.dumps(prepare))
    theirs = ImageEmbedding("Qdrant/resnet50-onnx", threads=options.threads, specific_model_path=str(place), cuda=False)
    ours = OnnxEncoder(folder, threads=options.threads)
    photos = find_images(str(files("goodviews.hub") / "photos"))
    paths = [str(photos[position % len(photos)]) for position in range(batch)]
    runs: dict[str, Callable[[], object]] = {
        OURS: lambda: ours.encode(paths, batch_size=batch),
        FASTEMBED: lambda: list(theirs.embed(paths, batch_size=batch)),
    }
    found, expected = np.stack(list(theirs.embed(paths))), ours.encode(paths)
    assert (found * expected).sum(axis=1).min() > 0.99, "fastembed runs another network"
    return race(batch, runs, rounds=options.rounds, round_s=options.round_s)


def instructions() -> list[str]:
    """Of those that multiply integers fast, the ones this processor has."""
    return sorted(processor_flags() & {"avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16"})


def report(measured: Measured) -> None:
    print(f"{measured.architecture}, {measured.input_px} px, {measured.threads} threads, {measured.hardware}")
    print(f"instructions: {', '.join(instructions())}")
    print(" | ".join(HEADINGS))
    for row in measured.rows:
        print(" | ".join(cells(row)))
    for name, size in measured.bytes.items():
        print(f"{name}: {size / 1e6:.1f} MB")
    for name, size in measured.peak_memory_mb.items():
        print(f"{name}: at most {size:.0f} MB resident")


if __name__ == "__main__":
    main()
