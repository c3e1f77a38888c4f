"""The command `export`: it opens the encoder, writes its files, and says what came of it."""

from pathlib import Path

from rich.table import Column, Table

from ...hub.output.terminal import Terminal
from ..printing import print_line, print_skipped


def export(
    encoder: str,
    *,
    out: Path,
    images: Path | None = None,
    fp16: bool = False,
    int8: bool = False,
    calibrate: str | None = None,
    feature_maps: bool = False,
    head: Path | None = None,
    bench: bool = False,
    web: bool = False,
    index: Path | None = None,
    onnxruntime_web: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Write an encoder as ONNX, compared with PyTorch; with --web as a search page that needs no server.

    The folder gets model.onnx (photo in, unit vector out: resize, crop and normalisation inside), model_pixels.onnx
    (normalised pixels in), export.json and README.md. A file that differs from PyTorch is not written, nor anything
    else then.

    Example: goodviews export runs/infomin/encoder --out exported --int8 --calibrate photos

    Args:
        encoder: Encoder folder or name, such as runs/infomin/encoder or timm:resnet50.a1_in1k; with --web an exported
            folder too.
        out: Folder to make.
        images: Folder of photos to compare on, at most 100 of them; by default a built-in set.
        fp16: Write files of half the size too; on a processor they are no faster.
        int8: Write files in 8-bit integers too: a quarter of the size, and 2 to 3 times as fast on processors with
            VNNI. Needs --calibrate.
        calibrate: Photos for --int8, whatever pretraining reads, at least 42; 128 set the ranges, up to 1000 others
            judge. With labels, the accuracy of the nearest neighbours counts too.
        feature_maps: Write feature_maps.onnx too: the four stages of a ResNet, res2 to res5.
        head: RUN of goodviews transfer finetune, or another classifier in timm's form; writes classifier.onnx too.
        bench: Measure how fast each file runs and how much memory it takes, beside PyTorch; into bench.json and
            README.md.
        web: Write a search page instead, which runs encoder and search in the visitor's browser: a folder of static
            files. Needs --index; int8 is calibrated on --calibrate, by default on the index's photos.
        index: For --web: the index to search, built with this encoder.
        onnxruntime_web: For --web: folder of the npm package onnxruntime-web, or one with node_modules; by default
            node_modules here, above, or npm's global ones.
        overwrite: Replace OUT if it exists.
    """
    from ...hub.errors import UsageError
    from ...hub.files.overwrite import refuse_folder
    from ...hub.images import SkippedImages
    from ...hub.pretrained import from_pretrained
    from ...hub.sources.open import open_data
    from .describe import HEADER, row
    from .onnx_file import Wanted
    from .onnx_file import export as write
    from .trial_photos import users_photos

    console = Terminal()
    if web:
        if index is None or any((images, fp16, feature_maps, head, bench)):
            raise UsageError("--web takes --index, --calibrate and --onnxruntime-web: give --web --index INDEX.")
        _export_page(console, encoder, index, out, calibrate, onnxruntime_web, overwrite)
        return
    if index is not None or onnxruntime_web is not None:
        raise UsageError("--index and --onnxruntime-web belong to --web: give --web --index INDEX.")
    refuse_folder(out, overwrite, kind="export", inputs=(encoder, images, calibrate, head))
    if int8 != (calibrate is not None):
        raise UsageError("--int8 and --calibrate belong together: give --int8 --calibrate PHOTOS.")
    skipped = SkippedImages()
    opened = from_pretrained(encoder)
    values = opened.preprocessing.values
    photos = users_photos(images, skipped, values=values) if images is not None else None
    data = open_data(calibrate, values=values) if calibrate is not None else None
    wanted = Wanted(fp16=fp16, calibration=data, feature_maps=feature_maps, head=head)
    with console.status("Exporting and comparing with PyTorch"):
        exported = write(opened, out, wanted=wanted, photos=photos, overwrite=overwrite)
    print_skipped(console, skipped)
    table = Table(Column(HEADER[0], no_wrap=True), *HEADER[1:])
    for name, difference in exported.files.items():
        table.add_row(*row(out / name, difference))
    console.print(table)
    for name in exported.others:
        print_line(console, f"{out / name}: {(out / name).stat().st_size / 1e6:.1f} MB, as PyTorch")
    if bench:
        _bench(console, encoder, out)
    print_line(console, f"{out}: README.md and export.json say more")


def _export_page(
    console: Terminal,
    encoder: str,
    index: Path,
    out: Path,
    calibrate: str | None,
    onnxruntime_web: Path | None,
    overwrite: bool,
) -> None:
    from ..web_page.site import export_page

    with console.status("Writing the page"):
        page = export_page(
            encoder, index, out, calibrate=calibrate, onnxruntime_web=onnxruntime_web, overwrite=overwrite
        )
    facts = page.facts
    size = sum(facts.megabytes.values())
    print_line(console, f"{out}: {facts.photos} photos, encoder {facts.variant}, {size:.1f} MB")
    if facts.remark:
        print_line(console, f"not int8: {facts.remark}")
    if facts.agreement is not None:
        print_line(console, f"finds {facts.agreement:.1%} of the 10 nearest photos that the index finds")
    print_line(console, f"try it: python -m http.server --directory {out}")


def _bench(console: Terminal, encoder: str, out: Path) -> None:
    from ...hub.files.atomic import write_json
    from ...hub.pretrained import from_pretrained
    from .bench import HEADINGS, MEMORY_HEADINGS, cells, measure_export, memory_cells
    from .describe import add_speed

    with console.status("Measuring speed"):
        measured = measure_export(from_pretrained(encoder), out, name=encoder)
    write_json(out / "bench.json", measured.to_json())
    add_speed(out, measured)
    table = Table(HEADINGS[0], Column(HEADINGS[1], no_wrap=True), *HEADINGS[2:])
    for line in measured.rows:
        table.add_row(*cells(line))
    console.print(table)
    if measured.peak_memory_mb:
        memory = Table(*MEMORY_HEADINGS)
        for name, size in memory_cells(measured):
            memory.add_row(name, size)
        console.print(memory)
