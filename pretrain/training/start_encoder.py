"""Starting from an encoder (--init): its backbone instead of random weights, its input instead of the recipe's.

Heads, queue, bank and clusters are new, and the EMA copy is made of the network as it then is. The backbone is the
encoder's, whatever network the recipe names, and its input is normalised as it is used to. How large the views are is
the recipe's affair: a recipe whose function takes `px` is made for the encoder's own size (see recipes.adapt).
"""

from dataclasses import replace

from ...hub.encoder import Encoder
from ...hub.errors import UsageError
from ...hub.preprocessing import Preprocessing
from ...hub.pretrained import from_pretrained
from ..options import Options
from ..recipe import Recipe
from ..views.operations import Normalize
from ..views.view import Operation, View

STAGE_CHANNELS = 64  # of a ResNet's first stage at width 1


def read_start(options: Options) -> Encoder | None:
    """The encoder that --init names; None without it.

    Raises:
        UsageError: --continue-from is given too, or the name has no meaning.
        ArtifactError: there is no such encoder, or it is damaged.
    """
    if options.init is None:
        return None
    if options.continue_from is not None:
        raise UsageError(
            f"--init {options.init} starts from an encoder and --continue-from {options.continue_from} from a whole "
            "training state; give one of them."
        )
    return from_pretrained(options.init)


def parent_of_start(encoder: Encoder) -> str:
    """Which encoder a run starts from, for config.json: its name and its weights' digest."""
    return f"{encoder.name} (weights {encoder.report_id().weights_sha256})"


def with_backbone_of(encoder: Encoder, recipe: Recipe) -> Recipe:
    """The recipe for a run that starts from `encoder`: its network, and views that are normalised as it expects them.

    Raises:
        UsageError: the method has two backbones, of other colours than RGB.
    """
    if recipe.branches == 2:
        raise UsageError(
            f"{recipe.name} trains one backbone on luma and one on chroma, and {encoder.name} takes RGB; "
            "choose another recipe for --init, e.g. simclr_adapt."
        )
    views = tuple(_normalised(view, encoder.preprocessing) for view in recipe.views)
    return replace(recipe, architecture=encoder.architecture, width=_width(encoder), views=views)


def preprocessing_of(recipe: Recipe, start: Encoder | None) -> Preprocessing:
    """Of the encoder that a run makes: at the recipe's size; a photo is cut and resized as for the encoder before."""
    if start is None:
        return recipe.preprocessing
    return replace(start.preprocessing, input_px=recipe.input_px)


def _normalised(view: View, preprocessing: Preprocessing) -> View:
    def fit(operation: Operation) -> Operation:
        if not isinstance(operation, Normalize):
            return operation
        return Normalize(mean=preprocessing.mean, std=preprocessing.std)

    return replace(view, program=tuple(map(fit, view.program)))


def _width(encoder: Encoder) -> float:
    """Of a ResNet with stages of other channels than usual; 1 of any other network."""
    channels = encoder.model_args.get("channels")
    return float(channels[0] / STAGE_CHANNELS) if channels else 1.0
