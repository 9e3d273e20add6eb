"""--strata: which data and settings have fixed strata whose examples are independent."""

from forgetaudit.audits.inputs import OpenedData
from forgetaudit.errors import UsageError

__all__ = ["MOST_STRATA", "refuse_strata", "refuse_stratified"]

MOST_STRATA = 200


def refuse_strata(data: OpenedData, column: str) -> None:
    """UsageError where questions depend on each other by themselves, or where a column is no list of fixed strata."""
    if getattr(data.task, "unit", "") == "token":
        raise UsageError(
            f"--strata is for independent questions, which the tokens of {data.plan.name} are not",
            details=[f"task {data.task_name}"],
            hint="pass each stratum as a data set of its own (--data, repeatable), or group with --group-by",
        )
    n = data.examples.n_groups
    if n > MOST_STRATA:
        raise UsageError(
            f"column {column} has {n:,} values, and at most {MOST_STRATA} strata are judged",
            hint="pass --group-by where values are sources of the examples rather than a fixed list",
        )


def refuse_stratified(command: str, column: str | None) -> None:
    """UsageError from a command that does not keep strata apart."""
    if column is not None:
        raise UsageError(
            f"{command} does not keep the strata of {column} apart: it measures all examples together",
            hint="leave --strata out, or run forgetaudit compare --strata",
        )
