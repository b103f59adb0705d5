"""The capstone: a feature, or a thief and the feature against it, through every check that the course's own passed."""

from capstone_utils.course.capstone.check import check_project

__all__ = ["check_project"]
