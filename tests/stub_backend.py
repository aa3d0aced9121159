# SPDX-License-Identifier: Apache-2.0
"""A build backend without requirements, which waits for as long as its project holds a file `hold`."""

import time
import zipfile
from pathlib import Path


def wheel(folder, name, files, more=""):
    """Write a wheel of these files and return its name."""
    information = f"{name}-1.0.dist-info"
    files = {
        **files,
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{more}",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{information}/RECORD"
    files[record] = "".join(f"{path},,\n" for path in [*files, record])
    path = Path(folder, f"{name}-1.0-py3-none-any.whl")
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path.name


def build_editable(folder, config_settings=None, metadata_directory=None):
    """Build the project (PEP 660)."""
    while Path("hold").exists():
        time.sleep(0.02)
    needs = "Provides-Extra: physx\nRequires-Dist: robots; extra == 'physx'\n"
    return wheel(folder, "myriad_rl", {"myriad_rl.py": "import robots.part999\n"}, needs)
