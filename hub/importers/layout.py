"""How a kind of checkpoint is laid out: where its tensors are, which are the encoder's, and which are left and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..preprocessing import Preprocessing

IMAGENET = Preprocessing()
IMAGENET_BICUBIC = Preprocessing(interpolation="bicubic")


@dataclass(frozen=True)
class Drop:
    """Tensors that are left behind on purpose."""

    pattern: str  # a regular expression, for the beginning of a name
    reason: str


@dataclass(frozen=True)
class Branch:
    """One encoder inside a checkpoint.

    Args:
        prefixes: what its tensors' names may begin with; the first that fits is cut off.
        folder: what is added to the name of its folder; "" for the first.
        colours: how RGB becomes the channels that it takes, one row a channel; None for RGB itself.
    """

    prefixes: tuple[str, ...]
    folder: str = ""
    colours: tuple[tuple[float, float, float], ...] | None = None


@dataclass(frozen=True)
class Layout:
    """A format, as `--format` names it.

    Args:
        name: of the format.
        title: for people: which programs write it.
        source: where the layout and the preprocessing were read.
        recognise: whether a file with tensors of these names, in this order, is one; names come without the prefixes of
            nn.DataParallel, DistributedDataParallel and torch.compile.
        containers: dotted paths to the tensors inside the file, the first that is there counts; "" is the file itself.
        branches: the encoders in it.
        rename: regular expressions and what takes their place, in this order, on names without the branch's prefix.
        drops: tensors that are left behind.
        preprocessing: what the encoder's photos went through.
        small_stem_padding: of a first convolution of 3 x 3 without pooling after it; None where the format has none.
        remark: what a reader of the report should know.
        refusal: why files of this format cannot be imported; "" for those that can.
    """

    name: str
    title: str
    source: str
    recognise: Callable[[Sequence[str]], bool]
    containers: tuple[str, ...] = ("state_dict",)
    branches: tuple[Branch, ...] = (Branch(("",)),)
    rename: tuple[tuple[str, str], ...] = ()
    drops: tuple[Drop, ...] = ()
    preprocessing: Preprocessing = IMAGENET
    small_stem_padding: int | None = None
    remark: str = ""
    refusal: str = ""


def has(*beginnings: str) -> Callable[[Sequence[str]], bool]:
    """A test that for each of the beginnings there is a name that begins so."""

    def recognise(names: Sequence[str]) -> bool:
        return all(any(name.startswith(beginning) for name in names) for beginning in beginnings)

    return recognise


def has_both(first: str, *others: str) -> Callable[[Sequence[str]], bool]:
    """A test that a name begins with `first`, and one with any of the others."""

    def recognise(names: Sequence[str]) -> bool:
        return any(name.startswith(first) for name in names) and any(name.startswith(others) for name in names)

    return recognise


def never(names: Sequence[str]) -> bool:
    """For formats that look like another: only whoever wrote the file can tell, by `--format`."""
    return False
