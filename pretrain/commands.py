"""The command `goodviews pretrain`; `recipes` is in recipes/listing.py, `views` in analysis/. Nothing else prints."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..hub.errors import UsageError
from ..hub.machine import cores
from ..hub.output.terminal import Terminal, is_first_process, progress_bar
from ..hub.overrides import with_changes
from .options import USUAL, Options

if TYPE_CHECKING:
    from .recipe import Recipe
    from .training.monitor import Progress

MOST_WORKERS = 16


def pretrain(
    recipe: str,
    *,
    data: str,
    out: Path,
    epochs: int | None = None,
    batch_size: int | None = None,
    scale_lr: bool = False,
    set: Sequence[str] = (),
    options: Annotated[Options, Parameter(name="*")] = USUAL,
) -> None:
    """Pretrain an encoder on photos, as a recipe says.

    Example: goodviews pretrain infomin_200 --data photos --out runs/infomin

    From an encoder, on your own photos: goodviews pretrain simclr_adapt --init E --data photos --out runs/mine

    Several processes: torchrun --nproc-per-node 8 -m goodviews.pretrain RECIPE --data DIR --out RUN

    Args:
        recipe: Name from `goodviews recipes`, or FILE.py:FUNCTION for one of your own.
        data: Folder of images (if it has train/ and val/, train/ is used), .txt or .csv list of files, tar shards
            (FOLDER, FILE or "train-{000..146}.tar", on disk or at an address such as s3://bucket/folder), or
            hf:NAME[:SPLIT] of Hugging Face datasets.
        out: The RUN folder to make; the encoder goes to RUN/encoder.
        epochs: Passes over the data; by default the recipe's.
        batch_size: Images in a step over all processes; by default the recipe's. The learning rate stays as it is.
        scale_lr: Change the learning rate in proportion to the batch.
        set: Change a field of the recipe, e.g. optimizer.lr=0.06; may be repeated.
    """
    from ..hub.card_files import write_card
    from .recipe import in_proportion
    from .recipes.registry import choose
    from .recipes.summary import recipe_table
    from .training.loop import pretrain as train
    from .training.start_encoder import read_start, with_backbone_of

    changes = [*set]
    changes += [f"epochs={epochs}"] if epochs is not None else []
    changes += [f"batch_size={batch_size}"] if batch_size is not None else []
    _check_start(recipe, options, changes)
    start = read_start(options)
    published = choose(recipe, start_px=None if start is None else start.preprocessing.input_px)
    resolved = published if start is None else with_backbone_of(start, published)
    resolved = with_changes(resolved, changes, whole="recipe")
    resolved = in_proportion(resolved, published) if scale_lr else resolved
    console = Terminal(highlight=False)
    options = options if options.workers is not None else replace(options, workers=min(cores(), MOST_WORKERS))

    def announce() -> None:
        console.print(recipe_table(resolved))
        console.print(_about_learning_rate(resolved, published), markup=False)

    with _StepBar() as bar:
        encoder = train(resolved, data, out, options, observe=bar.show, start=start, announce=announce)
    if is_first_process():
        for folder in (encoder, encoder.with_name("encoder_chroma")):
            if folder.is_dir():
                write_card(folder)  # with the curves of the whole training
    console.print(f"Encoder: {encoder}\nMetrics: {out / 'metrics.jsonl'}\nRecipe:  {out / 'recipe.json'}", markup=False)
    if (out / "skipped.txt").exists():
        count = len((out / "skipped.txt").read_text("utf-8", "surrogateescape").splitlines())
        console.print(f"Images that could not be read: {count}, see {out / 'skipped.txt'}", markup=False)


def _check_start(recipe: str, options: Options, changes: Sequence[str]) -> None:
    """Refuses an adapting recipe without anything to adapt, and a change of the network that --init decides."""
    from .recipes.registry import needs_start

    if needs_start(recipe) and options.init is None and options.continue_from is None:
        raise UsageError(
            f"{recipe} goes on from an encoder that was trained already; give it with --init, "
            "e.g. --init goodviews:mini, --init timm:resnet50.a1_in1k or --init RUN/encoder."
        )
    network = [change for change in changes if change.partition("=")[0].strip() in ("architecture", "width")]
    if options.init is not None and network:
        raise UsageError(f"--set {network[0]}: the network is that of --init {options.init}; leave it out.")


def _about_learning_rate(resolved: "Recipe", published: "Recipe") -> str:
    """The learning rate is for one batch size; a changed batch is pointed out, and answered by scaling if asked for."""
    lr, batch = resolved.optimizer.lr, resolved.batch_size
    theirs, reference = published.optimizer.lr, published.batch_size
    linear = theirs * batch / reference
    if batch != reference and lr == linear:
        return f"Learning rate {lr:g} for a batch of {batch}: the recipe's {theirs:g} for {reference}, scaled."
    sentence = f"Learning rate {lr:g} for a batch of {batch}, not scaled."
    if batch != reference and lr == theirs:
        sentence += f" The recipe's is for {reference}; in proportion, {linear:g}: --scale-lr."
    return sentence


class _StepBar:
    """Steps done, images a second and the time left; it appears with the first figures, so never before an error."""

    def __init__(self) -> None:
        from rich.progress import TextColumn

        self.bar = progress_bar(TextColumn("{task.description}"))

    def __enter__(self) -> "_StepBar":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def show(self, now: "Progress") -> None:
        text = f"{now.images_per_s:.0f} img/s" + ("" if now.knn_top1 is None else f"  knn {now.knn_top1:.1f} %")
        if not self.bar.tasks:
            self.bar.add_task(text, total=now.steps)
            self.bar.start()
        self.bar.update(self.bar.tasks[0].id, description=text, completed=now.step)
