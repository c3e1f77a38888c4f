"""The lines of metrics.jsonl for MLflow. Only here is its library imported."""

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import GoodviewsError, MissingExtra

FOLDER = "mlflow"  # in RUN: the name under which a resumed run goes on
_NAME = "goodviews-id"


class MlflowBoard:
    """One run of the experiment "goodviews", or of $MLFLOW_EXPERIMENT_NAME; a resumed RUN goes on with the same one.

    Args:
        folder: the RUN folder, whose name the run has.
        about: recorded as recipe.json beside the figures.

    Raises:
        MissingExtra: mlflow is not installed.
        GoodviewsError: the server of $MLFLOW_TRACKING_URI does not answer or refuses.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]):
        mlflow = _library()
        self._mlflow, self._client = mlflow, mlflow.MlflowClient()
        try:
            self._id = self._start(folder, about)
        except mlflow.exceptions.MlflowException as error:
            raise GoodviewsError(f"--log mlflow: {str(error).splitlines()[0]}; see MLFLOW_TRACKING_URI.") from error

    def write(self, line: Mapping[str, Any]) -> None:
        """Take in a line of metrics.jsonl."""
        now, step = int(1000 * time.time()), int(line["step"])
        numbers = {name: value for name, value in line.items() if name != "step" and _is_number(value)}
        metrics = [self._mlflow.entities.Metric(name, float(value), now, step) for name, value in numbers.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def close(self) -> None:
        """Say that the run is over."""
        self._client.set_terminated(self._id)

    def _start(self, folder: Path, about: Mapping[str, Any]) -> str:
        name = folder / FOLDER / _NAME
        if name.is_file():
            known = name.read_text("utf-8")
            self._client.update_run(known, status="RUNNING")
            return known
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", "goodviews")
        found = self._client.get_experiment_by_name(experiment)
        number = self._client.create_experiment(experiment) if found is None else found.experiment_id
        run: str = self._client.create_run(number, run_name=folder.resolve().name).info.run_id
        self._client.log_dict(run, dict(about), "recipe.json")
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_text(run, encoding="utf-8")
        return run


def require_mlflow() -> None:
    """Raises MissingExtra where mlflow is not installed."""
    _library()


def _library() -> Any:
    try:
        import mlflow
    except ImportError:
        raise MissingExtra("mlflow", extra="mlflow", needed_for="--log mlflow") from None
    return mlflow


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
