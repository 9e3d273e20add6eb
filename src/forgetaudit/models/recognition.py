"""Which network a checkpoint belongs to: what the user said, else what the files beside it say."""

from forgetaudit.models.architecture import Architecture
from forgetaudit.models.evidence import find_evidence
from forgetaudit.models.from_callable import CallableArchitecture
from forgetaudit.plan import AuditPlan

__all__ = ["recognise"]


def recognise(plan: AuditPlan) -> Architecture:
    """The architecture for base and everything tuned from it. ModelError where nothing says which it is."""
    if plan.model is not None:
        return CallableArchitecture(plan.model)
    evidence = find_evidence(plan.base)
    if evidence.library == "timm":
        from forgetaudit.models.from_timm import TimmArchitecture

        return TimmArchitecture(evidence)
    from forgetaudit.models.from_transformers import TransformersArchitecture

    return TransformersArchitecture(evidence, trust_remote_code=plan.settings.trust_remote_code)
