"""Files of vectors: every format gives back what was written; what is damaged is one sentence."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from goodviews.export.embedding.vector_files import (
    SUFFIXES,
    About,
    Rows,
    check_suffix,
    companions,
    read_vectors,
    write_vectors,
)
from goodviews.hub import ArtifactError, OnnxEncoder, UsageError

DIMENSION = 8


@pytest.fixture(scope="session")
def about(exported: Path) -> About:
    return About(OnnxEncoder(exported).id, "runs/encoder", "torch", Path("/photos"), 5)


def parts() -> Iterator[Rows]:
    """Three rows, then two, of odd names."""
    generator = np.random.default_rng(0)
    names = ["a.jpg", 'b, "c".jpg', "ü/line\nfeed.png", "d.jpg", "e.jpg"]
    for chosen in (names[:3], names[3:]):
        vectors = generator.normal(size=(len(chosen), DIMENSION)).astype(np.float32)
        yield Rows(chosen, ["0" * 63 + name[0].encode().hex()[-1] for name in chosen], [7] * len(chosen), vectors)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_in_parts_is_read_back_whole(about: About, tmp_path: Path, suffix: str):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="needs the extra data")
    out = tmp_path / f"vectors{suffix}"
    written = write_vectors(out, about, parts())
    assert written == [out, *companions(out)] == sorted(tmp_path.iterdir(), key=written.index)
    read, expected = read_vectors(out), list(parts())
    assert read.about == about
    assert read.rows.paths == [path for rows in expected for path in rows.paths]
    assert read.rows.sha256 == [digest for rows in expected for digest in rows.sha256]
    assert read.rows.sizes == [7] * 5
    assert read.rows.vectors.dtype == np.float32
    np.testing.assert_array_equal(read.rows.vectors, np.concatenate([rows.vectors for rows in expected]))


def test_safetensors_reads_our_file_too(about: About, tmp_path: Path):
    from safetensors.numpy import load_file

    write_vectors(tmp_path / "vectors.safetensors", about, parts())
    assert load_file(tmp_path / "vectors.safetensors")["vectors"].shape == (5, DIMENSION)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_cut_short_or_missing_is_one_sentence(about: About, tmp_path: Path, suffix: str):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="needs the extra data")
    out = tmp_path / f"vectors{suffix}"
    with pytest.raises(ArtifactError, match="does not exist"):
        read_vectors(out)
    write_vectors(out, about, parts())
    out.write_bytes(out.read_bytes()[: out.stat().st_size * 2 // 3])
    with pytest.raises(ArtifactError) as refused:
        read_vectors(out)
    assert "\n" not in str(refused.value)


def test_other_formats_are_refused_by_name():
    with pytest.raises(UsageError, match=r"\.parquet, \.npy, \.safetensors, \.csv"):
        check_suffix(Path("vectors.h5"))
