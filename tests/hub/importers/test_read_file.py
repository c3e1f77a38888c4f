"""Files are read without running anything in them. A file that would run something leaves a mark; none may appear."""

import argparse
import builtins
import io
import os
import pickle
import re
import struct
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from goodviews.hub import ArtifactError
from goodviews.hub.importers.plain_numpy import PlainDtype
from goodviews.hub.importers.read_file import read_file

MARK = "the-mark"  # in the folder where the tests run


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any):
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple:
        return self.function, self.arguments


class SetsItself(OrderedDict):
    """Runs when it is unpickled, if its class is looked up."""

    def __setstate__(self, state: Any) -> None:
        Path(MARK).touch()

    def __reduce__(self) -> tuple:
        return SetsItself, (), {"a": 1}


def zip_with(pickled: bytes) -> bytes:
    """A file as torch.save writes it, with this pickle in it."""
    stream = io.BytesIO()
    torch.save({"weight": torch.ones(2)}, stream)
    out = io.BytesIO()
    with zipfile.ZipFile(stream) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, pickled if name.endswith("data.pkl") else old.read(name))
    return out.getvalue()


def before_1_6(content: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def tar_of(pickled: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            entry = tarfile.TarInfo(name)
            entry.size = len(pickled)
            tar.addfile(entry, io.BytesIO(pickled))
    return stream.getvalue()


TOUCH = f"touch {MARK}"
RUN = f"open({MARK!r}, 'w').close()"
GETATTR = (  # getattr(__import__("os"), "system")("touch ...")
    b"\x80\x02cbuiltins\ngetattr\n(cbuiltins\n__import__\n(X\x02\x00\x00\x00ostRX\x06\x00\x00\x00systemtR(X"
    + struct.pack("<I", len(TOUCH))
    + TOUCH.encode()
    + b"tR."
)
DOTTED = b"\x80\x04\x8c\x05numpy\x8c\x18dtype.__init__.__class__\x93(\x8c\x01xtR."
OBJECTS = np.array([Calls(os.system, TOUCH)], dtype=object)

KINDS: dict[str, Any] = {
    "os.system by reduce": Calls(os.system, TOUCH),
    "eval": Calls(eval, f"__import__('os').system({TOUCH!r})"),
    "exec": Calls(exec, RUN),
    "a nested call in a state dict": {"state_dict": {"conv1.weight": Calls(os.system, TOUCH)}},
    "an array of objects": {"model": OBJECTS},
    "a subclass that sets its state": SetsItself(),
    "torch.load of another file": Calls(torch.load, "evil.pth"),
    "an import": Calls(builtins.__import__, "os"),
}


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("evil.pth").write_bytes(pickle.dumps(Calls(os.system, TOUCH)))


def refused(content: bytes, suffix: str) -> str:
    file = Path(f"file{suffix}")
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="nothing in it was run") as error:
        read_file(file)
    assert not Path(MARK).exists(), "something in the file was run"
    assert "\n" not in str(error.value)
    assert "trust this" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", [2, 4])
def test_plain_pickles_that_would_run_something_are_refused(kind, protocol):
    sentence = refused(pickle.dumps(KINDS[kind], protocol=protocol), ".pkl")
    assert re.search(r"it names \S+, which is not allowed|something else than plain numbers", sentence)


@pytest.mark.parametrize("kind", KINDS)
def test_zip_files_that_would_run_something_are_refused(kind):
    refused(zip_with(pickle.dumps(KINDS[kind], protocol=2)), ".pth")


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_before_1_6_that_would_run_something_are_refused(kind):
    refused(before_1_6({"x": KINDS[kind]}), ".pth.tar")


@pytest.mark.parametrize("pickled", [GETATTR, DOTTED], ids=["getattr chain", "dotted name"])
def test_chains_of_attributes_are_refused_in_every_container(pickled):
    refused(pickled, ".pkl")
    refused(zip_with(pickled), ".pth")
    refused(b"".join([before_1_6({})[:15], pickled]), ".pth")


def test_tar_files_of_2016_are_refused():
    assert "2016" in refused(tar_of(pickle.dumps(Calls(os.system, TOUCH))), ".pth.tar")


def test_pickles_beside_the_one_that_is_read_are_never_touched():
    evil = pickle.dumps(Calls(os.system, TOUCH))
    Path("inside.pth").write_bytes(zip_with_more("archive/extra.pkl", evil))
    assert torch.equal(read_file(Path("inside.pth"))["weight"], torch.ones(2))
    refused(zip_with_more("extra/data.pkl", evil), ".pth")
    assert not Path(MARK).exists()


def zip_with_more(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    torch.save({"weight": torch.ones(2)}, stream)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def test_script_archives_are_refused():
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), stream)
    refused(stream.getvalue(), ".pth")


def test_a_whole_network_is_refused_and_the_error_says_what_it_names():
    stream = io.BytesIO()
    torch.save(torch.nn.Linear(2, 2), stream)
    assert "torch.nn.modules.linear.Linear, which is not allowed; where you trust it" in refused(
        stream.getvalue(), ".pth"
    )


@pytest.mark.parametrize(
    ("content", "suffix", "sentence"),
    [
        (b"<!DOCTYPE html><html>", ".pth", "web page"),
        (b"", ".pth", "neither"),
        (b"\x1f\x8bgzip", ".pth", "neither"),
        (b"PK\x03\x04 not a zip", ".pth", "damaged"),
        (pickle.dumps({"a": 1})[:-3], ".pkl", "damaged|truncated"),
        (b"\x00" * 40, ".safetensors", "damaged"),
    ],
)
def test_damaged_and_foreign_files_are_refused(content, suffix, sentence):
    assert re.search(sentence, refused(content, suffix))


def test_a_truncated_checkpoint_is_refused():
    stream = io.BytesIO()
    torch.save({"weight": torch.ones(1000)}, stream)
    assert "damaged" in refused(stream.getvalue()[:2000], ".pth")


def test_a_missing_file_is_named():
    with pytest.raises(ArtifactError, match=r"no checkpoint nowhere\.pth"):
        read_file(Path("nowhere.pth"))


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "before 1.6"])
def test_namespaces_and_numpys_numbers_of_both_ages_are_read(options):
    content = {
        "args": argparse.Namespace(lr=0.1),
        "best": np.float64(76.5),
        "step": np.int64(7),
        "rng": np.arange(6, dtype=np.uint32).reshape(2, 3),
        "weight": torch.ones(2),
    }
    torch.save(content, "new.pth", **options)
    new = Path("new.pth").read_bytes()
    found = read_file(Path("new.pth"))
    assert (found["args"].lr, found["best"], found["step"]) == (0.1, 76.5, 7)
    np.testing.assert_array_equal(found["rng"].value, content["rng"])
    if options:  # a pickle of plain text: NumPy 1 wrote another module's name
        Path("old.pth").write_bytes(new.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
        assert read_file(Path("old.pth"))["best"] == 76.5


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", "<f8", "<i8", "|b1", "|u1"])
def test_arrays_of_every_protocol_become_tensors(protocol, dtype):
    arrays = {
        "c": np.arange(12).reshape(3, 4).astype(dtype),
        "f": np.asfortranarray(np.arange(12).reshape(3, 4).astype(dtype)),
        "single": np.array(3).astype(dtype),
    }
    Path("arrays.pkl").write_bytes(pickle.dumps({"model": arrays}, protocol=protocol))
    found = read_file(Path("arrays.pkl"))["model"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name].numpy(), array)
        assert found[name].is_contiguous()


@pytest.mark.parametrize("name", ["O", "O8", "V4", "S3", "U2", "M8[ns]", "f4,f4", "f4x", 7])
def test_dtypes_that_are_no_plain_numbers_are_refused(name):
    with pytest.raises(pickle.UnpicklingError, match="plain numbers"):
        PlainDtype(name, False, True)


def test_made_up_dtype_flags_do_not_turn_bytes_into_pointers():
    """NumPy's own unpickling takes the flags of a dtype from the file; ours takes the byte order alone."""
    crafted = pickle.dumps({"model": np.array(["x"], dtype=object)}, protocol=2)
    assert "plain numbers" in refused(crafted, ".pkl")


def test_safetensors_files_are_read():
    save_file({"weight": torch.arange(3.0)}, "file.safetensors")
    assert read_file(Path("file.safetensors"))["weight"].tolist() == [0, 1, 2]
