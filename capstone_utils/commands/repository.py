"""Commands of the repository: the course, its checks and documents, and a learner's project."""

from __future__ import annotations

import argparse
import sys

from capstone_utils.settings import ROOT


def run(_: argparse.Namespace) -> int:
    """Run the course."""
    from capstone_utils.course.authoring.runner import run_course

    return run_course()


def test(_: argparse.Namespace) -> int:
    """Run every check."""
    from capstone_utils.course.authoring.checks import run_checks

    return run_checks()


def report(options: argparse.Namespace) -> int:
    """Fill the documents, or check them."""
    from capstone_utils.course.authoring.report import fill_documents, keep_results, stale_documents

    if options.check:
        stale = stale_documents()
        for path in stale:
            print(
                f"{path.relative_to(ROOT)} is not what docs/results.json and the code say; run: report", file=sys.stderr
            )
        return 1 if stale else 0
    if options.source:
        keep_results(options.source)
    for path in fill_documents():
        print(f"filled {path.relative_to(ROOT)}")
    return 0


def refresh(_: argparse.Namespace) -> int:
    """Run the notebooks and store their outputs."""
    from capstone_utils.course.authoring.refresh import refresh_notebooks

    return refresh_notebooks()


def project(options: argparse.Namespace) -> int:
    """Check a capstone project and write its report."""
    from capstone_utils.course.capstone.check import check_project
    from capstone_utils.course.capstone.worlds import FULL, SMALL

    report = check_project(options.file, SMALL if options.small else FULL)
    print(f"{report.path} has the report")
    if report.refused_at:
        print(f"refused at: {report.refused_at}", file=sys.stderr)
    return 1 if report.refused_at else 0
