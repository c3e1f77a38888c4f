"""What Numba compiles, against what the arrays of torch and NumPy give."""

import builtins
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.views import blur, colour, compiled, geometry
from goodviews.pretrain.views.operations import CONV_RADIUS, Normalize

pytest.importorskip("numba", reason='needs the extra fast: pip install ".[fast]"')

Operation = Callable[..., Tensor]


@pytest.fixture(params=[(1, 64, 96), (3, 31, 31)], ids=["wide", "few"])
def images(request: pytest.FixtureRequest) -> Iterator[Tensor]:
    """Noise, black, white and grey parts: every case of hue, and values at both ends."""
    number, height, width = request.param
    torch.manual_seed(0)
    images = torch.randint(0, 256, (number, 3, height, width), dtype=torch.uint8)
    images[:, :, :8] = images[:, :1, :8]
    images[:, :, 8:16] = (images[:, :, 8:16] > 127) * 255
    images[0, :, 16:20] = 255
    return images


@pytest.fixture
def by_arrays(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Tensor]:
    """Calls a function as where Numba is not installed."""

    def call(function: Operation, *given: object) -> Tensor:
        with monkeypatch.context() as patch:
            patch.setattr(compiled, "is_installed", lambda: False)
            return function(*given)

    return call


@pytest.mark.parametrize(
    ("operation", "least", "most"),
    [
        (colour.brightness, 0.0, 2.0),
        (colour.contrast, 0.0, 2.0),
        (colour.saturation, 0.0, 2.0),
        (colour.shift_hue, -0.5, 0.5),
        (blur.pil_blur, 0.1, 4.0),
        (partial(blur.conv_blur, radius=CONV_RADIUS), 0.1, 2.0),
        *((partial(geometry.rotate, bicubic=cubic), -30, 30) for cubic in (False, True)),
        *(
            (partial(move, axis=axis, bicubic=cubic), -0.4, 0.4)
            for move in (geometry.shear, geometry.translate)
            for axis in (2, 3)
            for cubic in (False, True)
        ),
    ],
)
def test_a_compiled_operation_equals_that_of_arrays_bit_by_bit(operation, least, most, images, by_arrays):
    for seed in range(4):
        amounts = torch.rand(len(images), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        amounts = least + (most - least) * amounts
        before = images.clone()
        assert torch.equal(operation(images, amounts), by_arrays(operation, images, amounts))
        assert torch.equal(images, before)


def test_compiled_normalisation_equals_torchs_bit_by_bit_for_patches_too(images, by_arrays):
    patches = images[:, None].expand(-1, 9, -1, -1, -1)
    for batch in (images, patches):
        assert torch.equal(Normalize()._normalize(batch), by_arrays(Normalize()._normalize, batch))


@pytest.mark.parametrize("name", ["infomin_200", "clsa_multi_200"])
def test_whole_views_are_the_same_with_and_without_numba(name, by_arrays):
    for view in choose(name).views:
        torch.manual_seed(1)
        px = view.crop.px if view.name == "jigsaw" else 48
        view = replace(view, crop=replace(view.crop, px=px))
        crops = torch.randint(0, 256, (6, 3, px, px), dtype=torch.uint8)
        uniforms = torch.rand(6, view.width, dtype=torch.float64)
        assert torch.equal(view.render(crops, uniforms), by_arrays(view.render, crops, uniforms))


def test_an_image_smaller_than_the_blurs_reach_is_refused_as_by_arrays():
    with pytest.raises(IndexError):
        blur.conv_blur(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.tensor([2.0]), CONV_RADIUS)


def test_where_numba_finds_no_folder_to_write_to_views_are_rendered_by_arrays(monkeypatch, caplog):
    error = RuntimeError("cannot cache function 'boxes': no locator available")
    _refuse_kernels(monkeypatch, error)
    assert compiled._kernels.__wrapped__() is None
    assert "set NUMBA_CACHE_DIR" in caplog.text


def test_where_numba_does_not_take_this_numpy_views_are_rendered_by_arrays(monkeypatch, caplog):
    _refuse_kernels(monkeypatch, ImportError("Numba needs NumPy 2.3 or less. Got NumPy 2.4."))
    assert compiled._kernels.__wrapped__() is None
    assert "another version of it (Numba needs NumPy 2.3 or less. Got NumPy 2.4.)" in caplog.text


def test_where_numba_is_told_not_to_compile_views_are_rendered_by_arrays(monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert not compiled.is_installed.__wrapped__()


def test_only_a_machines_first_run_says_that_views_are_compiled(tmp_path, monkeypatch, caplog):
    (tmp_path / "kernels.look_up-312.py311.nbi").touch()
    for folder, sentences in ((tmp_path / "new", 1), (tmp_path, 0)):
        look_up = SimpleNamespace(stats=SimpleNamespace(cache_path=str(folder)))
        monkeypatch.setattr(compiled, "_kernels", lambda kernel=look_up: SimpleNamespace(look_up=kernel))
        caplog.clear()
        with caplog.at_level("INFO"):
            compiled.announce_compilation()
        assert caplog.text.count("compiled for this machine") == sentences


def _refuse_kernels(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    real = builtins.__import__

    def imports(name: str, *given: Any) -> Any:
        if len(given) > 2 and "kernels" in (given[2] or ()):
            raise error
        return real(name, *given)

    monkeypatch.setitem(sys.modules, "goodviews.pretrain.views.kernels", None)
    monkeypatch.setattr(builtins, "__import__", imports)
