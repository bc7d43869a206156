"""The command line: names and options as fixed in the design, what they do in `Application`."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kajitori import __version__
from kajitori.cli.apiserver_options import apiserver_options, collected
from kajitori.cli.interface import DISABLEABLE, Application, CommandError, PartOptions, UpOptions

PARTS = ("apiserver", "controllers", "scheduler", "node")
HIDDEN_PARTS = ("simulator",)
"""Of use only to `up`, which knows how many nodes it is to simulate."""


def default_data_dir() -> Path:
    """`/var/lib/kajitori` for root, the XDG state folder for others; KAJITORI_DATA_DIR wins."""
    if configured := os.environ.get("KAJITORI_DATA_DIR"):
        return Path(configured)
    if os.geteuid() == 0:
        return Path("/var/lib/kajitori")
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "kajitori"


_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def _data_dir(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False, readable=False, resolve_path=True),
        default=default_data_dir,
        help="Where the cluster keeps everything. [default: /var/lib/kajitori for root]",
    )(function)


def _names(_: click.Context, parameter: click.Parameter, value: str) -> frozenset[str]:
    names = frozenset(name.strip() for name in value.split(",") if name.strip())
    if unknown := sorted(names - set(DISABLEABLE)):
        raise click.BadParameter(f"{', '.join(unknown)}: choose from {', '.join(DISABLEABLE)}", param=parameter)
    return names


def _absolute(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    return str(Path(value).absolute()) if value else value


class _Verbatim(click.Command):
    """Everything after our own leading options goes on as it was typed, `--` and `--help` included."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = 0
        if args and args[0] == "--data-dir":
            own = 2
        elif args and args[0].startswith("--data-dir="):
            own = 1
        return super().parse_args(ctx, [*args[:own], "--", *args[own:]])


def build_cli(application: Application) -> click.Group:
    """The commands, bound to what carries them out."""

    @click.group(context_settings={"help_option_names": ["-h", "--help"]})
    @click.version_option(__version__, prog_name="kajitori")
    def cli() -> None:
        """Kubernetes, whole, written in Python."""

    @cli.command()
    @_data_dir
    @click.option("--port", type=click.IntRange(1, 65535), default=6443, show_default=True, help="Of the API server.")
    @click.option(
        "--nodes",
        type=click.IntRange(0, 64),
        default=1,
        show_default=True,
        help="Real nodes on this machine; 0 for the control plane alone.",
    )
    @click.option(
        "--simulated-nodes",
        type=click.IntRange(0, 10_000),
        default=0,
        show_default=True,
        help="Nodes that run pods in name only, at once and by the thousand.",
    )
    @click.option("--store", default="sqlite", show_default=True, help="sqlite, memory or etcd://HOST:PORT,...")
    @click.option(
        "--disable", default="", callback=_names, metavar="PART,...", help=f"Leave out: {', '.join(DISABLEABLE)}."
    )
    @click.option("--http-port", type=click.IntRange(1, 65535), default=80, show_default=True, help="Of the Ingress.")
    @click.option("--https-port", type=click.IntRange(1, 65535), default=443, show_default=True, help="Of the Ingress.")
    @click.option(
        "--scheduler-config",
        callback=_absolute,
        metavar="FILE",
        help="KubeSchedulerConfiguration: one profile with its plugins. Remembered; an empty FILE forgets it.",
    )
    @click.option("--detach", is_flag=True, help="Return and leave the cluster running.")
    @click.option("--wait", is_flag=True, help="Report when every node is Ready and the system parts answer.")
    @apiserver_options
    def up(**options: Any) -> None:
        """Start a cluster on this machine: the control plane and its nodes."""
        application.up(UpOptions(**collected(options)))

    @cli.command()
    @_data_dir
    @click.option("--purge", is_flag=True, help="Also delete data, containers, images and network.")
    def down(data_dir: Path, purge: bool) -> None:
        """Stop everything that `up` started."""
        application.down(data_dir, purge)

    @cli.command()
    @_data_dir
    @click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
    def status(data_dir: Path, output: str) -> None:
        """What runs, where, since when, how healthy."""
        sys.exit(application.status(data_dir, output))

    @cli.command()
    @_data_dir
    def doctor(data_dir: Path) -> None:
        """What this host lacks, and the command that mends it."""
        sys.exit(application.doctor(data_dir))

    @cli.command(cls=_Verbatim)
    @_data_dir
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def kubectl(data_dir: Path, arguments: tuple[str, ...]) -> None:
        """The bundled kubectl with this cluster's kubeconfig."""
        application.kubectl(data_dir, arguments)

    @cli.group()
    def image() -> None:
        """Containers without a registry."""

    @image.command("build")
    @click.argument("definition", type=_FILE)
    @click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: a cache.")
    def image_build(definition: Path, output: Path | None) -> None:
        """Build an OCI archive from Debian packages and files, as DEFINITION (TOML) says; prints its path."""
        click.echo(application.image_build(definition, output))

    @image.command("load")
    @_data_dir
    @click.argument("archives", nargs=-1, required=True, type=_FILE)
    def image_load(data_dir: Path, archives: tuple[Path, ...]) -> None:
        """Load OCI or Docker archives into every node of the cluster."""
        application.image_load(data_dir, archives)

    for part in (*PARTS, *HIDDEN_PARTS):
        cli.add_command(_part_command(part, application))
    return cli


def _part_command(part: str, application: Application) -> click.Command:
    @click.command(part, help=f"Run the {part} alone.", hidden=part in HIDDEN_PARTS)
    @_data_dir
    @click.option("--kubeconfig", type=_FILE, help="The API server.")
    @click.option("--disable", default="", callback=_names, metavar="PART,...")
    @click.option("--node", default="", help="The node's name (of `node`).")
    def command(**options: Any) -> None:
        application.run_part(part, PartOptions(**collected(options)))

    if part == "apiserver":
        apiserver_options(command)
    if part in ("controllers", "scheduler"):
        name = "--config" if part == "scheduler" else "--scheduler-config"
        click.option(name, "scheduler_config", type=_FILE, help="KubeSchedulerConfiguration.")(command)
        click.option(
            "--leader-elect",
            type=click.BOOL,
            is_flag=False,
            flag_value="true",
            default=None,
            help="Act only while holding a lease. [default: true with --kubeconfig or an etcd store]",
        )(command)
    return command


def run(application: Application) -> int:
    """Exit code 0 done, 1 failed with one clear line on stderr, 2 usage."""
    try:
        build_cli(application).main(prog_name="kajitori", standalone_mode=False)
    except CommandError as error:
        click.echo(f"kajitori: {error}", err=True)
        return 1
    except click.UsageError as error:
        error.show()
        return 2
    except click.ClickException as error:
        error.show()
        return 1
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # Who read the output has seen enough; nothing may complain when Python flushes the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        click.echo(f"kajitori: {error.filename or 'the operating system'}: {error.strerror}", err=True)
        return 1
    except Exception as error:
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}"
        click.echo(f"kajitori: {what}: this is a bug in Kajitori; report it with the lines above", err=True)
        return 1
    return 0
