"""Questions from before, at the opening of a notebook: one choice of three, and a sentence for each."""

from __future__ import annotations

from dataclasses import dataclass

from capstone_utils.course.learner.passport import stamp
from capstone_utils.course.learner.questions import OPENINGS, Question

LETTERS = ("a", "b", "c")


@dataclass(frozen=True)
class Opening:
    """The questions that open a notebook, and its two cells, which are written from them."""

    number: str  # "R2": those of notebook 2
    questions: tuple[Question, ...]

    @property
    def cells(self) -> dict[str, str]:
        """The source of both cells by cell id: the questions, and the call that answers them."""
        parts = ["## Three questions from before", *map(_text, self.questions)]
        nothing = ", ".join(["None"] * len(self.questions))
        call = (
            "from capstone_utils.course.learner import quiz\n\n"
            f'quiz("{self.number}", {nothing})  # <- letters, such as "a"'
        )
        return {f"recall-{self.number[1]}-task": "\n\n".join(parts), f"recall-{self.number[1]}": call}


QUIZZES = {number: Opening(number, questions) for number, questions in OPENINGS.items()}


def quiz(number: str, *chosen: str | None) -> None:
    """Say for each question whether its chosen letter is right, and why; None leaves a question out."""
    questions = QUIZZES[number].questions
    if not any(chosen):
        print(f'Your turn ({number}). Put a letter for each question, such as quiz("{number}", "a", "b", "c").')
        return
    for place, (question, letter) in enumerate(zip(questions, chosen, strict=False), start=1):
        if letter is None:
            continue
        if letter not in LETTERS:
            print(f"{place}. {letter!r} is none of the letters {', '.join(LETTERS)}.")
            continue
        option = question.options[LETTERS.index(letter)]
        if option.right:
            stamp(f"{number}.{place}")
            print(f"{place}. Right. {option.message}")
        else:
            print(f'{place}. No. {option.message} (Notebook {question.notebook}, "{question.heading}".)')


def _text(question: Question) -> str:
    options = "\n".join(
        f"- **{letter}**: {option.text}" for letter, option in zip(LETTERS, question.options, strict=True)
    )
    return f"**{question.text}**\n\n{options}"
