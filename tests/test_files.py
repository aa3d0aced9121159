# SPDX-License-Identifier: Apache-2.0
"""Files are written whole or not at all: through full disks, interruptions and folders that are none."""

import json
import math
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from omni.myriad.errors import MyriadError
from omni.myriad.files import (
    finite_json,
    from_finite_json,
    map_leaves,
    replacing,
    write_bytes,
    write_json,
    write_text,
)


def test_what_is_written_is_read_and_nothing_else_is_left(tmp_path):
    file = tmp_path / "new" / "folder" / "a.json"
    write_json(file, {"a": [1, 2.5, None]})
    assert file.read_text() == '{\n  "a": [\n    1,\n    2.5,\n    null\n  ]\n}\n'
    write_text(file, "grüße\n")
    assert file.read_bytes() == "grüße\n".encode()
    write_bytes(str(file), memoryview(b"\x00\x01"))
    assert file.read_bytes() == b"\x00\x01"
    assert os.listdir(file.parent) == ["a.json"]


def test_a_file_has_the_mode_that_others_have(tmp_path):
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "ours", "")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_the_temporary_file_keeps_its_suffix_and_the_old_file_stays_meanwhile(tmp_path):
    file = tmp_path / "a.png"
    write_text(file, "old")
    with replacing(file) as temporary:
        assert temporary.suffix == ".png"
        temporary.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, interruption):
    file = tmp_path / "a.json"
    write_text(file, "old")
    with pytest.raises(interruption), replacing(file) as temporary:
        temporary.write_text("half of the n")
        raise interruption
    assert file.read_text() == "old" and os.listdir(tmp_path) == ["a.json"]


def test_a_killed_write_leaves_the_old_file_whole(tmp_path):
    file = tmp_path / "a.json"
    write_text(file, "old")
    code = (
        "import os, signal, sys\nfrom omni.myriad.files import replacing\nwith replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], cwd=Path(__file__).parents[1])
    assert done.returncode == -9 and file.read_text() == "old"
    assert list(tmp_path.glob("*.json")) == [file], "what is left is taken for no file of its kind"


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path):
    file = tmp_path / "a.bin"
    write_bytes(file, b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(MyriadError, match=r"a\.bin cannot be written: \w") as caught:
            write_bytes(file, bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(caught.value)
    assert file.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.bin"]


def test_a_folder_that_cannot_be_made_or_replaced_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MyriadError, match=r"file/a\.json cannot be written: "):
        write_json(tmp_path / "file" / "a.json", {})
    (tmp_path / "folder").mkdir()
    with pytest.raises(MyriadError, match="folder cannot be written: Is a directory"):
        write_text(tmp_path / "folder", "")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_leaves_are_mapped_where_they_are():
    value = {"a": [1, (2, {"b": 3})], "c": "x"}
    assert map_leaves(lambda leaf: leaf * 2, value) == {"a": [2, (4, {"b": 6})], "c": "xx"}
    assert value == {"a": [1, (2, {"b": 3})], "c": "x"}
    assert map_leaves(str, 5) == "5"


def test_infinities_survive_strict_json():
    value = {"clip": [math.inf, -math.inf, 1.0], "name": "information"}
    text = json.dumps(finite_json(value), allow_nan=False)
    assert json.loads(text) == {"clip": ["inf", "-inf", 1.0], "name": "information"}
    assert from_finite_json(json.loads(text)) == value
    assert math.isnan(from_finite_json(finite_json(math.nan)))
