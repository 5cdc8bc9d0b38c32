"""`python -m nas_cli` is `nas-run`."""

from nas_cli.app import run

if __name__ == "__main__":
    run()
