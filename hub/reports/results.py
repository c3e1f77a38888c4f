"""Reports in the Hub's two forms: the model-index of a card, and the files of .eval_results."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .report import Report

_DETECTION = ("AP", "AP50", "AP75")  # the primary metrics of detection; any other task than retrieval classifies
_METRICS = {"top1": "accuracy", "top5": "top_5_accuracy"}


def model_index(name: str, reports: Mapping[str, Report], *, address: str | None = None) -> list[dict[str, Any]]:
    """What stands under "model-index" in a card's header: an entry for each report.

    Args:
        name: of the encoder.
        reports: by file name.
        address: of the repository, for the links to the reports.
    """
    results = [_result(file, report, address) for file, report in reports.items()]
    return [{"name": name, "results": results}] if results else []


def eval_results(reports: Mapping[str, Report], *, address: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """The entries of .eval_results by the benchmark's file name: of the reports that name a benchmark of the Hub."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file, report in reports.items():
        benchmark = report.details.get("benchmark")
        if isinstance(benchmark, dict):
            name = re.sub(r"[^A-Za-z0-9.-]+", "-", str(benchmark["dataset_id"])) + ".yaml"
            found.setdefault(name, []).append(_entry(file, report, benchmark, address))
    return found


def with_benchmark(report: Report, words: str) -> Report:
    """The report with the benchmark of the Hub that it measured, DATASET_ID or DATASET_ID:TASK_ID."""
    dataset, _, task = words.partition(":")
    return replace(
        report, details=report.details | {"benchmark": {"dataset_id": dataset, "task_id": task or "default"}}
    )


def _result(file: str, report: Report, address: str | None) -> dict[str, Any]:
    data = str(report.dataset.get("name") or "unnamed")
    part = report.dataset.get("test_part")
    dataset = {"type": re.sub(r"[^A-Za-z0-9/._-]+", "-", data), "name": data} | ({"split": str(part)} if part else {})
    metric = {
        "type": _METRICS.get(report.primary, report.primary),
        "name": str(report.description.get("metric", report.primary)),
        "value": report.metrics[report.primary],
        "args": {"protocol": report.protocol.name, "version": report.protocol.version, "seed": report.seed},
        "verified": False,
    }
    task = {"type": _hub_task(report), "name": report.task}
    source = {"source": {"name": f"reports/{file}", "url": _link(file, address)}} if address else {}
    return {"task": task, "dataset": dataset, "metrics": [metric], **source}


def _entry(file: str, report: Report, benchmark: Mapping[str, Any], address: str | None) -> dict[str, Any]:
    source = {"source": {"url": _link(file, address), "name": f"reports/{file}"}} if address else {}
    return {
        "dataset": {"id": benchmark["dataset_id"], "task_id": benchmark["task_id"]},
        "value": report.metrics[report.primary],
        "date": report.evidence.started,
        **source,
        "notes": f"{report.task}, {report.primary}, seed {report.seed}",
    }


def _hub_task(report: Report) -> str:
    if report.primary in _DETECTION:
        return "object-detection"
    return "image-feature-extraction" if report.task.startswith("retrieval") else "image-classification"


def _link(file: str, address: str | None) -> str:
    return f"{address}/blob/main/reports/{file}"


def by_protocol(reports: Sequence[Report]) -> list[tuple[Report, list[str]]]:
    """A report of each protocol, and the data that all reports of that protocol were measured on."""
    found: dict[str, tuple[Report, list[str]]] = {}
    for report in reports:
        key = f"{report.protocol.name} {report.protocol.version} {sorted(report.protocol.settings.items())}"
        data = str(report.dataset.get("name", "unnamed"))
        known = found.setdefault(key, (report, []))[1]
        if data not in known:
            known.append(data)
    return list(found.values())
