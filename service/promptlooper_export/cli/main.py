"""The command `promptlooper-export`: a table of commands, loaded when called."""

import difflib
import errno
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from promptlooper_export import __version__
from promptlooper_export.cli.garbage import collect_rarely
from promptlooper_export.cli.terminal import (
    escape_what_does_not_fit,
    note,
    printable,
)
from promptlooper_export.errors import ExperimentNotFoundError, ExportError
from promptlooper_export.settings import SETTINGS

# As shells report it: 128 plus the number of the signal.
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM

# The summaries are repeated here so that --help and completion import no command.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("demo:demo", "Try everything on a throw-away database."),
    "open": ("open:open_", "Show the report of what any tool wrote, in the browser."),
    "serve": ("serve:serve", "Serve the exports over HTTP."),
    "migrate": ("migrate:migrate", "Prepare a place for grants and revoked tokens."),
    "import": (
        "importing:import_",
        "Write experiments from files into the database.",
    ),
    "list": ("experiments:list_", "List the experiments, newest first."),
    "show": ("show:show", "Show what came out of an experiment."),
    "gate": ("gate:gate", "Say by the exit code whether the winner is good enough."),
    "decide": (
        "decide:decide",
        "Elect the winner again from a report, offline.",
    ),
    "delete": ("experiments:delete", "Delete an experiment with all its runs."),
    "export": (
        "export:export",
        "Write one experiment in one format, or with --partition several as a table.",
    ),
    "verify": ("verify:verify", "Check that a file is what the service exports."),
    "diff": ("diff:diff", "Show how two configs differ."),
    "convert": (
        "convert:convert",
        "Write an export in another format, without a database.",
    ),
    "token": ("access:token", "Print a token for the HTTP service, or revoke one."),
    "grant": ("access:grant", "Grant an experiment to a user or a group."),
    "revoke": ("access:revoke", "Take back a grant."),
    "formats": ("formats:formats", "List the formats, or the options of one."),
    "doctor": ("doctor:doctor", "Check configuration, database and plugins."),
    "index": ("migrate:index", "Create the indexes that speed up exports."),
    "config": ("doctor:config", "Show the effective settings, secrets masked."),
}

ADVICE: Mapping[type[ExportError], str] = {
    ExperimentNotFoundError: "see: promptlooper-export list",
}
"""What to type next, for errors whose detail says only what is the matter."""

COMPLETION = (
    ("bash", 'eval "$(_PROMPTLOOPER_EXPORT_COMPLETE=bash_source promptlooper-export)"'),
    ("zsh", 'eval "$(_PROMPTLOOPER_EXPORT_COMPLETE=zsh_source promptlooper-export)"'),
    ("fish", "_PROMPTLOOPER_EXPORT_COMPLETE=fish_source promptlooper-export | source"),
)


class CommandTable(click.Group):
    """The commands of the table; an error is one line on stderr and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in table order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and return the command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(f"promptlooper_export.cli.{module}"), attribute)
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest the closest one."""
        close = difflib.get_close_matches(args[0], COMMANDS, n=1)
        if close and args[0] not in COMMANDS:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  click's signature
        """Run the command and turn errors and interrupts into exit codes."""
        try:
            return super().invoke(ctx)
        except ExportError as error:
            advice = ADVICE.get(type(error))
            detail = f"{error.detail}; {advice}" if advice else error.detail
            note(f"promptlooper-export: {printable(detail)}")
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # click exits quietly
            where = f"{error.filename}: " if error.filename else ""
            note(f"promptlooper-export: {printable(f'{where}{error.strerror}')}")
            ctx.exit(1)

    def format_commands(
        self,
        ctx: click.Context,
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the names and summaries of the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row[1]) for name, row in COMMANDS.items()])

    def format_epilog(
        self,
        ctx: click.Context,
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the settings and how to enable completion."""
        with formatter.section("Environment"):
            formatter.write_dl([(row.variable, row.help) for row in SETTINGS])
        with formatter.section("Shell completion: add to your shell's startup file"):
            for _, line in COMPLETION:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[CompletionItem]:
        """Complete the names of the table without importing a command."""
        names = [
            CompletionItem(name, help=row[1])
            for name, row in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="promptlooper-export")
def promptlooper_export() -> None:
    """Export the outcome of a PromptLooper experiment in any registered format."""


def _terminate(*_: object) -> NoReturn:
    sys.exit(TERMINATED)


def main() -> None:
    """Run the command line; TERM unwinds it, so no temporary file is left behind."""
    signal.signal(signal.SIGTERM, _terminate)
    escape_what_does_not_fit()
    collect_rarely()
    promptlooper_export(prog_name="promptlooper-export")
