"""The `losa` command: its groups, how old spellings are answered, and how errors are shown."""

import sys
import warnings

import typer

from losa.cli.data_commands import data_app
from losa.cli.export_commands import export
from losa.cli.run_commands import compare, demo, evaluate, fields, predict, test, train
from losa.cli.study_commands import bench_app, study_app
from losa.cli.sweep_commands import sweep_app
from losa.cli.world_commands import world_app
from losa.errors import LosaError, Note

# Spellings of version 0.1, and the words that replace them. They go in 0.3.
RENAMED = {"prepare": ("data", "prepare"), "check": ("data", "check"), "extract": ("data", "extract"),
           "playable": ("data", "playable"), "report": ("sweep", "report"), "sheet": ("world", "sheet"),
           "pretrain": ("world", "pretrain")}

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=(
    "Temporal action localization with long-short-range adapters beside a frozen backbone.\n\n"
    "First try: `losa demo`. Your own videos: `losa data check`, `losa data prepare`, `losa train`, `losa predict`."))
for command in (demo, train, test, predict, evaluate, export, compare, fields):
    app.command()(command)
for name, group in {"data": data_app, "sweep": sweep_app, "world": world_app, "bench": bench_app,
                    "study": study_app}.items():
    app.add_typer(group, name=name)


def main() -> None:
    """Run the command. Shows errors of losa and of files as one line, any other with its traceback."""
    shown = set()

    def show(message: Warning | str, *_, **__) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            print(f"{'note' if isinstance(message, Note) else 'warning'}: {message}", file=sys.stderr)

    warnings.showwarning = show
    try:
        app(translate(sys.argv[1:]))
    except (LosaError, OSError) as error:
        raise SystemExit(f"error: {error}") from None


def translate(words: list[str]) -> list[str]:
    """Return the words of a command in today's spelling. An old spelling is announced with the new one."""
    new = words
    first, rest = words[:1], words[1:]
    helped = {"--help"} & set(rest)
    if first == ["prepare"] and any(word.split("=")[0] == "--world" for word in rest):
        new = ["world", "render", *("--size" + word.removeprefix("--world") if word.split("=")[0] == "--world" else word
                                    for word in rest)]
    elif first and first[0] in RENAMED:
        new = [*RENAMED[first[0]], *rest]
    elif first == ["sweep"] and rest and rest[0] not in ("run", "report") and not helped:
        new = ["sweep", "run", *rest]
    elif first == ["predict"] and rest and not helped and not any(word.split("=")[0] == "--run" for word in rest):
        new = ["test", *rest]
    if new != words:
        spelt = [" ".join(["losa", *part[:2 if part[0] in ("data", "sweep", "world") else 1]]) for part in (words, new)]
        old = {"test": "losa predict RUN", "world": f"losa {words[0]} --world"}.get(new[0], f"losa {words[0]}")
        print(f"note: `{old}` is now `{spelt[1]}`; the old spelling works until losa 0.3", file=sys.stderr)
    return new


if __name__ == "__main__":
    main()
