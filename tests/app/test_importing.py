# SPDX-License-Identifier: Apache-2.0
"""What the verbs import and robots understand and print."""

import pytest

from omni.myriad.app import importing
from omni.myriad.robots.catalogue import CATALOGUE
from tests.robots.sources import ARM


@pytest.fixture
def ended(capsys):
    """Run `import` and return its exit code and what it printed."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ending:
            importing.run_import(arguments)
        return ending.value.code, capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["a.urdf", "b.urdf"], "Give one robot: ./myriad import FILE|NAME"),
        (["panda", "colour=red"], "colour is no setting of import; it has: out, name, fixed_base"),
        (["panda", "fixed_base=maybe"], "fixed_base=maybe is invalid: it must be True or False or empty."),
        (["panda", "colliders=ball"], "colliders=ball is invalid: choose one of hull, decomposition, sdf."),
        (["panda", "without=mass"], "without=mass is invalid: it must be friction, damping"),
        (["panda", "keep=panda_hand"], "keep= makes another robot than the one that tasks find: say out=FOLDER, too."),
        (["pnada"], "did you mean panda?"),
        (["gone.urdf"], "There is no file gone.urdf."),
    ],
)
def test_what_cannot_be_imported_gets_one_line(ended, arguments, complaint):
    code, printed = ended(*arguments)
    assert code == 2 and complaint in printed.err and printed.err.count("\n") == 1


def test_help_lists_the_settings(ended):
    code, printed = ended("--help")
    assert code == 0
    for name in ("out", "fixed_base", "keep", "without", "packages", "colliders", "film"):
        assert f"  {name}=" in printed.out


def test_the_catalogue_is_listed_with_licences_sizes_and_what_is_there(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MYRIAD_CACHE", str(tmp_path))
    folder = importing.cached_folder("panda")
    folder.mkdir(parents=True)
    (folder / "robot.yaml").write_text("")
    assert importing.list_robots([]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, entry in CATALOGUE.items():
        (line,) = (line for line in lines if line.startswith(f"  {name} "))
        assert entry.licence in line and f"{entry.dofs} dof" in line and entry.package in line
        assert ("picture.png" in line) == (name == "panda")


def test_what_is_there_is_not_imported_again(ended, tmp_path, monkeypatch):
    monkeypatch.setenv("MYRIAD_CACHE", str(tmp_path))
    folder = importing.cached_folder("panda")
    folder.mkdir(parents=True)
    (folder / "robot.yaml").write_text("")
    code, printed = ended("panda")
    assert code == 0 and printed.out == f"panda is in {folder}; remove that folder to import it anew.\n"


def test_a_robot_is_imported_drawn_and_filmed(ended, tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "_FILM_SECONDS", 0.2)
    (tmp_path / "arm.usda").write_text(ARM)
    code, printed = ended(str(tmp_path / "arm.usda"), f"out={tmp_path / 'out'}")
    assert code == 0, printed.err
    assert {"robot.usda", "robot.xml", "robot.yaml", "picture.png", "sweep.mp4"} <= {
        file.name for file in (tmp_path / "out").iterdir()
    }
    assert "elbow" in printed.out and "kept as frames: tool" in printed.out and "tried in PhysX: held" in printed.out
