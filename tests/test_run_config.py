"""The configuration that a run folder keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_cli import run_config
from nas_cli.config import compose
from nas_cli.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = str(tmp_path / 'daten "ü"')
    config = compose("search", ["+experiment=darts/cifar10_first_order", "space.cells=5"])
    config["dataset"]["root"] = root
    config["dataset"]["augmentation"]["cutout"] = 3
    run_config.write(tmp_path, {"command": "search", **config, "config_dir": None})
    return tmp_path


def test_written_and_read_it_is_the_same(folder: Path) -> None:
    config = run_config.read(folder)
    run_config.write(folder, config)
    assert run_config.read(folder) == config
    assert config["command"] == "search"
    assert config["space"]["cells"] == 5
    assert config["strategy"]["optimizer"]["betas"] == [0.5, 0.999]
    assert config["hardware"]["threads"] == 1


def test_the_folder_of_own_groups(folder: Path) -> None:
    assert run_config.config_dir(folder) is None
    run_config.write(folder, {**run_config.read(folder), "config_dir": "/somewhere"})
    assert run_config.config_dir(folder) == Path("/somewhere")


def test_an_evaluation_takes_space_data_and_evaluation_over(folder: Path) -> None:
    inherited = run_config.overrides_from(folder, {"run": str(folder)}, None)
    composed = compose("evaluate", inherited)
    kept = run_config.read(folder)
    for group in ("space", "dataset", "evaluation"):
        assert composed[group] == kept[group]
        assert composed["names"][group] == kept["names"][group]


@pytest.mark.parametrize("group", ["space", "dataset", "evaluation"])
def test_what_the_user_chose_is_not_taken_over(folder: Path, group: str) -> None:
    choice = {"space": "darts", "dataset": "digits", "evaluation": "small"}[group]
    inherited = run_config.overrides_from(folder, {group: choice}, None)
    assert not [override for override in inherited if override.startswith((f"{group}=", f"{group}."))]
    assert len({override.split("=")[0].split(".")[0] for override in inherited}) == 2


def test_an_evaluation_that_brings_its_own_data_set_replaces_the_run_s(folder: Path) -> None:
    inherited = run_config.overrides_from(folder, {"evaluation": "cifar10"}, None)
    assert {override.split("=")[0].split(".")[0] for override in inherited} == {"space"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "damaged, cannot be read as a configuration"),
        ("- 1\n- 2\n", "not the configuration of a run"),
        ("", "not the configuration of a run"),
        ("seed: 3\n", "not the configuration of a run"),
        ("names: darts\n", "not the configuration of a run"),
        ("\x00\x01", "damaged"),
    ],
)
def test_a_damaged_file_is_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        run_config.read(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "config.yaml"))
    assert "\n" not in str(caught.value)


def test_a_folder_without_one_is_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a run folder, it has no config\.yaml"):
        run_config.read(tmp_path)


def test_reading_runs_no_code(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    text = f"names: {{}}\nbad: !!python/object/apply:os.system ['touch {marker}']\n"
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(InputError):
        run_config.read(tmp_path)
    assert not marker.exists()
