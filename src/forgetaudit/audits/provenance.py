"""What every report says of how it came about: the gate's settings, versions, and the time each part took."""

import platform
import time
from importlib import metadata

from forgetaudit import __version__
from forgetaudit.policy import Policy

__all__ = ["Clock", "gate_settings", "versions"]


def gate_settings(policy: Policy) -> dict[str, object]:
    """How sure a verdict had to be."""
    return {
        "confidence": policy.confidence,
        "min_samples": policy.min_samples,
        "fail_when": policy.fail_when.value,
        "on_inconclusive": policy.on_inconclusive.value,
    }


def versions(*packages: str) -> dict[str, str]:
    """Of this package, the interpreter, and the packages named."""
    found = {"forgetaudit": __version__, "python": platform.python_version()}
    return found | {package: metadata.version(package) for package in packages}


class Clock:
    """Wall seconds of each part of the work, for the one place of a report where times live. Mutable."""

    def __init__(self) -> None:
        self._started = time.time()
        self._last = time.perf_counter()
        self._seconds: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """The part `name` ends now."""
        now = time.perf_counter()
        self._seconds[name] = round(now - self._last, 3)
        self._last = now

    def laps(self) -> dict[str, object]:
        """When the work started, and what each part took."""
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._started))
        return {"started": started, "seconds": dict(self._seconds)}
