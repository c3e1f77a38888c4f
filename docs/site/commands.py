"""The command reference, made from the commands when the site is built, so that it is never older than they are."""

import re
from collections.abc import Iterator

from cyclopts import Parameter
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from goodviews.hub import cli


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages into the navigation."""
    assert config.nav
    entry = next(item for item in config.nav if "Reference" in item)
    pages = [{f"goodviews {name}": f"commands/goodviews-{name}.md"} for name in _pages()]
    entry["Reference"].append({"Commands": ["commands/index.md", *pages]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Make a page for each command or group, and a list of all."""
    files.append(File.generated(config, "commands/index.md", content=_overview()))
    for name, commands in _pages().items():
        text = f"# goodviews {name}\n\n" + "\n".join(_command(words, grouped=words != name) for words in commands)
        files.append(File.generated(config, f"commands/goodviews-{name}.md", content=text))
    return files


def _pages() -> dict[str, list[str]]:
    pages: dict[str, list[str]] = {}
    for words in cli.COMMANDS:
        pages.setdefault(words.split()[0], []).append(words)
    return pages


def _overview() -> str:
    rows = [f"| [`goodviews {words}`]({_target(words)}) | {text} |" for words, (_, text) in cli.COMMANDS.items()]
    opening = (
        "Every command tells its options with `--help`. It exits with 0, with 1 and one sentence where it could not do "
        "what it was asked, with 2 where the command line is wrong, and with 130 where it was interrupted."
    )
    return "\n".join(["# Commands", "", opening, "", "| command | what it does |", "| --- | --- |", *rows, ""])


def _target(words: str) -> str:
    first, _, rest = words.partition(" ")
    page = f"goodviews-{first}.md"
    return f"{page}#goodviews-{first}-{rest}" if rest else page


def _command(words: str, *, grouped: bool) -> str:
    app = cli._app(words.split())
    for word in words.split():
        app = app[word]
    app.default_parameter = Parameter(negative=())
    text = app.generate_docs(usage_name=f"goodviews {words}")
    _, _, body = text.partition("\n")  # its own heading
    heading = f"## goodviews {words}\n" if grouped else ""
    return heading + "\n".join(_lines(body))


def _lines(text: str) -> Iterator[str]:
    """The generated text with examples as code and options as a list of definitions, each on one line."""
    before, heading, after = (
        re.split(r"(\*\*(?:Parameters|Arguments)\*\*:)", text, maxsplit=1) if "**:" in text else (text, "", "")
    )
    for line in before.splitlines():
        example = re.fullmatch(r"Example: (.*)", line)
        yield f"**Example**\n\n```console\n{example[1]}\n```" if example else line
    for part in re.split(r"(?=\*\*(?:Parameters|Arguments)\*\*:)", heading + after):
        title, *options = re.split(r"^\* (?=`)", part, flags=re.MULTILINE)
        yield title.strip().removesuffix(":") + "\n"
        for option in options:
            name, _, meaning = " ".join(option.split()).partition("`: ")
            yield f"{name}`\n:   {meaning}\n"
