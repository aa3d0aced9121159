# SPDX-License-Identifier: Apache-2.0
"""What `./myriad verify-isaacsim` writes down; tests/conformance rehearses it from beginning to end."""

import json

from omni.myriad.app.verify import Checklist, NotRunError
from omni.myriad.task.loader import all_tasks


def test_checks_are_in_the_report_and_the_table(tmp_path):
    def nothing():
        raise NotRunError("no GPU: " + "none of the machines at hand has one, " * 5)

    def wrong():
        raise AssertionError("exit code 0\ninstead of 2")

    checklist = Checklist(tmp_path)
    for name, look in (("training", lambda: "a score"), ("on the GPU", nothing), ("a crash", wrong)):
        checklist.check(name, look)

    written = json.loads((tmp_path / "report.json").read_text())["checks"]
    assert [check["status"] for check in written] == ["passed", "not run", "failed"]
    assert written[2]["detail"] == "exit code 0 instead of 2"
    lines = checklist.table().splitlines()
    assert lines[0].split() == ["training", "passed", "0.0", "s", "a", "score"]
    assert lines[1].endswith("[...]") and len(lines[1]) < 140, "cut between words, and said so"
    assert lines[3] == "1 passed, 1 failed, 1 not run"


def test_every_task_is_tried_also_one_without_a_file_of_its_own(tmp_path):
    names = []

    class Noted(Checklist):
        def check(self, name, look):
            names.append(name)

        def window(self):
            pass

        def table(self):
            return ""

    Noted(tmp_path).run()
    tried = [task for task in all_tasks() if {f"{task} runs", f"{task} on the GPU"} & {*names}]
    assert tried == all_tasks() and "ShadowHandOpenAI_LSTM" in tried
