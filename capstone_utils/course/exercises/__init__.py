"""Exercises of the notebooks: each has starter, hints, solution, typical wrong answers and its check in one place."""

from capstone_utils.course.exercises.checking import check, hint, progress, solution
from capstone_utils.course.exercises.promql import check_promql

__all__ = ["check", "check_promql", "hint", "progress", "solution"]
