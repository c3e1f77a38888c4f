"""`goodviews hub import` and `hub convert`."""

from collections.abc import Iterable
from pathlib import Path

from ..output.terminal import Terminal

SHOWN = 3  # names of tensors that a line shows


def import_(
    file: Path,
    *,
    out: Path,
    format: str = "auto",
    architecture: str | None = None,
    licence: str | None = None,
    overwrite: bool = False,
) -> None:
    """Make an encoder folder of a checkpoint that another program wrote.

    Nothing in the file is run. Every tensor must be the encoder's or one that the format is known to hold beside it;
    the report says which went where, and import.json in the folder says it of each.

    Example: goodviews hub import moco_v2_800ep_pretrain.pth.tar --out moco --licence cc-by-nc-4.0

    Args:
        file: A .pth, .pth.tar, .ckpt, .torch, .pkl or .safetensors file.
        out: The folder to write; of CMC's two branches the second goes to OUT_chroma.
        format: What wrote it; by default recognised from the tensors' names. Plain torchvision files do not tell how
            their photos were prepared: say simclr, byol, dino, barlow-twins or vicreg where it is one.
        architecture: Its name in timm, where shapes do not tell it, such as resnet18_cifar.
        licence: Of the weights, as an SPDX name, for the card.
        overwrite: Replace a folder that exists.
    """
    from .import_file import import_file

    report = import_file(file, out, overwrite=overwrite, format=format, architecture=architecture, licence=licence)
    console = Terminal(highlight=False, soft_wrap=True)
    console.print(f"{report.file}: {report.title} ({report.format}), sha256 {report.sha256}", markup=False)
    for one in report.encoders:
        folder = out.with_name(out.name + one.folder)
        console.print(
            f"{len(one.came_from)} tensors went to {folder}, a {one.encoder.architecture} with "
            f"{one.encoder.num_features} features:",
            markup=False,
        )
        for place, name in list(one.came_from.items())[:SHOWN]:
            console.print(f"  {name} -> {place}", markup=False)
        console.print(f"  and so on; all of them in {folder / 'import.json'}", markup=False)
    for reason, names in _by_reason(report.dropped).items():
        console.print(f"left behind ({reason}): {_some(names)}", markup=False)
    if report.unread:
        console.print(f"not read: {_some(report.unread)}", markup=False)
    for remark in report.remarks:
        console.print(f"[yellow]note:[/] {remark}")


def convert(encoder: Path, *, to: str, out: Path, overwrite: bool = False) -> None:
    """Write an encoder folder as a file that another program reads; it is read again and compared first.

    Example: goodviews hub convert runs/infomin/encoder --to detectron2 --out infomin.pkl

    Args:
        encoder: The folder.
        to: Format: moco (its programs and those made from them), torchvision, timm or detectron2.
        out: The file to write: .pth.tar for moco, .pth for torchvision, .safetensors or .pth for timm, .pkl or .pth for
            detectron2.
        overwrite: Replace a file that exists.
    """
    from ..artifact import load
    from .convert import convert as convert_folder
    from .convert import detectron2_settings

    written = convert_folder(encoder, to, out, overwrite=overwrite)
    console = Terminal(highlight=False, soft_wrap=True)
    console.print(f"{written}: the encoder's weights, as {to} names them", markup=False)
    for line in detectron2_settings(load(encoder)) if to == "detectron2" else ():
        console.print(f"set in detectron2: {line}", markup=False)


def _by_reason(dropped: dict[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, reason in dropped.items():
        groups.setdefault(reason, []).append(name)
    return groups


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more
