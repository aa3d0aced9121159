# SPDX-License-Identifier: Apache-2.0
"""Isaac Lab as a peer: where its environment is looked for, and what goes into tables. It is not installed here."""

from pathlib import Path

import pytest

from omni.myriad.benchmark import isaaclab, report, results
from omni.myriad.benchmark.options import Options
from omni.myriad.benchmark.peers import PEERS
from omni.myriad.benchmark.timing import summary
from omni.myriad.errors import MyriadError


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(isaaclab.PLACE, str(tmp_path))
    return tmp_path


def lay(packages: Path, name: str, version: str, *requires: str) -> None:
    folder = packages / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {each}" for each in requires)]
    (folder / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")


def test_its_environment_or_folder_of_packages_is_found(place):
    assert str(PEERS["isaaclab"].absence("Ant")).endswith("./myriad python -m omni.myriad.benchmark.isaaclab")
    assert PEERS["isaaclab"].absence("Cartpole") == "stands beside Ant alone"
    lay(place, "isaaclab", "3.0.0")
    assert PEERS["isaaclab"].versions() == {"isaaclab": "3.0.0"}, "a folder of packages"
    lay(place / "lib/python3.12/site-packages", "isaaclab", "3.0.1")
    assert PEERS["isaaclab"].versions() == {"isaaclab": "3.0.1"}, "an environment"
    assert "ovphysx" not in isaaclab.backends()
    (isaaclab.packages() / "ovphysx").mkdir()
    assert list(isaaclab.backends()) == list(isaaclab.BACKENDS)


def test_what_must_not_be_installed_is_not(place, monkeypatch, tmp_path_factory):
    """Python 3.12 is played by a script that notes what pip was asked for, and lays out what Isaac Lab would bring."""
    said = place / "said"
    packages = place / "lib/python3.12/site-packages"
    lay(packages, "isaaclab", "3.0.0", "torch==2.11.0", "omniverseclient==2.74.0", 'isaacsim==6.2; extra == "isaacsim"')
    programs = tmp_path_factory.mktemp("bin")
    for script in (programs / "python3.12", place / "bin" / "python"):
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    isaaclab.install(place)
    assert said.read_text().splitlines() == [
        f"-m venv {place}",
        "-m pip install -q --no-deps isaaclab==3.0.0",
        "-m pip install -q torch==2.11.0",
    ]
    (programs / "python3.12").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(MyriadError, match="could not be made"):
        isaaclab.install(place)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MyriadError, match=r"needs Python 3\.12"):
        isaaclab.install(place)


def test_one_that_breaks_ends_in_one_line(place):
    """The folder holds nothing that the process could import."""
    lay(place, "isaaclab", "3.0.0")
    with pytest.raises(MyriadError, match=r"Isaac Lab with presets=newton_mjwarp ended with code 1\."):
        isaaclab.measure("cpu", 4, Options())


def test_it_stands_beside_ours_in_a_table(full):
    def measured(rate: float) -> dict:
        about = {"startup": 17.25, "reached": {"seconds_to_3000": 15.5}, "unit": "environment steps/s"}
        train = summary([rate / 2]) | {"memory": {"host_mib": 9, "gpu_mib": 1024}}
        return summary([rate]) | about | {"train": train}

    variants = {"Newton": measured(96_000.0), "Newton, warp frontend": measured(192_000.0)}
    found = measured(192_000.0) | {"variants": variants, "num_envs": 64, "disk_mib": 2048}
    results.add_peer(full, "isaaclab", found | {"versions": {"isaaclab": "3.0.0"}}, by_num_envs=True)
    table = next(table for table in report.tables([full]) if table.title == "And against Isaac Lab?")
    assert table.rows == [
        ("Myriad", "64", "96.0 k ±0%", "1.0 k ±10%", "4.0 s", "0.5 GiB", "3,000: 9.0, 5,900: never"),
        ("Isaac Lab, Newton", "64", "96.0 k ±0%", "48.0 k ±0%", "17.2 s", "1.0 GiB", "3,000: 15.5"),
        ("Isaac Lab, Newton, warp frontend", "64", "192.0 k ±0%", "96.0 k ±0%", "17.2 s", "1.0 GiB", "3,000: 15.5"),
    ]
    assert table.notes[0].startswith("Isaac Lab's environment takes 2.0 GiB")
    others = next(table for table in report.tables([full]) if table.title == "Against whom, in the same run?")
    rates = {row[:2]: row[3] for row in others.rows}
    assert rates["Isaac Lab", "Newton, warp frontend"] == "environment at 64: 0.50 times"
