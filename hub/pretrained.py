"""from_pretrained: one name for an encoder, wherever it lives."""

import json
from pathlib import Path

import timm
import torch
import torchvision

from .artifact import load
from .catalogue.entries import is_entry
from .catalogue.open_entry import open_catalogue_entry
from .deep_pixels import split_values
from .encoder import Encoder
from .errors import ArtifactError, UsageError
from .importers.import_file import read_encoder
from .loading.bundled import load_bundled
from .loading.timm_weights import load_timm, load_timm_folder
from .loading.torchvision_weights import load_torchvision
from .loading.untrained import make_untrained

SOURCES = (
    "a folder written by goodviews (RUN/encoder), 'goodviews:mini', "
    "a Hub repository (owner/name or owner/name@revision), "
    "'torchvision:resnet50' (or 'torchvision:resnet50.IMAGENET1K_V1'), 'timm:resnet50.a1_in1k', "
    "a name of `goodviews hub list`, a checkpoint file that `goodviews hub import` reads, or 'random:resnet50-224px@0'"
)
LOADERS = {
    "goodviews": load_bundled,
    "torchvision": load_torchvision,
    "timm": load_timm,
    "random": make_untrained,
}


def from_pretrained(
    name: str | Path,
    *,
    revision: str | None = None,
    cache_dir: Path | str | None = None,
    local_files_only: bool = False,
    token: str | None = None,
    device: str | torch.device = "cpu",
    verify: bool = True,
) -> Encoder:
    """Load an encoder, in evaluation mode.

    Args:
        name: a folder; "goodviews:mini", which ships with the package; a Hub repository in timm's form,
            "owner/name", "owner/name@revision" or "hf-hub:owner/name"; "torchvision:ARCHITECTURE[.WEIGHTS]";
            "timm:ARCHITECTURE.TAG"; a name of the catalogue, which is downloaded and imported once; a checkpoint of
            another program, imported on the fly; or
            `random:ARCHITECTURE[-wWIDTH][-SIZEpx][@SEED]`, the untrained network that every result should be compared
            with; WIDTH as `build_backbone` takes it. Behind any of them "#values=LOW..HIGH" may declare which values
            of photos of more than 8 bits are black and white, see `deep_pixels`.
        revision: of a Hub repository: a branch, a tag or a commit; "main" where none is named.
        cache_dir: where files of the Hub or the catalogue are kept, instead of the usual places.
        local_files_only: take what is in the cache, and never the network (as with HF_HUB_OFFLINE=1).
        token: that opens a private or gated repository, instead of HF_TOKEN.
        device: where its weights go.
        verify: hash the weights of a folder and compare with what it records.

    Raises:
        ArtifactError: the folder is no encoder, or the weights cannot be fetched.
        UsageError: the name has no meaning.
    """
    text, values = split_values(name)
    place = Path(text).expanduser()
    scheme, _, rest = text.partition(":")
    cache = None if cache_dir is None else Path(cache_dir)
    if place.is_file():
        encoder = read_encoder(place)
    elif place.exists() or isinstance(name, Path):
        encoder = _load_folder(place, name=place.resolve().name, verify=verify)
    elif scheme in LOADERS and rest:
        encoder = LOADERS[scheme](rest)
    elif is_entry(text):
        encoder = load(open_catalogue_entry(text, cache_dir=cache, local_files_only=local_files_only), verify=verify)
    else:
        encoder = _from_hub(
            text, revision=revision, cache_dir=cache, local_files_only=local_files_only, token=token, verify=verify
        )
    encoder.declare_values(values)
    encoder.source = str(place.resolve()) if place.exists() else _with_revision(text, revision)
    return encoder.to(device)


def _with_revision(text: str, revision: str | None) -> str:
    """The name by which the same weights are found again."""
    return text if revision is None else f"{text.partition('@')[0]}@{revision}"


def _from_hub(
    text: str, *, revision: str | None, cache_dir: Path | None, local_files_only: bool, token: str | None, verify: bool
) -> Encoder:
    from .remote.names import parse_repository

    repository = parse_repository(text, revision=revision)
    if repository is None:
        raise _no_encoder(text)
    from .remote.fetch import fetch_encoder

    folder = fetch_encoder(repository, cache_dir=cache_dir, local_files_only=local_files_only, token=token)
    return _load_folder(folder, name=str(repository), verify=verify)


def _load_folder(folder: Path, *, name: str, verify: bool) -> Encoder:
    """Ours with everything that it says of itself; any other in timm's form by its network and weights."""
    return load_timm_folder(folder, name=name) if _is_timms(folder) else load(folder, verify=verify)


def _is_timms(folder: Path) -> bool:
    """Whether a folder's config.json is in timm's form and not ours."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False  # `load` says what is wrong
    return isinstance(config, dict) and "goodviews" not in config and "architecture" in config


def _no_encoder(text: str) -> ArtifactError | UsageError:
    """What a name that means nothing may have meant."""
    meant = [f"torchvision:{text}"] if text in torchvision.models.list_models() else []
    meant += [f"timm:{found}" for found in timm.list_pretrained(f"{text}.*")[:3]]
    meant += [f"random:{text}"] if timm.is_model(text) else []
    if meant:
        return UsageError(
            f"{text} is a network, and its weights can come from several places; give one of {', '.join(meant)}."
        )
    return ArtifactError(f"There is no encoder {text}: it is no folder here. Give {SOURCES}.")
