# SPDX-License-Identifier: Apache-2.0
"""Each task is shown, in few bytes."""

from omni.myriad.places import FILMS, ROOT
from omni.myriad.task.loader import all_tasks

_MOST_BYTES = 300_000


def test_each_task_has_a_film_or_a_picture_where_help_says():
    page, readme = (ROOT / name for name in (FILMS, "README.md"))
    films = {file.stem: file for file in (ROOT / "docs/media/films").iterdir()}
    assert [task for task in all_tasks() if task not in films] == []
    assert all(file.stat().st_size < _MOST_BYTES for file in films.values())
    for text, folder in ((page.read_text(), "media/films"), (readme.read_text(), "docs/media/films")):
        assert [task for task in films if f"![{task}]({folder}/{task}.webp)" not in text] == []
