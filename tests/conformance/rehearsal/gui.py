# SPDX-License-Identifier: Apache-2.0
"""Isaac Sim's window on the stand-in for Kit: extensions from their manifests, a script, and frames until it quits."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import runpy
import sys
from pathlib import Path
from typing import Any

import tomllib

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


class PythonExtension:
    """An extension in a folder, which Kit names after it.

    Args:
        folder: Its folder.
    """

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        manifest = tomllib.loads((folder / "extension.toml").read_text())
        self._modules = [module["name"] for module in manifest["python"]["module"]]
        self._instances: list[Any] = []
        sys.path.insert(0, str(folder))

    def toggle(self, enabled: bool) -> None:
        """Start it from its declared modules, or end it and forget the modules."""
        import omni.ext  # pyright: ignore[reportMissingImports]

        if enabled:
            for name in self._modules:
                module = importlib.import_module(name)
                for value in list(vars(module).values()):
                    if isinstance(value, type) and issubclass(value, omni.ext.IExt) and value.__module__ == name:
                        self._instances.append(value())
                        self._instances[-1].on_startup(self.name)
            return
        for instance in self._instances:
            instance.on_shutdown()
        self._instances.clear()
        for name in [name for name in sys.modules if f"{name}.".startswith(f"{self._modules[0]}.")]:
            del sys.modules[name]


async def run(extensions: list[PythonExtension], script: str | None) -> int:
    """Enable extensions, run a script, and draw frames until somebody asks Kit to end."""
    from standin import kit

    for extension in extensions:
        kit.APP.toggles[extension.name] = extension.toggle
        kit.APP.set_extension_enabled_immediate(extension.name, True)
    kept = runpy.run_path(script) if script else {}
    while kit.APP.quit_code is None:
        await kit.APP.next_update_async()
    del kept
    for extension in extensions:
        kit.APP.set_extension_enabled_immediate(extension.name, False)
    return kit.APP.quit_code


def main() -> None:
    """Do what the command line says, as far as the stand-in has it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ext-path", action="append", default=[], type=Path)
    parser.add_argument("--enable", action="append", default=[])
    parser.add_argument("--exec")
    parser.add_argument("--no-window", action="store_true")
    given = parser.parse_args()
    sys.argv = sys.argv[:1]
    extensions = [PythonExtension(folder) for folder in given.ext_path]
    if missing := {*given.enable} - {extension.name for extension in extensions}:
        sys.exit(f"no extension {', '.join(sorted(missing))}")
    import standin

    import omni.myriad  # noqa: F401  # before Kit's parts of `omni`, which are put beside it

    standin.start_options["fabric"] = True
    standin.start_kit(Path(os.environ["MYRIAD_REHEARSAL"]))
    sys.exit(asyncio.run(run(extensions, given.exec)))


if __name__ == "__main__":
    main()
