"""Layouts of public data whose answers are scored, not their prompts: known by the names of their columns, as data."""

from collections.abc import Sequence
from dataclasses import dataclass

from forgetaudit.data.column import Column, Kind
from forgetaudit.errors import DataError

__all__ = ["refuse_layout"]


@dataclass(frozen=True, slots=True)
class Layout:
    """What the data are called, which columns make them that, and what of them a model is asked."""

    name: str
    columns: tuple[str, ...]
    scored: str


# The longer ones first: what is a question with four options is a question with an answer, too.
LAYOUTS = (
    Layout("MedMCQA", ("question", "opa", "opb", "opc", "opd"), "which of opa, opb, opc and opd is right"),
    Layout(
        "Social IQa", ("question", "answera", "answerb", "answerc"), "which of the three answers is right"
    ),
    Layout("SciQ", ("question", "distractor1", "correct_answer"), "correct_answer against the distractors"),
    Layout("WinoGrande", ("sentence", "option1", "option2"), "which option completes the sentence"),
    Layout("PIQA", ("goal", "sol1", "sol2"), "which solution reaches the goal"),
    Layout("COPA", ("premise", "choice1", "choice2"), "which choice follows from the premise"),
    Layout("StoryCloze", ("input_sentence_1", "sentence_quiz1", "sentence_quiz2"), "which ending is right"),
    Layout("SWAG", ("sent1", "ending0", "ending1"), "which ending follows"),
    Layout("HellaSwag in columns", ("ctx", "ending0", "ending1"), "which ending follows"),
    Layout("multiple choice in columns", ("question", "answer0", "answer1"), "which answer is right"),
    Layout("multiple choice in columns", ("question", "option1", "option2"), "which option is right"),
    Layout("multiple choice in columns", ("question", "choice1", "choice2"), "which choice is right"),
    Layout("multiple choice in columns", ("question", "option_a", "option_b"), "which option is right"),
    Layout("multiple choice in columns", ("question", "optiona", "optionb"), "which option is right"),
    Layout("multiple choice in columns", ("question", "a", "b"), "which choice is right"),
    Layout("TruthfulQA", ("question", "mc1_targets"), "the true answer among mc1_targets"),
    Layout("TruthfulQA", ("question", "mc2_targets"), "the true answers among mc2_targets"),
    Layout("TruthfulQA", ("question", "best_answer"), "best_answer against the incorrect ones"),
    Layout("preferences", ("chosen", "rejected"), "chosen against rejected"),
    Layout("instructions", ("instruction", "input", "output"), "the output, given instruction and input"),
    Layout("instructions", ("instruction", "output"), "the output, given the instruction"),
    Layout("instructions", ("instruction", "response"), "the response, given the instruction"),
    Layout("instructions", ("instruction", "completion"), "the completion, given the instruction"),
    Layout("instructions", ("instruction", "answer"), "the answer, given the instruction"),
    Layout("prompts with completions", ("prompt", "completion"), "the completion, given the prompt"),
    Layout("prompts with completions", ("prompt", "completions"), "the completions, given the prompt"),
    Layout("prompts with responses", ("prompt", "response"), "the response, given the prompt"),
    Layout("prompts with responses", ("query", "response"), "the response, given the query"),
    Layout("prompts with responses", ("question", "response"), "the response, given the question"),
    Layout("prompts with responses", ("input", "response"), "the response, given the input"),
    Layout("prompts with answers", ("prompt", "answer"), "the answer, given the prompt"),
    Layout("prompts with outputs", ("prompt", "output"), "the output, given the prompt"),
    Layout("prompts with outputs", ("input", "output"), "the output, given the input"),
    Layout("prompts with targets", ("prompt", "target"), "the target, given the prompt"),
    Layout("prompts with targets", ("inputs", "targets"), "the targets, given the inputs"),
    Layout("programs", ("prompt", "canonical_solution"), "whether what is written solves the prompt"),
    Layout("programs", ("text", "code", "test_list"), "whether what is written passes the tests"),
    Layout("problems with solutions", ("problem", "solution"), "the solution, given the problem"),
    Layout("problems with solutions", ("problem", "answer"), "the answer, given the problem"),
    Layout("problems with solutions", ("question", "solution"), "the solution, given the question"),
    Layout("questions with answers", ("question", "answers"), "the answers, given the question"),
    Layout("questions with answers", ("question", "long_answer"), "the answer, given the question"),
    Layout("summaries", ("document", "summary"), "the summary, given the document"),
    Layout("summaries", ("article", "highlights"), "the highlights, given the article"),
    Layout("summaries", ("dialogue", "summary"), "the summary, given the dialogue"),
    Layout("summaries", ("text", "summary"), "the summary, given the text"),
    Layout("translations", ("translation",), "the translation"),
    Layout("conversations", ("messages",), "the last reply, given those before it"),
    Layout("conversations", ("conversations",), "the last reply, given those before it"),
    Layout("conversations", ("conversation",), "the last reply, given those before it"),
)
# Numbers and classes are labels, whatever their names: x and y, or a question that is answered by yes and no.
OF_TEXT = (Kind.TEXT, Kind.CHOICES, Kind.OTHER)


def refuse_layout(columns: Sequence[Column]) -> None:
    """DataError where the columns are those of data whose answers would not be looked at."""
    named = {column.plain_name: column for column in columns if column.kind in OF_TEXT}
    layout = next((layout for layout in LAYOUTS if set(layout.columns) <= named.keys()), None)
    if layout is None:
        return
    there = [named[name] for name in layout.columns]
    texts = [column.name for column in there if column.kind is Kind.TEXT]
    alone = f", or say that one is meant: --input-column {texts[0]}" if texts else ""
    both = (
        f"; two that are judged together: --input-column {texts[0]} --input-column {texts[1]}"
        if texts[1:]
        else ""
    )
    names = ", ".join(column.name for column in there)
    raise DataError(
        f"the data are {layout.name} (columns {names}), which cannot be scored yet",
        details=[f"asked for is {layout.scored}: one column alone says nothing of it"],
        hint=f"make one column of text of them{alone}{both}",
    )
