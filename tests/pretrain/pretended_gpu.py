"""A GPU that is not there: tensors that say cuda:0 and compute on the CPU, and counts of what a real one would do.

They refuse to meet tensors of the CPU, as real ones do; they can go backwards, which torch's fake tensors cannot here;
and they note where the CPU would wait. What they do not show: streams, pinned memory, and which operations a
GPU has for which types.
"""

import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

CUDA = torch.device("cuda", 0)
_CPU = torch.device("cpu")
_NO_KERNEL = {
    "empty",
    "empty_like",
    "new_empty",
    "empty_strided",
    "new_empty_strided",
    "detach",
    "_unsafe_view",
    "alias",
}
_NO_KERNEL |= {"lift_fresh", "_reshape_alias", "is_same_size", "result_type", "set_data", "device"}
_WAITS = {"nonzero", "_unique2", "unique_dim", "unique_consecutive", "masked_select", "_local_scalar_dense", "equal"}
_WAITS |= {"is_nonzero", "bincount", "repeat_interleave.Tensor"}
_TAKES_INDICES = {"index", "index_put_", "index_put", "_index_put_impl_"}


@dataclass
class Counts:
    """What happened within a block.

    launches: operations on device tensors that compute or move.
    blocking: where the CPU waits for the GPU, each time.
    copies: between CPU and GPU.
    """

    launches: int = 0
    blocking: list[str] = field(default_factory=list)
    copies: int = 0

    def wait(self, times: int = 1) -> None:
        """Note who makes the CPU wait."""
        if times:
            frames = [frame for frame in traceback.extract_stack() if Path(frame.filename) != Path(__file__)]
            ours = [frame for frame in frames if "/pretrain/" in frame.filename][-2:]
            self.blocking += times * [" < ".join(f"{frame.name}: {frame.line}" for frame in reversed(ours))]


_counts = Counts()


class OnGpu(Tensor):
    """A tensor that says it is on cuda:0; `inner` has its numbers."""

    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: Tensor, requires_grad: bool = False) -> "OnGpu":
        made = Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=_CPU,  # for autograd, which would ask CUDA for its streams
            requires_grad=requires_grad,
        )
        made.inner = inner
        return made

    @property
    def device(self) -> torch.device:
        return CUDA

    @property
    def is_cuda(self) -> bool:
        return True

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copied = OnGpu(self.inner.detach().clone())
        return nn.Parameter(copied, self.requires_grad) if isinstance(self, nn.Parameter) else copied

    def __repr__(self, **kwargs: Any) -> str:
        return f"OnGpu({self.inner})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if kwargs.get("device") is not None:
            kwargs["device"] = _CPU
        _meet(func, args, kwargs)
        _count(func, args)
        result = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
        if func._schema.name == "aten::copy_" and not isinstance(args[0], OnGpu):
            return args[0]
        return return_and_correct_aliasing(func, args, kwargs, tree_map(_outer, result))


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, OnGpu) else value


def _outer(value: Any) -> Any:
    return OnGpu(value) if isinstance(value, Tensor) and not isinstance(value, OnGpu) else value


def _name(func: Any) -> str:
    return func._schema.name.removeprefix("aten::")


def _meet(func: Any, args: Any, kwargs: Any) -> None:
    """Refuse tensors of the CPU that a real GPU would refuse; count those that it would wait for."""
    name = _name(func)
    if name == "copy_":
        if not (isinstance(args[0], OnGpu) and isinstance(args[1], OnGpu)):
            _counts.wait(not (args[2] if len(args) > 2 else kwargs.get("non_blocking", False)))
        return
    foreign = [
        value
        for value in tree_flatten((args, kwargs))[0]
        if isinstance(value, Tensor) and not isinstance(value, OnGpu) and value.dim() > 0
    ]
    if foreign and name in _TAKES_INDICES and isinstance(args[0], OnGpu):
        _counts.wait(len(foreign))
    elif foreign:
        raise RuntimeError(f"{func}: expected all tensors to be on one device, found cuda:0 and cpu")


def _count(func: Any, args: Any) -> None:
    name = _name(func)
    if name in _WAITS:
        _counts.wait()
    if name in _TAKES_INDICES and any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1]):
        _counts.wait()  # how many there are is known on the GPU only
    _counts.launches += is_launch(func)


def is_launch(func: Any) -> bool:
    """Whether a device has something to do for it: not for what looks at memory in another way."""
    return not (func.is_view or func._schema.name.partition("::")[2] in _NO_KERNEL)


class PretendedGpu(TorchFunctionMode):
    """Within this block `cuda` means `OnGpu`; `counts` are those of the block."""

    def __enter__(self) -> "PretendedGpu":
        global _counts
        self.counts = _counts = Counts()
        self._generator = torch.Generator
        torch.Generator = lambda device=None: self._generator()  # type: ignore[misc,assignment]
        self._to, nn.Module.to = nn.Module.to, move_module  # type: ignore[method-assign]
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        torch.Generator, nn.Module.to = self._generator, self._to  # type: ignore[misc,method-assign]
        super().__exit__(*error)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.to:
            return _to(*args, **kwargs)
        if func is Tensor.cpu:
            return _to(args[0], _CPU)
        if func is Tensor.cuda:
            return _to(args[0], CUDA)
        if func in (Tensor.tolist, Tensor.numpy) and isinstance(args[0], OnGpu):
            self.counts.wait()
            return func(args[0].inner.detach(), *args[1:], **kwargs)
        asked = kwargs.get("device")
        if asked is None or torch.device(asked).type != "cuda" or not callable(func):
            return func(*args, **kwargs)
        kwargs["device"] = _CPU
        if any(isinstance(value, OnGpu) for value in tree_flatten(args)[0]):
            return func(*args, **kwargs)
        made = func(*args, **kwargs)
        self.counts.launches += func is not torch.empty
        self.counts.wait(func in (torch.tensor, torch.as_tensor))
        return OnGpu(made)


def _to(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    if args and isinstance(args[0], OnGpu):
        args = (CUDA, args[0].dtype, *args[1:])
    device, dtype, non_blocking, layout = torch._C._nn._parse_to(
        *args, **{k: v for k, v in kwargs.items() if k != "copy"}
    )
    options: dict[str, Any] = {"dtype": dtype or tensor.dtype, "copy": kwargs.get("copy", False)}
    if layout is not None:
        options["memory_format"] = layout
    is_there = isinstance(tensor, OnGpu)
    if device is None or (device.type == "cuda") == is_there:
        return Tensor.to(tensor, **options)
    _counts.wait(not non_blocking)
    _counts.copies += 1
    if is_there:
        return tensor.detach().inner.to(**options)
    _counts.launches += 1
    return OnGpu(tensor.detach().to(**options))


def move_module(network: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
    """`Module.to`, by new parameters in the old ones' places: torch swaps tensors of its own kinds only."""
    device, _, _, _ = torch._C._nn._parse_to(*args, **kwargs)
    for module in network.modules() if device is not None and device.type == "cuda" else ():
        for name, weight in module._parameters.items():
            if weight is not None:
                module._parameters[name] = nn.Parameter(weight.detach().to(CUDA), weight.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = buffer.to(CUDA)
    return network
