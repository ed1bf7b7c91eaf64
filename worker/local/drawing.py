"""The machine as it is drawn for people: over parts that are never called."""

from datetime import timedelta
from typing import Any

from statemachine import Machine
from statemachine.diagram import mermaid, table
from worker.bootstrap import Worker
from worker.job import Job
from worker.models import STORYBOARD
from worker.pipeline import pipeline
from worker.steps.render import RenderPorts


def drawn_machine() -> Machine[Job]:
    """The pipeline over parts that are never called: a picture needs none, and makes no folders."""
    nobody: Any = _Nobody()
    return pipeline(
        transcriber=nobody,
        planner=nobody,
        parts=RenderPorts(renderer=nobody, assembler=nobody, media=nobody, new_id=str),
        longest_recording=timedelta(minutes=10),
        transcribing_turn=Worker.transcribing_turn,
        rendering_turn=Worker.rendering_turn,
    )


def document(machine: Machine[Job]) -> str:
    """`docs/state-machine.md`, as it has to stand in the repository."""
    return (
        "# The state machine\n\n"
        "Generated from [worker/pipeline.py](../worker/pipeline.py) by `make docs`; a test compares the two. Where\n"
        "recognising and drawing happen on one machine, a turn of `transcribing` and `rendering` may take as long as\n"
        "one of `assembling`.\n\n"
        f"```mermaid\n{mermaid(machine)}```\n\n{table(machine)}"
    )


class _Nobody:
    """Stands for parts that are not called; the pipeline asks for nothing but the model."""

    model = STORYBOARD
