# SPDX-License-Identifier: Apache-2.0
"""Import Isaac Sim's Python from a source checkout, and stubs for what it only looks up."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

EXTENSIONS = (
    "isaacsim.core.api",
    "isaacsim.core.cloner",
    "isaacsim.core.deprecation_manager",
    "isaacsim.core.experimental.utils",
    "isaacsim.core.prims",
    "isaacsim.core.simulation_manager",
    "isaacsim.core.utils",
    "isaacsim.core.version",
    "isaacsim.simulation_app",
)
"""What is taken from the checkout, unmodified; every other name of `isaacsim` is a stub."""

_STUBBED = ("Semantics", "carb", "isaacsim", "omni", "usdrt")


def install(source: Path) -> None:
    """Make `isaacsim.core.*` come from a checkout, and every other name of Kit's importable as a stub."""
    sys.meta_path.insert(0, _SourceFinder(source))
    sys.meta_path.append(_StubFinder())


def namespace_spec(name: str) -> importlib.machinery.ModuleSpec:
    """Return the spec of a package without code."""
    spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = []
    return spec


class _SourceFinder(importlib.abc.MetaPathFinder):
    """Redoes the mapping from the source tree to packages that Isaac Sim's build makes with links."""

    def __init__(self, source: Path) -> None:
        self._folders: dict[str, Path] = {}
        for name in EXTENSIONS:
            for folder in (source / "source/extensions" / name, source / "source/deprecated" / name):
                if folder.is_dir():
                    self._folders[name] = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        for extension, folder in self._folders.items():
            if extension.startswith(f"{fullname}."):
                return namespace_spec(fullname)
            if fullname == extension or fullname.startswith(f"{extension}."):
                rest = fullname[len(extension) + 1 :].split(".") if fullname != extension else []
                for base in (folder / "python", folder / "python/impl", folder.joinpath(*extension.split("."))):
                    place = base.joinpath(*rest)
                    if (place / "__init__.py").is_file():
                        return importlib.util.spec_from_file_location(
                            fullname, place / "__init__.py", submodule_search_locations=[str(place)]
                        )
                    if rest and place.with_suffix(".py").is_file():
                        return importlib.util.spec_from_file_location(fullname, place.with_suffix(".py"))
        return None


class _StubFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The last to be asked: makes a stub of any module of Kit's that nobody provides."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.split(".")[0] not in _STUBBED or fullname.startswith("omni.myriad"):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _StubModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _StubModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        stub = _Stub(f"{self.__name__}.{name}", (), {})
        setattr(self, name, stub)
        return stub


class _Stub(type):
    """A name that can be looked up, subclassed and annotated with, and raises when it is used."""

    def __getattr__(cls, name: str) -> _Stub:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Stub(f"{cls.__name__}.{name}", (), {})

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"the stand-in for Kit has no {cls.__name__}")


def provide(name: str, **attributes: Any) -> ModuleType:
    """Install a module with attributes, and make it an attribute of its parent package."""
    module = _StubModule(name)
    module.__path__ = []
    module.__spec__ = namespace_spec(name)
    vars(module).update(attributes)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(importlib.import_module(parent), child, module)
    return module
