"""Networks that choose no single label, token or document: refused by their kind, with the way out."""

from forgetaudit.errors import ModelError

__all__ = ["WAY_OUT", "refused_kind"]

WAY_OUT = (
    "say what is right with a task of yours, --task module:object; or wrap the network in a build() that returns "
    "scores (n, k), one row for each example: --model path.py:build"
)


def refused_kind(model: str, kind: str, evidence: str) -> ModelError:
    """`kind` is what `model` does instead, in the field's words; `evidence` says how that is known."""
    return ModelError(
        f"{model} is a network for {kind}, of which no task here tells right from wrong",
        details=[evidence, "the largest of its scores would be taken for a class, and is none"],
        hint=WAY_OUT,
    )
