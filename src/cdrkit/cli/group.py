"""The command group ``cdrkit``: its list of commands and its error messages."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

import click

from cdrkit.cli.options import option_message
from cdrkit.cli.terminal import print_error
from cdrkit.errors import CdrError

__all__ = ["main"]

# The module and the variable of each command, in the order of the help. A command's module is imported when the
# command is called or its help is shown.
_COMMANDS: Final = {
    "ingest": "ingest:ingest_files",
    "detect": "ingest:detect_formats",
    "query": "query:query_calls",
    "export": "query:export_calls",
    "totals": "query:show_totals",
    "recording": "recording:copy_recording",
    "info": "info:show_info",
    "maintain": "maintenance:maintain",
    "move-to-warm": "maintenance:move_to_warm",
    "compact": "maintenance:compact",
    "vacuum": "maintenance:vacuum",
    "verify": "maintenance:verify",
    "rebuild-log": "maintenance:rebuild_log",
    "months": "archive:list_months",
    "download": "archive:download_month",
    "erase": "erasure:erase",
    "expire": "erasure:expire",
    "demo": "demo:demo",
}


class _LazyGroup(click.Group):
    """A command group that imports the module of a command only when needed.

    The module is needed to run the command and to show its help.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, variable = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(f"cdrkit.cli.{module}"), variable)
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cdrkit")
@click.option("--warm", metavar="URL", envvar="CDRKIT_WARM", help="The warm tier, if it is not in STORE.")
@click.pass_context
def cdrkit_group(context: click.Context, warm: str | None) -> None:
    """Store, query, show and export telephone call detail records."""
    context.obj = warm


def main() -> None:
    """Run the program ``cdrkit`` with the arguments of the command line.

    An error raised by cdrkit is printed as one line on standard error, and the exit status is 1.
    """
    try:
        status = cdrkit_group.main(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except CdrError as exc:
        print_error(option_message(exc))
        sys.exit(1)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:  # `cdrkit query … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
