"""The commands `nas-run` and `nas-evaluate`: compose, check, run, and say what came of it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from nas_cli import config as configuration
from nas_cli.errors import InputError, Interrupted, NasError, require


def run() -> None:
    """`nas-run`."""
    _guarded("nas-run", lambda: _command("search", sys.argv[1:]))


def evaluate() -> None:
    """`nas-evaluate`."""
    _guarded("nas-evaluate", lambda: _command("evaluate", sys.argv[1:]))


def _guarded(name: str, command: Callable[[], None]) -> None:
    """Run a command; tell a failure in one line and leave with its exit code."""
    try:
        command()
    except NasError as error:
        _leave(f"{name}: {configuration.one_line(error)}", error.exit_code)
    except KeyboardInterrupt:
        _leave(f"{name}: interrupted", Interrupted.exit_code)
    except BrokenPipeError:
        # The reader of our output has gone (`nas-run --help | head`); there is no one left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _leave(f"{name}: no space left on the disk; what was written is kept, the run can be resumed", 1)


def _leave(message: str, exit_code: int) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(exit_code)


def _command(primary: str, arguments: Sequence[str]) -> None:
    resumed = [argument for argument in arguments if argument.startswith("resume=")]
    if resumed:
        require(
            len(arguments) == 1,
            f"{resumed[0]}: a run goes on with its own configuration; nothing else can be given beside it",
        )
        _resume(primary, Path(resumed[0].removeprefix("resume=")))
    else:
        _start(primary, list(arguments))


def _resume(primary: str, folder: Path) -> None:
    from nas_cli import session

    session.resume(folder, primary)


def _start(primary: str, arguments: list[str]) -> None:
    """Check the command line ourselves, then hand it to Hydra as it is."""
    # Hydra prints errors over several lines and leaves with 1, unless it is told to let them through.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    import hydra
    from hydra._internal.utils import get_args_parser
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf.errors import OmegaConfBaseException

    parsed, _ = get_args_parser().parse_known_args(arguments)
    config_dir = Path(parsed.config_dir).resolve() if parsed.config_dir else None
    require(config_dir is None or config_dir.is_dir(), f"--config-dir {config_dir}: no such folder")
    only_tells = parsed.hydra_help or parsed.shell_completion or "--version" in arguments
    inherited: list[str] = []
    if not only_tells:
        configuration.check_overrides(primary, parsed.overrides, config_dir)
        if primary == "evaluate" and not parsed.help:
            inherited = _inherited(parsed.overrides)
    failures: list[NasError] = []

    def job(composed: Any) -> None:
        from nas_cli import session

        hydra_config = HydraConfig.get()
        sweep = hydra_config.mode == RunMode.MULTIRUN
        try:
            session.start(
                configuration.plain(composed),
                Path(hydra_config.runtime.output_dir),
                primary,
                config_dir,
                chatty=not sweep,
            )
        except Interrupted as error:
            failures.append(error)
            if sweep:
                raise KeyboardInterrupt from None  # ends the whole sweep, as no Exception would
        except NasError as error:
            # Hydra announces an exception with lines of its own, which is of use only where there are many jobs.
            if sweep:
                raise
            failures.append(error)

    sys.argv = [sys.argv[0], *_first(inherited, arguments, parsed.overrides)]
    try:
        hydra.main(version_base="1.3", config_path=str(configuration.configs_folder()), config_name=primary)(job)()
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(configuration.one_line(error)) from None
    except KeyboardInterrupt:
        if not failures:
            raise
    if failures:
        raise failures[0]


def _inherited(overrides: Sequence[str]) -> list[str]:
    """What an evaluation of a run folder takes over from it, as overrides that the user's own then beat."""
    from nas_cli import run_config

    given = dict(override.split("=", 1) for override in overrides if "=" in override)
    require(
        ("run" in given) != ("architecture" in given),
        "nas-evaluate: name one thing to evaluate, run=RUN_DIR or architecture=NAME_OR_FILE",
    )
    return run_config.overrides_from(Path(given["run"]), chosen=set(given)) if "run" in given else []


def _first(inherited: Sequence[str], arguments: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """The command line with the inherited overrides before the user's."""
    flags = list(arguments)
    for override in overrides:
        flags.remove(override)
    return [*flags, *inherited, *overrides]
