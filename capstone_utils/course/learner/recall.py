"""Questions at the opening of a notebook and at the end of the course: one choice of three, a sentence for each."""

from __future__ import annotations

from dataclasses import dataclass

from capstone_utils.course.learner.final_questions import FINAL
from capstone_utils.course.learner.passport import read_passport, stamp
from capstone_utils.course.learner.questions import OPENINGS, Question

LETTERS = ("a", "b", "c")


@dataclass(frozen=True)
class Quiz:
    """Some questions, and their two cells in the notebook, which are written from them."""

    number: str  # "R2": those that open notebook 2
    title: str
    cell_id: str
    questions: tuple[Question, ...]

    @property
    def cells(self) -> dict[str, str]:
        """The source of both cells by cell id: the questions, and the call that answers them."""
        parts = [f"## {self.title}", *map(_text, self.questions)]
        nothing = ", ".join(["None"] * len(self.questions))
        call = "from capstone_utils.course.learner import quiz\n\n"
        if len(self.questions) > 3:  # a line is too short for all
            call += f'letters = [{nothing}]  # <- "a"\nquiz("{self.number}", *letters)'
        else:
            call += f'quiz("{self.number}", {nothing})  # <- letters, such as "a"'
        return {f"{self.cell_id}-task": "\n\n".join(parts), self.cell_id: call}


QUIZZES = {
    number: Quiz(number, "Three questions from before", f"recall-{number[1]}", questions)
    for number, questions in OPENINGS.items()
} | {"final": Quiz("final", "Twelve questions to end with", "recall-final", FINAL)}


def quiz(number: str, *chosen: str | None) -> None:
    """Say for each question whether its chosen letter is right, and why; None leaves a question out."""
    questions = QUIZZES[number].questions
    if not any(chosen):
        print(f'Your turn ({number}). Put a letter, such as "a", in place of each None.')
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
    solved = sum(f"{number}.{place}" in read_passport().stamps for place in range(1, len(questions) + 1))
    print(f"{solved} of {len(questions)} answered well so far")


def _text(question: Question) -> str:
    options = "\n".join(
        f"- **{letter}**: {option.text}" for letter, option in zip(LETTERS, question.options, strict=True)
    )
    return f"**{question.text}**\n\n{options}"
