"""Classification of whatever the data hold: the model's classes matched with the data's, images or texts prepared."""

from forgetaudit.errors import DataError
from forgetaudit.tasks.classification import Classification
from forgetaudit.tasks.label_matching import match_labels
from forgetaudit.tasks.task import Setting, Task
from forgetaudit.tasks.text_classification import TextClassification

__all__ = ["classification"]

NO_LABELS = "no labels: only whether answers changed can be told (--label-column names a column of labels)"


def classification(setting: Setting) -> Task:
    """Text classification for texts, else classification of images or arrays.

    DataError where the model takes the other kind, or where its classes are not the data's.
    """
    if setting.of_text and setting.encode is None and setting.preprocess is None:
        raise DataError(
            f"{setting.data} holds text, and {setting.model} takes images or arrays",
            hint="pass a model that was saved with its tokenizer, or data of images",
        )
    if not setting.of_text and setting.encode is not None and setting.preprocess is None:
        raise DataError(
            f"{setting.data} holds images or arrays, and {setting.model} takes text",
            hint="pass text, or name its column with --input-column",
        )
    match = match_labels(
        setting.class_names,
        setting.model_class_names,
        present=setting.labels_present,
        name=setting.data,
    )
    said = (match.decision,) if setting.labelled else (NO_LABELS,)
    if setting.of_text and setting.encode is not None:
        return TextClassification(match.class_names, setting.encode, label_map=match.label_map, said=said)
    return Classification(match.class_names, setting.preprocess, label_map=match.label_map, said=said)
