# SPDX-License-Identifier: Apache-2.0
"""What pyproject.toml cannot say: wheels carry tasks, cfg and assets inside the package, where `places` finds them."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

DATA = [
    str(path)
    for folder in ("tasks", "cfg", "assets", "policies")
    for path in Path(folder).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".mp4"  # films are for the repository
]


class BuildPy(build_py):
    """Builds the package with its data; an editable installation finds them in the checkout."""

    def run(self) -> None:
        """Copy modules, then data."""
        super().run()
        if not self.editable_mode:
            for path in DATA:
                target = Path(self.build_lib, "omni/myriad/_data", path)
                self.mkpath(str(target.parent))
                self.copy_file(path, str(target))

    def get_source_files(self) -> list[str]:
        """Return what a source distribution needs."""
        return [*super().get_source_files(), *DATA]


setup(cmdclass={"build_py": BuildPy})
