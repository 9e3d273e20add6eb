"""Words to a plan: the command line over the config, every decision taken before anything is opened."""

from forgetaudit.planning.audit import load_config, plan_audit, plan_task, variant_names
from forgetaudit.planning.gate import GateWords, plan_policy, with_confidence
from forgetaudit.planning.repair import FAMILIES, RepairWords

__all__ = [
    "FAMILIES",
    "GateWords",
    "RepairWords",
    "load_config",
    "plan_audit",
    "plan_policy",
    "plan_task",
    "variant_names",
    "with_confidence",
]
