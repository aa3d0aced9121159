# SPDX-License-Identifier: Apache-2.0
"""Verbs that look at runs: `./myriad runs`, `report` and `compare`; nothing is simulated, and no run is changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omni.myriad.app.cli import attempt
from omni.myriad.app.options import Section, option, page, parse
from omni.myriad.errors import MyriadError


class RunsVerb(Section):
    """List the runs, the last started last."""

    usage = "[Ant] [key=value ...]"

    train_dir: str = option("runs", "folder that holds the runs", filled=True)


class ReportVerb(Section):
    """Write report.html into a run's folder: curves, film, settings, machine, and where the time went."""

    usage = "RUN [key=value ...]"

    train_dir: str = option("runs", "folder that holds the runs", filled=True)


class CompareVerb(Section):
    """Overlay the curves of runs, those that differ in seeds alone as one with a band, as a page and a picture."""

    usage = "A B C... [key=value ...]"

    train_dir: str = option("runs", "folder that holds the runs", filled=True)
    output: str = option("", "files to write, without .html and .png; empty: compare in train_dir")


class ViewVerb(Section):
    """Open a live page of a training that runs, in the browser; it costs the training nothing while nobody looks."""

    usage = "RUN [key=value ...]"

    train_dir: str = option("runs", "folder that holds the runs", filled=True)
    host: str = option("127.0.0.1", "address of the page; another than loopback's needs the token that is printed")
    port: int = option(8080, "its port, or one of the next ones", least=0, most=65535)


def list_runs(arguments: Sequence[str]) -> None:
    """Print a table of the runs; a word behind the verb asks for those of one task."""

    def main() -> None:
        from omni.myriad.app.tables import print_table
        from omni.myriad.learn.record.compare import SCORES, scores
        from omni.myriad.learn.record.history import find_runs

        if _helped("runs", RunsVerb, arguments):
            return
        tasks, values = parse("runs", RunsVerb, arguments)
        runs = [run for run in find_runs(values["train_dir"]) if not tasks or run.task in tasks]
        if not runs:
            of = f" of {' or '.join(tasks)}" if tasks else ""
            raise MyriadError(f"There are no runs{of} below {values['train_dir']}/.")
        rows = [(run.name, run.task, run.status, *scores(run)) for run in runs]
        title = f"{len(runs)} run{'s' * (len(runs) > 1)} in {values['train_dir']}"
        print_table(title, ("", "task", "status", *SCORES), rows)

    attempt(main)


def write_reports(arguments: Sequence[str]) -> None:
    """Write the reports of some runs."""

    def main() -> None:
        from omni.myriad.learn.record.history import find_run
        from omni.myriad.learn.record.report import write_report

        if _helped("report", ReportVerb, arguments):
            return
        names, values = parse("report", ReportVerb, arguments)
        if not names:
            raise MyriadError("Give a run: ./myriad report RUN, its folder or its name; ./myriad runs lists them.")
        for run in [find_run(name, values["train_dir"]) for name in names]:
            print(f"Report: {write_report(run.folder)}")

    attempt(main)


def compare(arguments: Sequence[str]) -> None:
    """Write a page and a picture that compare some runs."""

    def main() -> None:
        from omni.myriad.app.tables import print_table
        from omni.myriad.learn.record.compare import SCORES, scores, write_comparison
        from omni.myriad.learn.record.history import find_run

        if _helped("compare", CompareVerb, arguments):
            return
        names, values = parse("compare", CompareVerb, arguments)
        if len(names) < 2:
            raise MyriadError("Give two runs or more: ./myriad compare A B; ./myriad runs lists them.")
        runs = [find_run(name, values["train_dir"]) for name in names]
        output = Path(values["output"] or Path(values["train_dir"], "compare")).expanduser()
        html, png = write_comparison(runs, output)
        print_table(f"{len(runs)} runs", ("", *SCORES), [(run.name, *scores(run)) for run in runs])
        print(f"Page: {html}\nPicture: {png}")

    attempt(main)


def view(arguments: Sequence[str]) -> None:
    """Show a training that runs until it ends, or Ctrl-C."""

    def main() -> None:
        from omni.myriad.learn.record.history import find_run
        from omni.myriad.viewer.session import show
        from omni.myriad.viewer.wire import address_of

        if _helped("view", ViewVerb, arguments):
            return
        names, values = parse("view", ViewVerb, arguments)
        if len(names) != 1:
            raise MyriadError("Give one run: ./myriad view RUN, its folder or its name; ./myriad runs lists them.")
        run = find_run(names[0], values["train_dir"])
        try:
            show(address_of(run.folder), values["host"], values["port"])
        except (FileNotFoundError, ConnectionError):
            raise MyriadError(
                f"{run.name} is not training now: ./myriad play task={run.task} checkpoint={run.folder} viewer=True"
                " shows its policy."
            ) from None

    attempt(main)


def _helped(verb: str, section: type[Section], arguments: Sequence[str]) -> bool:
    asked = any(argument in ("-h", "--help") for argument in arguments)
    if asked:
        print(page(verb, section))
    return asked
