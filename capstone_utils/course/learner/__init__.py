"""What a learner said and did: guesses before a run, questions from before, and the passport that keeps both."""

from capstone_utils.course.learner.assessment import assessment
from capstone_utils.course.learner.guesses import guess, reveal, your_guesses
from capstone_utils.course.learner.recall import quiz

__all__ = ["assessment", "guess", "quiz", "reveal", "your_guesses"]
