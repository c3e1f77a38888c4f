"""How much faster ONNX Runtime encodes than PyTorch: the same network, pixels and threads, in turn, in one run.

    python benchmarks/onnx_speed.py --encoder random:resnet50 --threads 1

Speeds depend on the machine and what else runs there; the ratios, taken round by round, hardly do.
"""

import argparse
import copy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from goodviews.export.onnx.onnx_file import export
from goodviews.hub import Encoder, OnnxEncoder, from_pretrained
from goodviews.hub.reports.provenance import hardware, libraries

EAGER, LAST, ONNX = "PyTorch eager", "PyTorch eager, channels_last", "ONNX Runtime"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="random:resnet50")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32], metavar="N")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    encoder = from_pretrained(options.encoder)
    with tempfile.TemporaryDirectory() as folder:
        exported = export(encoder, Path(folder) / "onnx")
        runtime = OnnxEncoder(exported.folder, threads=options.threads)
    libs = libraries()
    print(f"{encoder.architecture}, {encoder.preprocessing.input_px} px, {options.threads} threads, {hardware()}")
    print(f"torch {libs['torch']}, onnxruntime {libs['onnxruntime']}; median of {options.rounds} interleaved rounds\n")
    print(f"{'batch':>5}  {'':30} {'images/s':>9}  {'times ' + EAGER:>20}")
    for count in options.batches:
        report(count, measure(encoder, runtime, count, options.rounds))


def measure(encoder: Encoder, runtime: OnnxEncoder, count: int, rounds: int) -> dict[str, list[float]]:
    """Seconds a batch of `count` for each competitor, one number a round; one round before is not counted."""
    px = encoder.preprocessing.input_px
    pixels = torch.randn(count, 3, px, px, generator=torch.Generator().manual_seed(0))
    last, plain = pixels.contiguous(memory_format=torch.channels_last), pixels.numpy()
    encoder_last = copy.deepcopy(encoder).to(memory_format=torch.channels_last)
    competitors: dict[str, Callable[[], object]] = {
        EAGER: lambda: encoder.embed(pixels),
        LAST: lambda: encoder_last.embed(last),
        ONNX: lambda: runtime.embed(plain),
    }
    with torch.inference_mode():
        np.testing.assert_allclose(runtime.embed(plain), encoder.embed(pixels).numpy(), atol=1e-4)
        seconds: dict[str, list[float]] = {name: [] for name in competitors}
        for position in range(rounds + 1):
            for name, run in competitors.items():
                taken = clock(run)
                if position:
                    seconds[name].append(taken)
    return seconds


def clock(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def report(count: int, seconds: dict[str, list[float]]) -> None:
    for name, taken in seconds.items():
        ratio = median(eager / own for eager, own in zip(seconds[EAGER], taken))
        print(f"{count:>5}  {name:30} {count / median(taken):>9.1f}  {ratio:>20.2f}")


if __name__ == "__main__":
    main()
