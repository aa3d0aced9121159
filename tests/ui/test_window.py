# SPDX-License-Identifier: Apache-2.0
"""The layer that only runs in Kit: its calls are read and compared with what was recorded of Kit."""

import ast
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from omni.myriad.ui import model as model_module
from omni.myriad.ui.model import Model
from tests.ui.kit_signatures import ATTRIBUTES, CALLS, METHODS
from tests.ui.test_model import Loop, wait

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10, where pytest brings this one
    import tomli as tomllib  # type: ignore[no-redef]

ROOT = Path(__file__).resolve().parents[2]
LAYER = [ROOT / "omni/myriad/ui" / name for name in ("window.py", "extension.py", "checklist.py")]
OURS = ("self._model.", "self._drive.", "self._window.refresh", "self._window.show", "model.", "settings.")


def kit_names(tree: ast.Module) -> set[str]:
    """Return the names that a file imports from Kit."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith(("omni.kit", "omni.ui", "carb")):
            names |= {alias.asname or alias.name for alias in node.names}
    known = {"ui", "omni", "carb", "MenuItemDescription", "add_menu_items", "remove_menu_items"}
    return names & (known | {"get_active_viewport", "capture_viewport_to_file"})


def complaints(source: str) -> list[str]:
    """Return a line for each call of Kit's that differs from what was recorded."""
    tree = ast.parse(source)
    kit, found, calls = kit_names(tree), [], 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            constant = ast.unparse(node)
            if constant.startswith(("ui.Type.", "omni.usd.StageEventType.")) and constant not in ATTRIBUTES:
                found.append(f"{constant} is not recorded")
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name.split(".")[0] in kit and "(" not in name:
            known = CALLS.get(name)
        elif method in METHODS and not name.startswith(OURS):
            known = METHODS[method]
        else:
            continue
        calls += 1
        if known is None:
            found.append(f"{name} is not recorded")
            continue
        positional, keywords = known
        if len(node.args) > positional:
            found.append(f"{name} takes {positional} positional arguments")
        found += [f"{name} has no {k.arg}" for k in node.keywords if k.arg not in keywords]
    return found if calls else [*found, "no call of Kit's was found"]


@pytest.mark.parametrize("file", LAYER, ids=lambda file: file.name)
def test_kit_is_called_as_recorded(file):
    assert complaints(file.read_text()) == []


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("ui.Label('a', colour=1)", "ui.Label has no colour"),
        ("ui.Buton('a')", "ui.Buton is not recorded"),
        ("ui.Window('a', 3)", "ui.Window takes 1 positional arguments"),
        ("plot.set_visibility_changed_fn()\nui.Type.LINES", "ui.Type.LINES is not recorded"),
    ],
)
def test_a_wrong_call_is_found(code, complaint):
    assert complaint in complaints("import omni.ui as ui\n" + code)


def test_only_the_layer_imports_kit():
    folder = ROOT / "omni/myriad/ui"
    others = [file for file in folder.glob("*.py") if file not in LAYER]
    assert len(others) == 3
    for file in others:
        modules = {
            alias.name if isinstance(node, ast.Import) else str(getattr(node, "module", ""))
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        kit = {name for name in modules if name.split(".")[0] in ("carb", "omni") and "omni.myriad" not in name}
        assert not kit, f"{file.name} imports {kit}"


def test_model_has_what_the_layer_uses(tmp_path):
    source = "".join(file.read_text() for file in LAYER)
    used = {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("model", "self._model")
    }
    used -= {"get_item_value_model"}
    assert {"load", "train", "stop", "play", "export", "rewards", "speeds"} <= used
    assert not {name for name in used if not hasattr(Model(Loop().drive, tmp_path), name)}


# -- extension.toml ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def manifest():
    return tomllib.loads((ROOT / "extension.toml").read_text())


def test_manifest_points_at_what_exists(manifest):
    package = manifest["package"]
    for key in ("readme", "changelog", "icon", "preview_image"):
        assert (ROOT / package[key]).is_file(), key
    for module in manifest["python"]["module"]:
        path = ROOT / module["name"].replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
    names = [module["name"] for module in manifest["python"]["module"]]
    assert names == ["omni.myriad", "omni.myriad.ui", "omni.myriad.ui.extension"]


def test_manifest_asks_for_nothing_that_an_isaac_sim_lacks_and_watches_no_environment(manifest):
    assert manifest["dependencies"]["omni.isaac.ml_archive"] == {"optional": True}  # not in 6.x from pip
    watched = [path for path in (".venv/lib/x.py", "runs/a/task.py") if not excluded(manifest, path)]
    assert watched == [] and not excluded(manifest, "tasks/classic/cartpole.py")


def excluded(manifest, path):
    return any(fnmatch(f"{ROOT}/{path}", pattern) for pattern in manifest["fswatcher"]["paths"]["exclude"])


def test_kits_test_runner_finds_the_tests(manifest):
    # It imports a module `tests` of each declared module that has one, and takes the test cases that it finds there.
    declared = [module["name"].replace(".", "/") for module in manifest["python"]["module"]]
    found = [ROOT / module / "tests/__init__.py" for module in declared if (ROOT / module / "tests").is_dir()]
    assert found == [ROOT / "omni/myriad/ui/tests/__init__.py"]
    assert "TestInKit" in found[0].read_text()


def test_manifest_has_the_version_of_the_framework(manifest):
    from omni.myriad import __version__

    assert manifest["package"]["version"] == __version__


def test_root_shadows_no_module():
    # Kit puts the folder on sys.path. A folder without __init__.py never hides a package; a file does.
    assert not list(ROOT.glob("*/__init__.py"))
    assert not {file.stem for file in ROOT.glob("*.py")} & (
        sys.stdlib_module_names | {"carb", "isaacsim", "omni", "pxr"}
    )


def test_a_missing_package_is_said_with_the_command(tmp_path, monkeypatch):
    model = Model(Loop().drive, tmp_path)
    monkeypatch.setitem(sys.modules, "omni.myriad.app.config", None)
    model.train()
    wait(model, 30)
    assert "is missing here" in model.message and "-m pip install -e" in model.message
    assert model_module.__name__ not in model.message
