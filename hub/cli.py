"""The front door `goodviews`: the table of all commands. A command's component is imported when the command is called.

A command is an annotated function with a docstring; cyclopts makes the parser from it: parameters before `*` are
arguments, those after are options. Expected failures end in one sentence on standard error and exit status 1.
"""

import errno
import logging
import os
import sys
import time
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter
from rich.text import Text

from .errors import EndedTogether, GoodviewsError
from .lost_workers import lost_workers
from .options_of_others import explain
from .output.terminal import LogLines, Terminal, is_first_process
from .reports.provenance import version

COMMANDS = {
    "demo": (
        "goodviews.hub.demo.chain:demo",
        "Run the whole chain on bundled photos: minutes on two cores; ends in report.html.",
    ),
    "recipes": ("goodviews.pretrain.recipes.listing:recipes", "List the pretraining recipes, or show one."),
    "pretrain": ("goodviews.pretrain.commands:pretrain", "Pretrain an encoder on photos."),
    "views show": ("goodviews.pretrain.analysis.commands:show", "Draw what the network sees of a photo."),
    "views sweep": (
        "goodviews.pretrain.analysis.commands:sweep",
        "Try one property of views over its range: accuracy against shared information.",
    ),
    "views measure": (
        "goodviews.pretrain.analysis.commands:measure",
        "Say how much the views of a recipe share, and what each operation takes away.",
    ),
    "views learn": ("goodviews.pretrain.analysis.commands:learn", "Learn views: a generator of new channels."),
    "views tune": ("goodviews.pretrain.tuning.commands:tune", "Find the strengths of views for your own photos."),
    "tasks": ("goodviews.transfer.listing:tasks", "List the transfer tasks and their protocols, or show one."),
    "transfer": ("goodviews.transfer.commands:transfer", "Measure an encoder on a downstream task."),
    "detect": (
        "goodviews.transfer.detection.detect_command:detect",
        "Find objects in photos with a detector that was trained.",
    ),
    "classify": (
        "goodviews.transfer.classifiers.command:classify",
        "Say what photos show, with a classifier that was trained.",
    ),
    "compare": ("goodviews.transfer.commands:compare", "Put the reports of several encoders into tables and a plot."),
    "export": ("goodviews.export.onnx.commands:export", "Write an encoder as ONNX, compared with PyTorch."),
    "embed": ("goodviews.export.embedding.commands:embed", "Embed photos into a file of vectors."),
    "index build": (
        "goodviews.export.index.commands:index_build",
        "Embed a folder of images into a new index, or index vectors that are there.",
    ),
    "index add": ("goodviews.export.index.commands:index_add", "Add images to an index."),
    "index remove": ("goodviews.export.index.commands:index_remove", "Remove images from an index."),
    "index refresh": (
        "goodviews.export.index.commands:index_refresh",
        "Follow what was added, changed, renamed, moved and deleted in an index's folders.",
    ),
    "index info": ("goodviews.export.index.commands:index_info", "Say what an index holds and which encoder made it."),
    "index merge": ("goodviews.export.index.commands:index_merge", "Join indexes of one encoder into a new one."),
    "search": ("goodviews.export.search.commands:search", "Find the images nearest to a photo, or to several."),
    "duplicates": (
        "goodviews.export.search.commands:duplicates",
        "Find images of an index that are nearly the same.",
    ),
    "serve": ("goodviews.export.service.commands:serve", "Serve a page and an HTTP API that search indexes by photo."),
    "doctor": ("goodviews.hub.commands:doctor", "Say what is installed, which tasks can run, and how to fix the rest."),
    "hub info": ("goodviews.hub.commands:info", "Say what an encoder is and where it comes from."),
    "hub check": ("goodviews.hub.commands:check", "Verify that an encoder folder is whole and embeds as it did."),
    "hub list": (
        "goodviews.hub.catalogue.commands:list_",
        "List encoders that others published and that load by name.",
    ),
    "hub import": ("goodviews.hub.importers.commands:import_", "Make an encoder folder of somebody's checkpoint."),
    "hub convert": ("goodviews.hub.importers.commands:convert", "Write an encoder as a file that others read."),
    "hub halve": ("goodviews.hub.commands:halve", "Write an encoder with weights in half precision."),
    "hub push": ("goodviews.hub.remote.commands:push", "Publish an encoder folder in a Hub repository."),
    "hub pull": ("goodviews.hub.remote.commands:pull", "Copy an encoder from a Hub repository into a folder."),
    "hub serve": ("goodviews.hub.server.commands:serve", "Serve a private hub for a team's encoders."),
    "hub attach": ("goodviews.hub.commands:attach", "Add measured results to an encoder folder and its card."),
}
_LOOP = "Symlink loop from"  # so Python 3.11 and 3.12 begin, for which later ones have an OSError
FIRST_SPEAKS_S = 3.0  # what fails in all processes alike, the first says; torchrun ends the others meanwhile
_ANY_WIDTH = 100_000  # elsewhere than on a screen each option is one line
GROUPS = {
    "views": "What makes for good views.",
    "index": "A searchable index of images.",
    "hub": "Encoders and their folders.",
}


def main(argv: Sequence[str] | None = None) -> None:
    """The console script: run one command and exit with 0, 1 (a sentence says why), 2 (usage) or 130 (interrupted)."""
    _configure_logging()
    try:
        run(sys.argv[1:] if argv is None else argv)
    except EndedTogether:
        time.sleep(2 * FIRST_SPEAKS_S)  # until the process that failed has spoken; then torchrun ends all
        sys.exit(1)
    except GoodviewsError as error:
        _fail(str(error), status=1)
    except CycloptsError as error:
        _fail(explain(error), status=2)
    except KeyboardInterrupt:
        _fail("Stopped.", status=130)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            where = error.filename or "while writing"
            _fail(f"The disk is full ({where}); free space and run the command again.", status=1)
        if error.filename is None or error.strerror is None:
            raise
        why = "a file is where a folder must be" if isinstance(error, FileExistsError) else error.strerror
        _fail(f"{error.filename} cannot be used ({why}); check the path and who may use it.", status=1)
    except RuntimeError as error:
        if not str(error).startswith(_LOOP):
            raise
        _fail(f"{error}: this link leads to itself; give another path.", status=1)


def run(argv: Sequence[str]) -> None:
    """Run one command in this process, e.g. `run(["hub", "info", "runs/a/encoder"])`.

    Raises:
        GoodviewsError: the command could not do what it was asked.
        CycloptsError: the words are not a command.
    """
    words = _with_values(_as_today(argv))
    with lost_workers():
        _app(words)(words, exit_on_error=False, print_error=False, verbose=False, result_action="return_value")


def _as_today(argv: Sequence[str]) -> Sequence[str]:
    """`views RECIPE`, as it was before there were other commands on views, stands for `views show RECIPE`."""
    is_short = list(argv[:1]) == ["views"] and len(argv) > 1 and f"views {argv[1]}" not in COMMANDS
    return ["views", "show", *argv[1:]] if is_short and argv[1] not in ("--help", "-h", "--version") else argv


def _with_values(argv: Sequence[str]) -> list[str]:
    """An option that may stand alone or with one word gets a word: --resume becomes --resume=yes, unless auto follows.

    The parser would take any word that follows, the recipe too.
    """
    following = [*argv[1:], ""]
    return [f"{word}=yes" if word == "--resume" and after != "auto" else word for word, after in zip(argv, following)]


def _app(argv: Sequence[str]) -> App:
    """The parser. Help lists the commands in a line each; the help of the one in `argv` is its whole docstring."""
    defaults, console = Parameter(negative=(), consume_multiple=True, show_default=_shown_default), Terminal()
    if not console.is_terminal:
        console.width = _ANY_WIDTH
    app = App(
        name="goodviews",
        help="Pretrain ResNet encoders with good views, measure how they transfer, ship them.",
        version=version,
        default_parameter=defaults,
        console=console,
        help_formatter="default" if console.is_terminal else "plain",
        help_format="restructuredtext",
        suppress_keyboard_interrupt=False,  # it would end without a word; `main` has one
    )
    groups: dict[str, App] = {}
    for place, (words, (target, text)) in enumerate(COMMANDS.items()):  # listed in the order of the table
        group, _, name = words.rpartition(" ")
        if group and group not in groups:
            groups[group] = App(name=group, help=GROUPS[group], sort_key=place)
            app.command(groups[group])
        is_called = list(argv[: words.count(" ") + 1]) == words.split()
        parent = groups[group] if group else app
        parent.command(target, name=name, help=None if is_called else text, sort_key=place)
    return app


def _shown_default(value: object) -> str | None:
    """None, so that help leaves it out, where an option that is not given changes nothing."""
    return None if value in (None, (), "") or value is False else str(value)


def _configure_logging() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[LogLines()])
    logging.getLogger("goodviews").setLevel(logging.INFO)


def _fail(sentence: str, *, status: int) -> None:
    who = "error: "
    if not is_first_process():
        time.sleep(FIRST_SPEAKS_S)
        who = f"error in process {os.environ['RANK']}: "
    console = Terminal(stderr=True, highlight=False, quiet=False)
    console.print(Text.assemble((who, "bold red"), sentence))
    if os.environ.get("WORLD_SIZE", "1") != "1":  # Python's usual end waits for the connections to the other processes
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
