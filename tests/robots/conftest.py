# SPDX-License-Identifier: Apache-2.0
"""Small robots that the tests write themselves."""

from pathlib import Path

import pytest

from tests.robots.sources import ARM


@pytest.fixture
def urdf(tmp_path):
    """Write a URDF of links and joints, and return its path."""

    def write(*parts, name="bot"):
        file = tmp_path / f"{name}.urdf"
        file.write_text(f'<robot name="{name}">{"".join(parts)}</robot>')
        return file

    return write


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Have everything that is fetched and imported kept in a folder of the test's own."""
    monkeypatch.setenv("MYRIAD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def arm(tmp_path) -> Path:
    """Write a USD robot with nested bodies, a tool that is fixed to its arm, and a physics scene of its own."""
    file = tmp_path / "arm.usda"
    file.write_text(ARM)
    return file
