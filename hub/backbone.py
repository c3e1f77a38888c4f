"""The backbones: timm's networks without a classifier, and our own stems, which importing this module registers."""

from typing import Any

import timm
import torch
from timm.models import is_model_in_modules
from torch import nn

from . import cifar_stem, learned_stem, wide_stem
from .errors import ArtifactError, UsageError

# What a config.json may ask timm for. Everything else is refused: timm also takes paths of files that it then loads.
ARGUMENTS = frozenset(
    {
        *("aa_layer", "act_layer", "avg_down", "base_width", "block_args", "cardinality", "channels", "depths"),
        *("dims", "drop_path_rate", "drop_rate", "embed_dim", "global_pool", "img_size", "in_chans", "layers"),
        *("mlp_ratio", "no_embed_class", "norm_layer", "num_heads", "output_stride", "patch_size", "qkv_bias"),
        *("reg_tokens", "replace_stem_pool", "stem_channels", "stem_padding", "stem_type", "stem_width", "widths"),
        *("part", "coupling", "space", "flow_blocks", "flow_hidden"),  # of learned_stem
        "zero_init_last",
    }
)
LARGEST_ARGUMENT = 2**16  # more channels than any network has
LONGEST_STAGE = 500  # blocks; ResNet-152 has 36
MOST_PARAMETERS = 2 * 10**9
# What networks raise for arguments that they were not written for.
UNBUILDABLE = (TypeError, ValueError, LookupError, AttributeError, RuntimeError, AssertionError, ArithmeticError)
# How timm pools the last maps into features, as far as a folder may say it.
POOLS = frozenset({"avg", "max", "avgmax", "catavgmax", "fast", "token", "map", "avgmaxc", ""})
# The files of timm, and ours, with such networks.
_RESNETS = ["resnet", cifar_stem.MODULE, wide_stem.MODULE, learned_stem.MODULE]
_STAGE_CHANNELS = (64, 128, 256, 512)  # of the stages of every published ResNet


def build_backbone(
    architecture: str, *, width: float = 1.0, in_chans: int = 3, zero_init_last: bool = False
) -> nn.Module:
    """A timm network without classifier, randomly initialised from torch's global generator.

    The last batch norm of a ResNet's residual branches starts at one, as in torchvision and the published recipes;
    with `zero_init_last` at zero, timm's own default.

    Args:
        architecture: a timm name, or resnet18_cifar or resnet50_cifar with the stem for photos of 32 px.
        width: of the channels of a ResNet's stages; its stem keeps 64, for timm can make no other. Published "x2"
            networks have a wider stem too: resnet50_wide and its like, of `wide_stem`.
        in_chans: channels of the input.

    Raises:
        UsageError: timm does not know the name, or the network is no ResNet and was to be of another width.
    """
    if not timm.is_model(architecture):
        near = ", ".join(timm.list_models(f"*{architecture[:6]}*")[:5]) or "resnet18, resnet50"
        raise UsageError(f"timm has no model called {architecture}; perhaps one of {near}.")
    changed: dict[str, Any] = {} if in_chans == 3 else {"in_chans": in_chans}
    if width != 1:
        if not is_resnet(architecture):
            raise UsageError(f"{architecture} has one width only; ResNets such as resnet50 can be widened.")
        changed["channels"] = [int(width * channels) for channels in _STAGE_CHANNELS]
    still: dict[str, Any] = {"zero_init_last": zero_init_last} if is_resnet(architecture) else {}
    return _with_arguments(timm.create_model(architecture, num_classes=0, **changed, **still), changed)


def is_resnet(architecture: str) -> bool:
    """Whether a network is a ResNet of timm's file of that name, or of ours: those that the recipes are made for."""
    return is_model_in_modules(architecture, _RESNETS)


def features_of(backbone: Any) -> int:
    """How many features an image has in the end; timm's `num_features` may count those before a last layer."""
    return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)


def pool_of(backbone: Any) -> str | None:
    """How the network pools its last maps, by timm's word; None where it has none."""
    for owner in (backbone, getattr(backbone, "head", None)):
        pool = getattr(owner, "global_pool", None)
        name = pool if isinstance(pool, str) else getattr(pool, "pool_type", None)
        if name and name in POOLS:
            return str(name)
    return None


def takes_rgb(backbone: Any) -> bool:
    """Whether the input has three channels, as far as the arguments and the first convolution tell."""
    names = backbone.pretrained_cfg.get("first_conv") or ()
    first = names if isinstance(names, str) else next(iter(names), "")
    weight = dict(backbone.named_parameters()).get(f"{first}.weight")
    channels = 3 if weight is None or weight.ndim != 4 else weight.shape[1]  # 48 of 3 where 4 x 4 pixels are one
    return getattr(backbone, "model_args", {}).get("in_chans", 3) == 3 and channels % 3 == 0


def rebuild_backbone(architecture: str, model_args: dict[str, Any], *, global_pool: str | None = None) -> nn.Module:
    """The network that an encoder's `architecture` and `model_args` name, with weights that mean nothing yet.

    Args:
        global_pool: how it pools; None for the network's own way.

    Raises:
        ArtifactError: an argument is not allowed in a folder, or is no plain value of a sensible size.
    """
    return _rebuild(architecture, model_args, global_pool, may_be_empty=False)


def empty_backbone(architecture: str, model_args: dict[str, Any], *, global_pool: str | None = None) -> nn.Module:
    """As `rebuild_backbone`, for weights that `load_strictly` brings at once.

    A ResNet is on the meta device until then: drawing weights at random takes longer than reading them.
    """
    return _rebuild(architecture, model_args, global_pool, may_be_empty=True)


def _rebuild(
    architecture: str, model_args: dict[str, Any], global_pool: str | None, *, may_be_empty: bool
) -> nn.Module:
    _check_arguments(model_args)
    options = {"num_classes": 0, **model_args}
    is_plain = is_resnet(architecture)
    if is_plain:
        options = {"global_pool": global_pool or "avg", **options}
    may_be_empty = may_be_empty and is_plain
    try:
        if model_args or may_be_empty:
            backbone = _on_meta(architecture, options)
        if not (may_be_empty and _is_whole(backbone)):
            backbone = timm.create_model(architecture, **options)
        if not is_plain and global_pool not in (None, pool_of(backbone)):
            backbone = timm.create_model(architecture, global_pool=global_pool, **options)
    except UNBUILDABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArtifactError(
            "config.json has an architecture, a global_pool and model_args of which timm can build no network "
            f"({architecture}: {reason:.200})."
        ) from None
    return _with_arguments(backbone, model_args)


def _check_arguments(model_args: dict[str, Any]) -> None:
    if not isinstance(model_args, dict):
        raise ArtifactError(f"config.json has model_args {model_args!r:.80}; they must be an object.")
    for name, value in model_args.items():
        if name not in ARGUMENTS:
            raise ArtifactError(f"config.json passes {name!r} in model_args to timm, which a folder may not do.")
        if not _is_plain(value):
            raise ArtifactError(f"config.json has {value!r:.80} for {name}; plain numbers and words are allowed.")
        if name in ("layers", "depths") and isinstance(value, list) and max(value, default=0) > LONGEST_STAGE:
            raise ArtifactError(
                f"config.json has {value!r:.80} for {name}; a stage has at most {LONGEST_STAGE} blocks."
            )


def _on_meta(architecture: str, options: dict[str, Any]) -> Any:
    """The network without memory for its weights; a few numbers in a file must not ask for all there is."""
    with torch.device("meta"):
        backbone = timm.create_model(architecture, **options)
    count = sum(tensor.numel() for tensor in backbone.parameters())
    if count > MOST_PARAMETERS:
        raise ValueError(f"{count:,} parameters are more than {MOST_PARAMETERS:,}")
    return backbone


def _is_whole(backbone: Any) -> bool:
    """Whether weights are all that a network on the meta device lacks: it has no buffers that a file never holds."""
    named = {name for name, _ in (*backbone.named_parameters(), *backbone.named_buffers())}
    return named == set(backbone.state_dict())


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) < 100 and all(not isinstance(item, list) and _is_plain(item) for item in value)
    if isinstance(value, int | float):
        return 0 <= value <= LARGEST_ARGUMENT
    return value is None or (isinstance(value, str) and len(value) < 40 and value.replace("_", "").isalnum())


def _with_arguments(backbone: Any, model_args: dict[str, Any]) -> nn.Module:
    """The backbone, and on it what `Encoder.model_args` reads."""
    backbone.model_args = model_args
    assert isinstance(backbone, nn.Module)
    return backbone
