"""For tests of machines: step one by hand (`Stepper`), or try every crash (`Explorer`).

Public, and documented with examples in `docs/testing.md`.  Everything here drives the real engine.
"""

from statemachine.testing.clock import FrozenClock, VirtualClock
from statemachine.testing.explorer import Exploration, Explorer, Finding, Run
from statemachine.testing.scenario import Effects, Scenario
from statemachine.testing.stepper import Stepper, StuckError

__all__ = [
    "Effects",
    "Exploration",
    "Explorer",
    "Finding",
    "FrozenClock",
    "Run",
    "Scenario",
    "Stepper",
    "StuckError",
    "VirtualClock",
]
