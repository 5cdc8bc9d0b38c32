"""The process that makes the runs of one job: `nas-run` and `nas-evaluate` one after the other, torch imported once."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time

POLL_SECONDS = 0.5


def main() -> None:
    """`argv`: the parent's process id, and the command lines as JSON. Leaves with the code of the first that fails."""
    parent, commands = int(sys.argv[1]), json.loads(sys.argv[2])
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    from nas_cli import app

    programs = {"nas-run": app.run, "nas-evaluate": app.evaluate}
    for command in commands:
        sys.argv = list(command)
        programs[command[0]]()


def _end_with(parent: int) -> None:
    """Stop as Ctrl-C does, with the state saved, once the parent is gone: a killed `nas-table` leaves none behind."""
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
