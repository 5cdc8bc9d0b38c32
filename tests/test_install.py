"""The wheel carries what an installed `nas-run` reads: YAML, tables, published architectures."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_a_wheel_runs_without_the_checkout(tmp_path: Path) -> None:
    built = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(built, check=True)
    (wheel,) = tmp_path.glob("nas_run-*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    # Before the checkout on the path, as an installed package would stand alone.
    code = f"import sys; sys.path.insert(0, {str(site)!r}); from nas_cli import app; app.run()"
    for arguments in (["--help"], ["--cfg", "job"], ["strategy=random", "strategy.evaluations=3"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stdout
    assert (site / "nas_cli" / "configs" / "search.yaml").exists()
    (result,) = tmp_path.glob("outputs/*/*/result.json")
    assert "nasbench201" in result.read_text()
