"""One identity for an encoder, its export, an index and a report."""

import json
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from goodviews.hub import ArtifactError, Preprocessing
from goodviews.hub.fingerprint import TOLERANCE, fingerprint_distance
from goodviews.hub.identity import EncoderId
from goodviews.hub.reports.report import load_report, save_report

UNIT = "AACAPwAAAAA="  # (1, 0) as little-endian float32
OWN = EncoderId("ours", "resnet18", "ab" * 32, "infomin_200", 2, Preprocessing(64, 0.9), UNIT)


def fingerprint_of(*numbers: float) -> str:
    return b64encode(np.array(numbers, "<f4").tobytes()).decode()


def test_an_identity_read_back_is_equal():
    assert EncoderId.from_json(OWN.to_json(), Path("export.json")) == OWN


def test_a_report_holds_four_fields_of_an_identity_and_no_more(make_report, tmp_path: Path):
    file = save_report(make_report(encoder=OWN), tmp_path / "report.json")
    assert json.loads(file.read_text())["encoder"] == {
        "name": "ours",
        "architecture": "resnet18",
        "weights_sha256": "ab" * 32,
        "recipe": "infomin_200",
    }
    assert load_report(file).encoder == EncoderId("ours", "resnet18", "ab" * 32, "infomin_200")


def test_name_and_recipe_do_not_keep_vectors_apart_and_all_else_does():
    assert OWN.differences(replace(OWN, name="theirs", recipe=None)) == []
    assert OWN.differences(replace(OWN, dimension=3)) == ["2 dimensions against 3"]
    assert OWN.differences(replace(OWN, weights_sha256="cd" * 32)) == ["weights abababababab against cdcdcdcdcdcd"]
    assert OWN.differences(replace(OWN, preprocessing=Preprocessing(96, 0.9))) == [
        "64 px at crop 0.9 (bilinear) against 96 px at crop 0.9 (bilinear)"
    ]
    assert OWN.differences(replace(OWN, fingerprint=fingerprint_of(0, 1))) == ["fingerprints 1.4 apart"]


def test_what_a_report_knows_of_an_encoder_is_not_enough_to_mix_vectors():
    known = EncoderId(OWN.name, OWN.architecture, OWN.weights_sha256)
    assert known.differences(known) == ["fingerprints inf apart"]


def test_fingerprints_within_the_tolerance_are_one_encoders():
    near, far = fingerprint_of(1, 0.9 * TOLERANCE), fingerprint_of(1, 1.1 * TOLERANCE)
    assert OWN.differences(replace(OWN, fingerprint=near)) == []
    assert len(OWN.differences(replace(OWN, fingerprint=far))) == 1


@pytest.mark.parametrize("damaged", ["", "AACAPw==", "not base64", "AACAPw"])
def test_fingerprints_that_cannot_be_compared_are_infinitely_apart(damaged: str):
    assert fingerprint_distance(UNIT, damaged) == float("inf")


@pytest.mark.parametrize(
    "change",
    [
        {"dimension": 3},
        {"fingerprint": "%"},
        {"fingerprint": None},
        {"preprocessing": None},
        {"preprocessing": {"px": 1}},
    ],
)
def test_an_incomplete_identity_is_refused_in_one_sentence(change: dict):
    with pytest.raises(ArtifactError, match=r"^export\.json (has|lacks) .* does not say which encoder made") as refused:
        EncoderId.from_json(OWN.to_json() | change, Path("export.json"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [None, [], {}, "text"])
def test_what_is_no_identity_is_refused(content: object):
    with pytest.raises(ArtifactError, match="which encoder made its vectors"):
        EncoderId.from_json(content, Path("index.json"))
