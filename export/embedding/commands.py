"""The command `embed`."""

from pathlib import Path
from typing import Literal

from ...hub.output.terminal import Terminal
from ..printing import print_line, print_skipped


def embed(
    data: str,
    *,
    encoder: str,
    out: Path,
    batch_size: int = 64,
    processes: int = 1,
    engine: Literal["local", "ray"] = "local",
    device: str = "auto",
    overwrite: bool = False,
) -> None:
    """Embed photos into a file of vectors: path, SHA-256, size and unit vector of each.

    Photos that cannot be read are left out and listed in OUT.skipped.txt. A run that was stopped goes on when the same
    command is given again.

    Example: goodviews embed photos --encoder exported --out vectors.parquet --processes 2

    Args:
        data: Folder, list of files, tar shards or hf:NAME.
        encoder: Encoder folder or name (runs on PyTorch), or an exported folder or .onnx file (runs on ONNX Runtime).
        out: File to make: .parquet, .npy, .safetensors or .csv.
        batch_size: Photos in a forward pass.
        processes: How many embed at the same time, each with its share of the cores; with --engine ray actors.
        engine: This machine (local) or a cluster (ray, extra "cluster"): RAY_ADDRESS names it, and its machines must
            share the folders of data, encoder and output.
        device: What computes: auto is the GPU if there is one; else cpu, cuda, cuda:1, ...
        overwrite: Replace OUT if it exists.
    """
    from ...hub.photo_encoder import device_for
    from .embed import embed as run
    from .embed import skipped_file

    console = Terminal()
    done = run(
        data,
        encoder,
        out,
        batch_size=batch_size,
        processes=processes,
        engine=engine,
        device=device_for(encoder, device),
        progress=True,
        overwrite=overwrite,
    )
    print_skipped(console, done.skipped)
    if done.skipped:
        print_line(console, f"listed in {skipped_file(out)}")
    if done.done_before:
        print_line(console, f"{done.done_before} of {done.parts} parts were there from a run before")
    print_line(console, f"{out}: {done.photos} photos, {done.dimension} dimensions, encoded by {done.encoder}")
