"""The commands `nas-run` and `nas-evaluate`: compose, check, run, and say what came of it."""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
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
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C, also outside of a search's steps
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
        if error.errno == errno.ENOSPC:
            _leave(f"{name}: no space left on the disk; what was written is kept, the run can be resumed", 1)
        if error.filename is None:
            raise
        _leave(f"{name}: {error.filename}: {error.strerror}", InputError.exit_code)


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
    given = _flags().parse_known_args(arguments)[0]
    config_dir = None if given.config_dir is None else Path(given.config_dir).resolve()
    require(config_dir is None or config_dir.is_dir(), f"--config-dir {given.config_dir}: no such folder")
    if given.help:
        from nas_cli.help import help_page

        print(help_page(primary, configuration.choices(config_dir)))
        return
    # Hydra prints errors over several lines and leaves with 1, unless it is told to let them through.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    from hydra._internal.utils import get_args_parser  # the only way to tell overrides from flags as Hydra does

    parsed = get_args_parser().parse_known_args(arguments)[0]
    inherited: list[str] = []
    if not (parsed.hydra_help or parsed.shell_completion):
        run_folder = _evaluated_run(parsed.overrides) if primary == "evaluate" else None
        if run_folder is not None:
            from nas_cli import run_config

            if config_dir is None and (config_dir := run_config.config_dir(run_folder)):
                arguments += ["--config-dir", str(config_dir)]
            inherited = run_config.overrides_from(run_folder, _by_key(parsed.overrides), config_dir)
        elif primary == "evaluate":
            inherited = _space_of(_by_key(parsed.overrides))
        configuration.check_overrides(primary, [*inherited, *parsed.overrides], config_dir)
        asked = [] if run_folder is None else configuration.values_of("rank", parsed.overrides)
        if run_folder is not None and (ranks := [rank for rank in asked if rank is not None]):
            from nas_cli.report.ranking import candidates

            candidates(run_folder, ranks)  # all of a sweep, before it begins
    sys.argv = [sys.argv[0], *configuration.as_composed(primary, _first(inherited, arguments, parsed.overrides))]
    _run_hydra(primary, config_dir)


def _flags() -> argparse.ArgumentParser:
    """The flags that concern us too; all others are Hydra's."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--config-dir", "-cd")
    return parser


def _run_hydra(primary: str, config_dir: Path | None) -> None:
    """Let Hydra read `sys.argv` and run the one job, or the many of a sweep."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    failures: list[NasError | OSError] = []

    def job(composed: Any) -> None:
        from nas_cli import session

        hydra_config = HydraConfig.get()
        sweep = hydra_config.mode == RunMode.MULTIRUN
        folder = Path(hydra_config.runtime.output_dir)
        try:
            session.start(configuration.plain(composed), folder, primary, config_dir, chatty=not sweep)
        except (NasError, OSError) as error:
            # Hydra announces an exception with lines of its own, which is of use only where there are many jobs.
            failures.append(error)
            if not sweep:
                _clear(folder)
            if sweep and isinstance(error, Interrupted):
                raise KeyboardInterrupt from None  # ends the whole sweep, as no Exception would
            if sweep:
                raise

    try:
        hydra.main(version_base="1.3", config_path=str(configuration.configs_folder()), config_name=primary)(job)()
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise InputError(configuration.one_line(error)) from None
    except KeyboardInterrupt:
        if not failures:
            raise
    if failures:
        raise failures[0]


def _clear(folder: Path) -> None:
    """Remove a folder where Hydra noted a command that no run came of, and what is empty then above it."""
    if folder.is_dir() and {each.name for each in folder.iterdir()} <= {".hydra"}:
        shutil.rmtree(folder / ".hydra", ignore_errors=True)
        with suppress(OSError):  # one that is not empty
            os.removedirs(os.path.relpath(folder))


def _by_key(overrides: Sequence[str]) -> dict[str, str]:
    return dict(override.split("=", 1) for override in overrides if "=" in override)


def _evaluated_run(overrides: Sequence[str]) -> Path | None:
    """The run folder that an evaluation is about, whose settings it takes over before the user's own."""
    given = _by_key(overrides)
    require(not {"run", "architecture"} <= given.keys(), "run= and architecture= name two things to evaluate; give one")
    if "run" not in given:
        return None
    path = Path(given["run"])
    require("," not in path.name or path.exists(), f"run={path}: runs cannot be swept; evaluate them one by one")
    return path


def _space_of(given: Mapping[str, str]) -> list[str]:
    """The space of the architecture to evaluate, unless the user names one."""
    name = given.get("architecture")
    if name is None or "space" in given or "," in name:  # names in a sweep are all of the default space
        return []
    from nas_cli import published

    return [f"space={published.find(name).space}"]


def _first(inherited: Sequence[str], arguments: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """The command line with the inherited overrides before the user's."""
    flags = list(arguments)
    for override in overrides:
        flags.remove(override)
    return [*flags, *inherited, *overrides]
