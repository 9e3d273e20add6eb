"""What tasks of language have in common: the model reads text token by token, and the data are texts."""

from forgetaudit.errors import DataError, ModelError
from forgetaudit.tasks.task import Setting, Tokens

__all__ = ["check_language"]


def check_language(setting: Setting, task: str) -> tuple[Tokens, tuple[str, ...]]:
    """The tokenizer and network of `setting` for `task`, and decisions to tell.

    DataError where the data are no texts; ModelError where the model was made for another task, or has no tokenizer.
    """
    if setting.model_task not in (None, task):
        raise ModelError(
            f"{setting.model} was made for {setting.model_task}, and not for {task}",
            hint=f"leave --task out, or pass models made for {task}",
        )
    if setting.tokens is None:
        raise ModelError(
            f"{setting.model} came without a tokenizer, so nothing says how text is read for it",
            hint="copy tokenizer.json and tokenizer_config.json from the model it was trained from",
        )
    if not setting.of_text:
        raise DataError(
            f"{setting.data} holds images or arrays, and {setting.model} takes text",
            hint="pass text, or name its column with --input-column",
        )
    said = ("labels are not used: the text itself is what is asked",) if setting.labelled else ()
    return setting.tokens, said
