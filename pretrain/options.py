"""How a run is carried out: one frozen value from the command line to the training loop. No import costs anything here.

What is learned is the recipe's affair. Of the options `seed`, `precision`, `accumulate`, `compile`, `init`,
`continue_from`, `keep`, `keep_px`, `values` and `exact_decode` can change it too; a run is resumed with the same ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Keep = Literal["no", "memory", "disk", "gpu"]
Log = Literal["tensorboard", "wandb", "mlflow"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a run; `goodviews pretrain` has one of the same name for each.

    Args:
        workers: Processes that load images, 0 for none beside the command's own; by default one for each core, at most
            16, and 0 of a call from Python.
        device: What computes: auto is the GPU if there is one; else cpu or cuda.
        precision: Arithmetic of the networks; auto is bf16 where the hardware multiplies it, else fp32.
        seed: Random seed of the initial weights, the order of the images and everything drawn.
        save_every: Steps between checkpoints, 1 or more; by default about ten minutes.
        knn_every: Epochs between online kNN scores of a labelled folder, 0 for none; by default ten scores in a run.
        keep: Decode every photo once and keep it: in memory (once a machine), on disk (for later runs too, in
            $GOODVIEWS_CACHE or ~/.cache/goodviews) or on each GPU, which then makes the crops too. For data that fits.
        keep_px: Reduce kept photos whose shorter side is longer than this many pixels; by default they stay whole.
        values: Of photos of more than 8 bits (X-rays, 16-bit and floating-point TIFF), LOW..HIGH: the values of black
            and of white, e.g. 0..4095; the encoder remembers it. By default only full 16 bits and 0 to 1 are read.
        exact_decode: Decode JPEG files whole, always; by default at 1/2, 1/4 or 1/8 of their size where every crop is
            reduced by twice as much or more, which is faster and slightly changes crops.
        tensorboard: Write the metrics for TensorBoard too: tensorboard --logdir RUN. The same as --log tensorboard.
        log: Show the metrics elsewhere too: tensorboard, wandb (project goodviews or $WANDB_PROJECT) or mlflow
            (experiment goodviews or $MLFLOW_EXPERIMENT_NAME); may be repeated. Each is an extra of that name, but for
            TensorBoard's, log.
        profile: Steps to record, after five others, in a trace of where the time goes: RUN/profile, for
            ui.perfetto.dev. By default none.
        accumulate: Parts in which a batch goes through the network, for less memory. Weights and queue change once a
            step; batch norm, and what an objective compares within a batch, sees one part only.
        compile: Let torch.compile make the steps faster; the first one then takes minutes. It needs a C++ compiler.
            Made for GPUs: on a CPU it gained nothing.
        deterministic: On a GPU, take only algorithms that repeat themselves bit for bit, so that a resumed run equals
            an unbroken one there too; slower. A CPU repeats itself without it.
        init: Encoder to start from, instead of from random weights: any that `goodviews hub info` knows, e.g.
            timm:resnet50.a1_in1k, moco-v2-800 or a folder. The backbone is the encoder's, heads and memories are new;
            made for the *_adapt recipes. To take over heads and memories too, --continue-from.
        continue_from: Encoder folder with training/ in it to start from, instead of from random weights: a new run,
            with a schedule of its own, for more epochs or other data. Give another --seed to see new views. For an
            encoder without training/, --init.
        keep_training: At the end, put the whole state into RUN/encoder/training, so that others can continue from it.
        snapshot_every: Epochs between encoders that stay in RUN/snapshots, 1 or more; by default none stays.
        licence: Licence of the weights for the card, e.g. apache-2.0 or cc-by-4.0; by default none is named.
        record_paths: Write absolute paths into recipe.json, of the data and in the command; by default of each only the
            last part, since runs are published.
        resume: Continue the run in RUN from its last checkpoint, also for more --epochs than it was started with.
            --resume auto starts a run where there is none yet: one line for a job that may be stopped at any time.
        overwrite: Replace the run in RUN.
    """

    workers: int | None = None
    device: Device = "auto"
    precision: Precision = "auto"
    seed: int = 0
    save_every: int | None = None
    knn_every: int | None = None
    keep: Keep = "no"
    keep_px: int | None = None
    values: str | None = None
    exact_decode: bool = False
    tensorboard: bool = False
    log: Sequence[Log] = ()
    profile: int | None = None
    accumulate: int = 1
    compile: bool = False
    deterministic: bool = False
    init: str | None = None
    continue_from: Path | None = None
    keep_training: bool = False
    snapshot_every: int | None = None
    licence: str | None = None
    record_paths: bool = False
    resume: bool | Literal["auto"] = False
    overwrite: bool = False

    @property
    def boards(self) -> Sequence[Log]:
        """Where the metrics are shown."""
        return ("tensorboard", *self.log) if self.tensorboard else self.log

    @property
    def loader_processes(self) -> int:
        """`workers`, 0 where nothing is said."""
        return self.workers or 0


USUAL = Options()
