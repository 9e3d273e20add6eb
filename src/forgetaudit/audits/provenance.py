"""What every report says of how it came about: the gate's settings, versions, and the time each part took."""

import platform
import time
from datetime import UTC, date, datetime
from importlib import metadata
from typing import Any

from forgetaudit import __version__
from forgetaudit.judge.policy_record import record
from forgetaudit.policy import Policy

__all__ = ["Clock", "gate_settings", "versions"]


def gate_settings(policy: Policy) -> dict[str, Any]:
    """How sure a verdict had to be, and every rule, so that the report can be judged again."""
    return record(policy)


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

    @property
    def today(self) -> date:
        """The day on which the work started, in UTC: waivers end."""
        return datetime.fromtimestamp(self._started, UTC).date()

    def lap(self, name: str) -> None:
        """The part `name` ends now."""
        now = time.perf_counter()
        self._seconds[name] = round(now - self._last, 3)
        self._last = now

    def laps(self) -> dict[str, object]:
        """When the work started, the day that waivers were judged on, and what each part took."""
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._started))
        return {"started": started, "judged_on": self.today.isoformat(), "seconds": dict(self._seconds)}
