"""Make hub/mini, the encoder that ships, of the run that trained it: half precision, its data and its terms named.

python docs/results/bundle_mini.py runs/mini_colours --out hub/mini
python docs/results/bundle_mini.py attach docs/results/mini          what it scores, into its card
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import cyclopts

from goodviews.hub import from_pretrained
from goodviews.hub.attach import attach_reports, reports_of
from goodviews.hub.encoder_folder import write_encoder
from goodviews.hub.errors import DataError
from goodviews.hub.files.atomic import new_folder, write_text
from goodviews.hub.files.overwrite import MARKER
from goodviews.hub.half_precision import halve
from goodviews.hub.reports.report import load_report

DATA = "train parts of imagenette224 and imagenette224-rest (ten classes of ImageNet, squeezed to 224 x 224)"
LICENCE = "LicenseRef-ImageNet-research"
MINI = Path(__file__).parents[2] / "hub" / "mini"
TERMS = MINI / "LICENSE"
LARGEST_ADDITION = 100_000  # bytes that reports may add to the package

app = cyclopts.App(help=__doc__, help_format="plaintext")


@app.default
def bundle(run: Path, *, out: Path, commit: str | None = None) -> None:
    """Write OUT; an earlier one is replaced.

    Args:
        run: What `goodviews pretrain mini_colours --init RUN/encoder`, from that of `goodviews pretrain mini`, wrote.
        out: The folder to write.
        commit: Of the code that trained it, where the run could not know.
    """
    encoder = from_pretrained(run / "encoder")
    dataset = {**(encoder.origin.dataset or {}), "name": DATA}
    encoder.origin = replace(
        encoder.origin, name="goodviews-mini", dataset=dataset, licence=LICENCE, commit=commit or encoder.origin.commit
    )
    terms = TERMS.read_text("utf-8")
    with new_folder(out, overwrite=True, kind="encoder") as folder:
        write_encoder(halve(encoder), folder)
        write_text(folder / "LICENSE", terms)
    (out / MARKER).unlink()


@app.command
def attach(*places: Path, to: Path = MINI) -> None:
    """Put the reports of the encoder's own weights into its folder and card; a new result replaces an older one.

    Args:
        places: Folders with reports: of `write.py`, RUN folders of `goodviews transfer`, or a folder of such folders.
        to: The encoder folder.
    """
    found = [load_report(file) for place in places for file in _report_files(place)]
    reports = reports_of(to, found)
    size = sum(len(json.dumps(asdict(report), indent=1)) for report in reports)
    if size > LARGEST_ADDITION:
        raise DataError(f"{len(reports)} reports take {size} bytes; the package has room for {LARGEST_ADDITION}.")
    attached = attach_reports(to, reports, overwrite=True)
    (to / "reports" / MARKER).unlink()
    for file, report in zip(attached, reports, strict=True):
        print(f"{file.name}: {report.primary} {report.metrics[report.primary]:.1f}")


def _report_files(place: Path) -> list[Path]:
    """The reports below a folder, in the one of the three layouts that it has."""
    found = (sorted(place.rglob(pattern)) for pattern in ("report.json", "reports/*.json", "*.json"))
    files = next((files for files in found if files), [])
    if not files:
        raise DataError(f"{place} holds no report; give RUN folders of `goodviews transfer`, or a page's folder.")
    return files


if __name__ == "__main__":
    app()
