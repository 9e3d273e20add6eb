"""Tells what a fine-tuned checkpoint forgot, where it sits in the network, and whether the loss is real.

Public is what this module exports, the command line, and the JSON report's schema. Names are looked up on first use,
so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forgetaudit.api import compare, locate, repair, trace
    from forgetaudit.errors import AuditError
    from forgetaudit.judge.saved import load_report
    from forgetaudit.plan import AuditPlan, Settings
    from forgetaudit.policy import Policy, Rule
    from forgetaudit.report.report import AuditReport
    from forgetaudit.tasks.task import Outcomes, Task

__version__ = "0.1.0"

__all__ = [
    "AuditError",
    "AuditPlan",
    "AuditReport",
    "Outcomes",
    "Policy",
    "Rule",
    "Settings",
    "Task",
    "__version__",
    "compare",
    "load_report",
    "locate",
    "repair",
    "trace",
]

_HOMES = {
    "AuditError": "errors",
    "AuditPlan": "plan",
    "AuditReport": "report.report",
    "Outcomes": "tasks.task",
    "Policy": "policy",
    "Rule": "policy",
    "Settings": "plan",
    "Task": "tasks.task",
    "compare": "api",
    "load_report": "judge.saved",
    "locate": "api",
    "repair": "api",
    "trace": "api",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"forgetaudit.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'forgetaudit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
