import io
import zipfile
from pathlib import Path

import pytest
import torch

from goodviews.hub import ArtifactError
from goodviews.hub.files.sealed_files import check_seal, load_sealed, save_sealed


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with (tmp_path / "a.pt").open("wb") as stream:
        save_sealed({"weights": torch.arange(5000.0), "step": 3}, stream)
    return tmp_path / "a.pt"


def test_a_sealed_file_is_read_by_torch_and_zipfile_as_any_other(file: Path):
    assert load_sealed(file)["step"] == torch.load(file, weights_only=True)["step"] == 3
    assert zipfile.ZipFile(file).testzip() is None
    assert zipfile.ZipFile(file).comment.startswith(b"goodviews sha256 ")


def test_every_flipped_bit_is_noticed(file: Path):
    whole = file.read_bytes()
    for position in [*range(0, len(whole), 97), *range(len(whole) - 90, len(whole))]:
        changed = bytearray(whole)
        changed[position] ^= 4
        file.write_bytes(changed)
        with pytest.raises(ArtifactError, match="damaged"):
            check_seal(file)


def test_a_file_without_a_seal_is_read_as_before(tmp_path: Path):
    torch.save({"step": 4}, tmp_path / "b.pt")
    assert load_sealed(tmp_path / "b.pt") == {"step": 4}


def test_a_file_cut_short_is_no_success(file: Path):
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(Exception, match=r"(?s)."):
        load_sealed(file)


def test_what_is_written_to_a_stream_equals_torch_save_but_for_the_seal():
    plain, sealed = io.BytesIO(), io.BytesIO()
    torch.save({"step": 5}, plain)
    save_sealed({"step": 5}, sealed)
    assert sealed.getvalue()[:-83] == plain.getvalue()[:-2]
