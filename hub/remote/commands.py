"""The commands `hub push` and `hub pull`."""

from pathlib import Path


def push(
    encoder: Path,
    repo: str,
    /,
    *,
    private: bool = False,
    create_pr: bool = False,
    revision: str | None = None,
    dry_run: bool = False,
    message: str | None = None,
    licence: str | None = None,
) -> None:
    """Publish an encoder folder in a Hub repository, in one commit.

    The Hub is huggingface.co, or the address in HF_ENDPOINT, e.g. of `goodviews hub serve`; HF_TOKEN opens it.

    Example: goodviews hub push runs/mine/encoder owner/my-encoder --dry-run

    Args:
        encoder: Encoder folder to publish.
        repo: OWNER/NAME of the repository; made where it is missing.
        private: Make a new repository private (default: public).
        create_pr: Leave the change as a pull request (default: commit to the branch).
        revision: Branch to commit to (default: main).
        dry_run: Show the files, their sizes and the card, and send nothing.
        message: Message of the commit (default: the encoder's name).
        licence: Licence of the weights, e.g. cc-by-nc-4.0 (default: the one in its config.json).
    """
    from ..output.terminal import Terminal
    from .names import require_repository
    from .publish import push as publish
    from .publish import sizes

    console = Terminal(soft_wrap=True, highlight=False)
    done = publish(
        encoder,
        require_repository(repo, revision=revision),
        private=private,
        create_pr=create_pr,
        dry_run=dry_run,
        message=message,
        licence=licence,
    )
    for name, size in sizes(done.files):
        console.print(f"{size:>14}  {name}", markup=False)
    for name in done.removed:
        console.print(f"{'removed':>14}  {name}", markup=False)
    if done.address is None:
        console.print(f"\nNothing was sent to {done.repository}. The card:\n")
        console.print(done.card, markup=False)
    else:
        console.print(f"Published: {done.address}", markup=False)


def pull(repo: str, /, *, out: Path, revision: str | None = None, overwrite: bool = False) -> None:
    """Copy an encoder with its card and reports from a Hub repository into a folder.

    Example: goodviews hub pull owner/name --out encoder

    Args:
        repo: OWNER/NAME or OWNER/NAME@REVISION.
        out: Encoder folder to make.
        revision: Branch, tag or commit (default: main).
        overwrite: Replace OUT if it is there.
    """
    from ..output.terminal import Terminal
    from .names import require_repository
    from .pull import pull as copy

    folder = copy(require_repository(repo, revision=revision), out, overwrite=overwrite)
    Terminal(soft_wrap=True, highlight=False).print(f"Encoder: {folder}", markup=False)
