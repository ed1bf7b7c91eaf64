"""THE MACHINE, on one screen.

transcribing → planning → (reviewing →) rendering → assembling → completed
every one of them → failed (a step gave up, or a person cancelled) → back to where it failed (a person retried)
"""

from datetime import timedelta
from functools import partial

from statemachine import BACK, Machine, Resting, RetryPolicy, Terminal, Transition, Working
from worker.job import Job
from worker.models import VideoModel
from worker.ports import ScenePlanner, Transcriber
from worker.steps.assemble import assemble
from worker.steps.plan import plan
from worker.steps.render import RenderPorts, render
from worker.steps.transcribe import transcribe

WORKING = ("transcribing", "planning", "rendering", "assembling")

# The longest turn that any part may ask for; the function's timeout is this and 20 s more.
LONGEST_TURN = timedelta(minutes=14)

# Outlasts some six and a half minutes of a vendor's trouble, which most are shorter than; a failed job wants a person.
PATIENT = RetryPolicy(max_attempts=8, first_delay=timedelta(seconds=5), max_delay=timedelta(minutes=2))


def pipeline(
    *,
    transcriber: Transcriber,
    planner: ScenePlanner,
    parts: RenderPorts,
    longest_recording: timedelta,
    transcribing_turn: timedelta,
    rendering_turn: timedelta,
    model: VideoModel | None = None,
) -> Machine[Job]:
    """From a recording to a video.

    `…_turn`: how long one turn takes with the parts that were chosen.  `model`: of the renderer, for who does not want
    to ask it yet.
    """
    model = model or parts.renderer.model
    return Machine(
        "ai-video",
        initial="transcribing",
        states=[
            Working(
                "transcribing",
                step=partial(
                    transcribe,
                    transcriber=transcriber,
                    assembler=parts.assembler,
                    media=parts.media,
                    longest=longest_recording,
                    work_folder=parts.work_folder,
                ),
                deadline=timedelta(hours=1),
                max_turn=transcribing_turn,
                retry=PATIENT,
                note="starts or joins the transcription; encodes the recording to AAC once; fetches the transcript",
            ),
            Working(
                "planning",
                step=partial(plan, planner=planner, media=parts.media, model=model),
                deadline=timedelta(minutes=20),
                max_turn=timedelta(minutes=4),
                retry=PATIENT,
                note="cuts the recording into beats and decides what is seen in each",
            ),
            Resting("reviewing", note="waits for a person to approve or edit the beats"),
            Working(
                "rendering",
                step=partial(render, ports=parts),
                deadline=_rendering_deadline,
                max_turn=rendering_turn,
                retry=PATIENT,
                note="orders, polls, fetches and conforms one clip per scene",
            ),
            Working(
                "assembling",
                step=partial(assemble, assembler=parts.assembler, media=parts.media, work_folder=parts.work_folder),
                deadline=timedelta(hours=1),
                max_turn=LONGEST_TURN,
                retry=RetryPolicy(max_attempts=3),
                note="joins clips and recording; writes captions and poster; probes the result",
            ),
            Terminal("completed", note="the video is in the gallery"),
            Terminal("failed", note="a person may retry; what was paid for is kept"),
        ],
        transitions=[
            Transition("transcribed", "transcribing", "planning"),
            Transition("planned", "planning", "rendering"),
            Transition("drafted", "planning", "reviewing"),
            Transition("approved", "reviewing", "rendering"),
            Transition("rendered", "rendering", "assembling"),
            Transition("assembled", "assembling", "completed"),
            Transition("failed", WORKING, "failed"),
            Transition("cancelled", (*WORKING, "reviewing"), "failed"),
            Transition("retried", "failed", BACK),
        ],
        signals={"approved", "cancelled", "retried"},
        load=Job.model_validate,
    )


def _rendering_deadline(job: Job) -> timedelta:
    """A clip takes up to 6 minutes at peak hours, and a narrow quota may serve the scenes one after another."""
    return timedelta(minutes=30) + len(job.scene_beats) * timedelta(minutes=6)
