"""A small engine for long-running work: a declarative machine, a record in a store, one step per invocation.

It knows nothing of the work itself.  Reading order: `machine` (what is declared), `outcome` (what a step answers),
`execution` (what is stored), `engine` (one turn), `sweeper` (what was lost comes back), then `store` and `dispatcher`
(what must be provided; `memory`, `sqlite` and `aws` provide it) and `testing` (step a machine by hand, explore its
crashes).
"""

from statemachine.clock import Clock, SystemClock
from statemachine.dispatcher import Dispatcher, Event
from statemachine.engine import Engine, TurnResult
from statemachine.errors import PermanentError, StateMachineError, TransientError
from statemachine.execution import NOT_ACCEPTED, Execution, Failure, JsonValue, Patch, Path
from statemachine.machine import BACK, Machine, Resting, Terminal, Transition, Turn, Working
from statemachine.outcome import Advance, Fail, Outcome, Wait
from statemachine.retry import RetryPolicy
from statemachine.store import DueRow, Store
from statemachine.turn import Renewal

__all__ = [
    "BACK",
    "NOT_ACCEPTED",
    "Advance",
    "Clock",
    "Dispatcher",
    "DueRow",
    "Engine",
    "Event",
    "Execution",
    "Fail",
    "Failure",
    "JsonValue",
    "Machine",
    "Outcome",
    "Patch",
    "Path",
    "PermanentError",
    "Renewal",
    "Resting",
    "RetryPolicy",
    "StateMachineError",
    "Store",
    "SystemClock",
    "Terminal",
    "TransientError",
    "Transition",
    "Turn",
    "TurnResult",
    "Wait",
    "Working",
]
