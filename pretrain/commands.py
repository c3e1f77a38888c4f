"""The commands of pretraining: `goodviews pretrain`, `recipes` and `views`. Nothing else in this component prints."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console

from ..hub.machine import cores

if TYPE_CHECKING:
    from .recipe import Recipe
    from .training.monitor import Progress


def pretrain(
    recipe: str,
    *,
    data: str,
    out: Path,
    epochs: int | None = None,
    batch_size: int | None = None,
    scale_lr: bool = False,
    set: Sequence[str] = (),
    workers: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    seed: int = 0,
    save_every: int | None = None,
    knn_every: int | None = None,
    keep: Literal["no", "memory", "disk", "gpu"] = "no",
    keep_px: int | None = None,
    tensorboard: bool = False,
    accumulate: int = 1,
    compile: bool = False,
    continue_from: Path | None = None,
    keep_training: bool = False,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Pretrain an encoder on photos.

    Example: goodviews pretrain infomin_200 --data photos --out runs/infomin

    Several processes: torchrun --nproc-per-node 8 -m goodviews.pretrain RECIPE --data DIR --out RUN

    Args:
        recipe: Name from `goodviews recipes`, or FILE.py:FUNCTION for one of your own.
        data: Folder of images (if it has train/ and val/, train/ is used), .txt or .csv list of files, tar shards
            (FOLDER, FILE or "train-{000..146}.tar"), or hf:NAME[:SPLIT] of Hugging Face datasets.
        out: The RUN folder to make; the encoder goes to RUN/encoder.
        epochs: Passes over the data; by default the recipe's.
        batch_size: Images in a step over all processes; by default the recipe's. The learning rate stays as it is.
        scale_lr: Change the learning rate in proportion to the batch.
        set: Change a field of the recipe, e.g. optimizer.lr=0.06; may be repeated.
        workers: Processes that load images; by default one for each core, at most 16.
        device: What trains; auto is the GPU if there is one.
        precision: Arithmetic of the networks; auto is bf16 where the hardware multiplies it, else fp32.
        seed: Random seed of the initial weights, the order of the images and everything drawn.
        save_every: Steps between checkpoints, 1 or more; by default about ten minutes.
        knn_every: Epochs between online kNN scores of a labelled folder, 0 for none; by default ten scores in a run.
        keep: Decode every photo once and keep it: in memory (of each process), on disk (for later runs too, in
            $GOODVIEWS_CACHE or ~/.cache/goodviews) or on the GPU, which then makes the crops too. For data that fits.
        keep_px: Reduce kept photos whose shorter side is longer than this many pixels; by default they stay whole.
        tensorboard: Write the metrics for TensorBoard too: tensorboard --logdir RUN.
        accumulate: Parts in which a batch goes through the network, for less memory. Weights and queue change once a
            step; batch norm, and what an objective compares within a batch, sees one part only.
        compile: Let torch.compile make the backbone faster; the first step then takes minutes.
        continue_from: Encoder folder with training/ in it to start from, instead of from random weights: a new run,
            with a schedule of its own, for more epochs or other data. Give another --seed to see new views.
        keep_training: At the end, put the whole state into RUN/encoder/training, so that others can continue from it.
        resume: Continue the run in RUN from its last checkpoint.
        overwrite: Replace the run in RUN.
    """
    from .recipe import in_proportion
    from .recipes.registry import choose
    from .training.loop import pretrain as train

    changes = [*set]
    changes += [f"epochs={epochs}"] if epochs is not None else []
    changes += [f"batch_size={batch_size}"] if batch_size is not None else []
    resolved, published = choose(recipe, changes), choose(recipe)
    resolved = in_proportion(resolved, published) if scale_lr else resolved
    is_first = os.environ.get("RANK", "0") == "0"
    console = Console(quiet=not is_first)
    for field, value in vars(resolved).items():
        console.print(f"{field:>13}  {value}", highlight=False, markup=False, soft_wrap=True)
    console.print(_about_learning_rate(resolved, published))
    with _ProgressBar(console) as bar:
        encoder = train(
            resolved,
            data,
            out,
            seed=seed,
            workers=min(cores(), 16) if workers is None else workers,
            device=device,
            precision=precision,
            resume=resume,
            overwrite=overwrite,
            save_every=save_every,
            knn_every=knn_every,
            keep=keep,
            keep_px=keep_px,
            tensorboard=tensorboard,
            accumulate=accumulate,
            compile=compile,
            continue_from=continue_from,
            keep_training=keep_training,
            observe=bar.show,
        )
    console.print(f"Encoder: {encoder}\nMetrics: {out / 'metrics.jsonl'}\nRecipe:  {out / 'recipe.json'}", markup=False)
    if (out / "skipped.txt").exists():
        count = len((out / "skipped.txt").read_text().splitlines())
        console.print(f"Images that could not be read: {count}, see {out / 'skipped.txt'}", markup=False)


def recipes() -> None:
    """List the pretraining recipes: network, views, epochs, batch and learning rate of each.

    Example: goodviews recipes
    """
    from rich.table import Table

    from .recipes.registry import RECIPES

    table = Table("recipe", "what it is", show_lines=True)
    table.columns[0].no_wrap = True
    for name in sorted(RECIPES):
        make = RECIPES[name]
        recipe = make()
        about = (make.__doc__ or "").splitlines()[0]
        sides = Counter(view.crop.px for view in recipe.views)
        views = " + ".join(f"{count}x{px}" for px, count in sides.items())
        epochs = "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs"
        budget = f"{epochs}, batch {recipe.batch_size}, lr {recipe.optimizer.lr:g}"
        table.add_row(name, f"{about}\n{recipe.architecture}, views {views} px, {budget}")
    Console().print(table)


def views(recipe: str, *, image: Path, out: Path, seed: int = 0, count: int = 4, overwrite: bool = False) -> None:
    """Draw what the network sees of a photo: several random draws of every view of a recipe, in one picture.

    Example: goodviews views infomin_200 --image photo.jpg --out views.png

    Args:
        recipe: Name from `goodviews recipes`, or FILE.py:FUNCTION for one of your own.
        image: The photo.
        out: The picture to write, .png or .jpg.
        seed: Random seed; another one draws other views.
        count: Draws of each view.
        overwrite: Replace OUT if it exists.
    """
    from ..hub.pictures import check_picture_name, write_picture
    from .recipes.registry import choose
    from .views.contact_sheet import draw

    check_picture_name(out, overwrite)
    write_picture(draw(choose(recipe).views, image, seed=seed, count=count), out, overwrite=overwrite)
    Console().print(f"Views: {out}", markup=False, soft_wrap=True)


def _about_learning_rate(resolved: "Recipe", published: "Recipe") -> str:
    """The learning rate is for one batch size; a changed batch is pointed out, and answered by scaling if asked for."""
    lr, batch = resolved.optimizer.lr, resolved.batch_size
    theirs, reference = published.optimizer.lr, published.batch_size
    linear = theirs * batch / reference
    if batch != reference and lr == linear:
        return f"Learning rate {lr:g} for a batch of {batch}: the recipe's {theirs:g} for {reference}, scaled."
    said = f"Learning rate {lr:g} for a batch of {batch}, not scaled."
    if batch != reference and lr == theirs:
        said += f" The recipe's is for {reference}; in proportion, {linear:g}: --scale-lr."
    return said


class _ProgressBar:
    """Steps done, images a second, the share of time spent waiting for images, and the time left."""

    def __init__(self, console: Console):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=console, disable=console.quiet or not console.is_terminal)
        self.task = self.bar.add_task("starting", total=None)

    def __enter__(self) -> "_ProgressBar":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def show(self, now: "Progress") -> None:
        text = f"loss {now.loss:.3f}  {now.images_per_s:.0f} img/s  wait {100 * now.data_wait:.0f} %"
        text += "" if now.knn_top1 is None else f"  knn {now.knn_top1:.1f} %"
        self.bar.update(self.task, description=text, completed=now.step, total=now.steps)
