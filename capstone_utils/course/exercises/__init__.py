"""Exercises of the notebooks: each has starter, hints, solution, typical wrong answers and its check in one place."""

from capstone_utils.course.exercises.checking import check, hint, progress, solution

__all__ = ["check", "hint", "progress", "solution"]
