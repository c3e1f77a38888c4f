"""What is wrong with a command line, in a sentence; an option of another program is answered with ours."""

from collections.abc import Iterator

from cyclopts import CycloptsError, MissingArgumentError, UnknownOptionError

# By the name that other programs use: ours, the first that the command has, with a value where one makes it plainer.
_OURS = {
    "lr learning-rate base-lr base-learning-rate": ("--set optimizer.lr=0.03",),
    "wd weight-decay": ("--set optimizer.weight_decay=1e-4",),
    "momentum": ("--set optimizer.momentum=0.9",),
    "optimizer opt": ("--set optimizer.lr=0.03, for a rate; another optimiser takes a recipe of your own",),
    "a arch architecture model backbone": ("--encoder timm:resnet50.a1_in1k", "--set architecture=resnet50"),
    "temperature temp t moco-t": ("--set objective.temperature=0.2",),
    "queue-size moco-k k": ("--set memory.size=65536",),
    "moco-m ema momentum-encoder": ("--set slow.momentum=0.999",),
    "dim moco-dim feat-dim": ("--set dim=128",),
    "img-size image-size crop-size input-size size": ("--set views.0.crop.px=224",),
    "in-chans channels": ("photos are read as RGB, so a network takes 3 channels and there is no such option",),
    "b batch bs per-device-batch-size batch-size-per-gpu batch-size": ("--batch-size",),
    "e max-epochs num-epochs n-epochs epoch": ("--epochs",),
    "accum-iter accumulate-grad-batches grad-accum gradient-accumulation-steps": ("--accumulate",),
    "amp fp16 bf16 mixed-precision half": ("--precision",),
    "j num-workers n-workers worker": ("--workers",),
    "gpu gpus cuda": ("--device cuda",),
    "nproc-per-node nproc world-size dist-url multiprocessing-distributed ddp": (
        "--processes 8",
        "torchrun --nproc-per-node 8 -m goodviews.pretrain RECIPE ...",
    ),
    "data-dir data-path dataset train-dir train root input folder images photos": ("--data", "--images"),
    "o output output-dir out-dir save-dir log-dir save-path run-dir": ("--out",),
    "random-seed s": ("--seed",),
    "checkpoint pretrained weights ckpt load": ("--encoder", "--init", "--continue-from"),
    "resume-from resume-from-checkpoint": ("--resume",),
    "force f yes": ("--overwrite",),
    "save-freq save-interval checkpoint-every": ("--save-every",),
    "n top-k topk num neighbours neighbors": ("--k",),
    "cache-dir": ("--cache",),
    "cache": ("--keep", "--cache"),
    "format": ("--to", "--format"),
    "license": ("--licence",),
}


# A task's settings fix its number, and each task has its own.
_SETTINGS = "settings of a task are changed with --set NAME=VALUE, and `goodviews tasks TASK` lists them"
_IS_A_SETTING = "lr learning-rate base-lr wd weight-decay momentum epochs epoch e max-epochs k temperature"


def explain(error: CycloptsError) -> str:
    """One sentence, and where help is."""
    command = " ".join(("goodviews", *(error.command_chain or ())))
    sentence = " ".join(str(error).split())
    if isinstance(error, UnknownOptionError):
        ours = _counterpart(error, command)
        sentence = f"{command} has no option {_word(error)}; {ours}." if ours else sentence
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.argument.names[0]
        sentence = f"{command} needs {name if error.argument.index is None else name.lstrip('-').upper()}."
    return f"{sentence} See {command} --help."


def _counterpart(error: UnknownOptionError, command: str) -> str | None:
    name = _word(error).lstrip("-").replace("_", "-").lower()
    if command == "goodviews transfer" and name in _IS_A_SETTING.split():
        return _SETTINGS
    known = {option for argument in error.argument_collection if argument.parse for option in argument.names}
    for ours in _candidates(name):
        if not ours.startswith("--"):
            return ours
        if ours.split()[0].rstrip(",") in known:
            return f"give {ours}"
    return None


def _candidates(name: str) -> Iterator[str]:
    for theirs, ours in _OURS.items():
        if name in theirs.split():
            yield from ours


def _word(error: UnknownOptionError) -> str:
    return (error.token.keyword or error.token.value).split("=")[0]
