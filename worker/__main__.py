"""The command line: `python -m worker`, or `ai-video-worker`."""

import io
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal, TypeAlias

import typer

from statemachine import JsonValue, PermanentError, StateMachineError
from statemachine.errors import StoreCorruptError
from worker.local.operator_line import operate_app
from worker.models import AspectRatio

EXIT_CODES = """\b
Exit codes:
  0    done, or at rest until a person has decided (--review)
  1    the job failed, or the disk or the file of jobs did; the message says why and how to go on
  2    wrong use: an option, a job's id, or a file that cannot be used
  130  interrupted (Ctrl-C, SIGTERM, or nobody reads the output any more); the message says how to go on
"""

app = typer.Typer(
    name="ai-video-worker",
    help="Turns a recording into a video: transcribes it, plans scenes, makes a clip for each, joins them under it.",
    epilog=EXIT_CODES,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they print local variables, whole jobs among them
    rich_markup_mode=None,  # plain help keeps its lines, and starts without loading rich
)

Home: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="Where jobs are kept.  [default: AI_VIDEO_HOME, or ~/.local/share/ai-video-worker]",
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Answer in JSON, one object a line.")]
JobId: TypeAlias = Annotated[str, typer.Argument(metavar="ID", help="Of a job; its beginning is enough.")]
VideoFile: TypeAlias = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="VIDEO", help="Where to put the finished video.")
]
Transcriber: TypeAlias = Annotated[
    Literal["sphinx", "aws"] | None,
    typer.Option(help="Who listens: the offline recogniser, or Amazon Transcribe.  [default: AI_VIDEO_TRANSCRIBER]"),
]
Planner: TypeAlias = Annotated[
    Literal["rules", "openai"] | None,
    typer.Option(help="Who decides what is seen.  [default: AI_VIDEO_PLANNER]"),
]
Renderer: TypeAlias = Annotated[
    Literal["storyboard", "veo"] | None,
    typer.Option(help="Who makes the clips; veo costs money.  [default: AI_VIDEO_RENDERER]"),
]
MaxCost: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        min=0,
        metavar="USD",
        help="Order no clips that would cost more; at most AI_VIDEO_MAX_COST_USD.  [default: that]",
    ),
]
LaterMaxCost: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        min=0,
        metavar="USD",
        help="A new limit for all clips of the job; at most AI_VIDEO_MAX_COST_USD.  [default: as it was begun with]",
    ),
]
BeatsFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--beats", metavar="FILE", help='Scenes to change: JSON, [{"scene_index": 0, "visual_prompt": "…"}].'),
]


@app.command(epilog=EXIT_CODES)
def run(  # noqa: PLR0913, RUF100 - one parameter for each option
    audio: Annotated[
        Path,
        typer.Argument(metavar="AUDIO", help="The recording; a transcript may lie beside it (.txt, .vtt or .srt)."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="VIDEO", help="Where to put the finished video.")],
    *,
    aspect: Annotated[AspectRatio, typer.Option(help="Shape of the picture.")] = "16:9",
    style: Annotated[str, typer.Option(help="How it is to look.")] = "cinematic",
    language: Annotated[str, typer.Option(help="Of the speech, for instance en-US; auto finds it out.")] = "auto",
    review: Annotated[bool, typer.Option("--review", help="Stop when the scenes are planned, for approval.")] = False,
    captions: Annotated[bool, typer.Option(help="Captions in the video, and beside it as .vtt.")] = True,
    max_scenes: Annotated[int, typer.Option(min=1, help="Refuse a recording that needs more scenes.")] = 75,
    max_cost: MaxCost = None,
    transcriber: Transcriber = None,
    planner: Planner = None,
    renderer: Renderer = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a video of a recording."""
    options = {
        "aspect_ratio": aspect,
        "style": style,
        "language": language,
        "max_scenes": max_scenes,
        "max_cost_usd": max_cost,
        "review_before_render": review,
        "captions": captions,
    }
    _in_session(
        lambda session: session.run(audio, output, options),
        home,
        as_json,
        transcriber=transcriber,
        planner=planner,
        renderer=renderer,
    )


@app.command(epilog=EXIT_CODES)
def resume(job_id: JobId, output: VideoFile = None, *, home: Home = None, as_json: AsJson = False) -> None:
    """Go on with an interrupted job.

    Of one that is completed, only the video is written.  One that another process works on is waited for, and taken
    over when that process is gone.
    """
    _in_session(lambda session: session.resume(job_id, output), home, as_json)


@app.command(epilog=EXIT_CODES)
def retry(  # noqa: PLR0913, RUF100 - one parameter for each option
    job_id: JobId,
    output: VideoFile = None,
    *,
    beats: BeatsFile = None,
    max_cost: LaterMaxCost = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Send a failed job back to where it failed.

    Everything that was made is kept.  A scene that a content filter refused has to be changed, with --beats.
    """
    _in_session(lambda session: session.retry(job_id, output, beats, max_cost), home, as_json)


@app.command(epilog=EXIT_CODES)
def approve(  # noqa: PLR0913, RUF100 - one parameter for each option
    job_id: JobId,
    output: VideoFile = None,
    *,
    beats: BeatsFile = None,
    max_cost: LaterMaxCost = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Approve the planned scenes, and make the video."""
    _in_session(lambda session: session.approve(job_id, output, beats, max_cost), home, as_json)


@app.command(epilog=EXIT_CODES)
def cancel(job_id: JobId, *, home: Home = None, as_json: AsJson = False) -> None:
    """Stop a job, whoever works on it."""
    _in_session(lambda session: session.cancel(job_id), home, as_json)


@app.command(name="list", epilog=EXIT_CODES)
def list_jobs(
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 1000,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the jobs, newest first."""
    _in_session(lambda session: session.list_jobs(limit), home, as_json)


@app.command(epilog=EXIT_CODES)
def show(
    job_id: JobId,
    *,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="The state machine, with the job's state marked.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show one job: steps, scenes, attempts, errors."""
    _in_session(lambda session: session.show(job_id, as_mermaid=mermaid), home, as_json)


@app.command(epilog=EXIT_CODES)
def doctor(*, home: Home = None, as_json: AsJson = False) -> None:
    """Look at every configured part: reachable, allowed, and not about to be retired.  Spends nothing.

    Exit code 1 when something is broken; warnings leave it 0.
    """
    _in_session(lambda session: session.doctor(), home, as_json)


@app.command(epilog=EXIT_CODES)
def estimate(  # noqa: PLR0913, RUF100 - one parameter for each option
    *,
    seconds: Annotated[float | None, typer.Option(min=0.5, help="Of recording.  [default: 60]")] = None,
    recording: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Measure this recording instead of --seconds.")
    ] = None,
    veo_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who makes the clips.  [default: AI_VIDEO_VEO_MODEL]")
    ] = None,
    openai_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who plans the scenes.  [default: AI_VIDEO_OPENAI_MODEL]")
    ] = None,
    videos_per_month: Annotated[int, typer.Option(min=1, help="How many are made.")] = 100,
    document: Annotated[bool, typer.Option("--document", help="Print docs/costs.md instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what videos cost on AWS, before any is made.  Asks nobody and spends nothing."""

    def command(_: object) -> int:
        from worker.local import estimate  # noqa: PLC0415 - media: --help must not wait for it

        if document:
            return estimate.document()
        return estimate.estimate(
            seconds=seconds,
            recording=recording,
            veo_model=veo_model,
            openai_model=openai_model,
            videos_per_month=videos_per_month,
            as_json=as_json,
        )

    _answer(command, as_json)


@app.command(epilog=EXIT_CODES)
def graph(
    *,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="The diagram alone.")] = False,
    table: Annotated[bool, typer.Option("--table", help="The table of states alone.")] = False,
    write: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there.")] = None,
) -> None:
    """Print the state machine, as Markdown."""
    if mermaid and table:
        raise typer.BadParameter("--mermaid and --table are two forms; choose one, or neither for a document of both")
    form: Literal["document", "mermaid", "table"] = "mermaid" if mermaid else "table" if table else "document"
    _answer(lambda commands: commands.graph(form, write), as_json=False)


@app.command(epilog=EXIT_CODES)
def serve(  # noqa: PLR0913, RUF100 - one parameter for each option
    *,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    any_host: Annotated[
        bool, typer.Option("--any-host", help="Listen elsewhere than on this machine: whoever comes can be anybody.")
    ] = False,
    empty: Annotated[bool, typer.Option("--empty", help="Begin a new home without the sample recordings.")] = False,
    session_seconds: Annotated[int, typer.Option(min=1, help="How long a sign-in lasts.")] = 3600,
    page: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The built page.  [default: frontend/dist-demo]")
    ] = None,
    transcriber: Transcriber = None,
    planner: Planner = None,
    renderer: Renderer = None,
    home: Home = None,
) -> None:
    """Serve the page, the API and the jobs on this machine, for trying them.

    Ctrl-C ends it, with exit code 0; jobs go on when it starts again.

    Signing in is only choosing a name, so nobody else can reach it unless told so.
    """
    options = {"host": host, "port": port, "any_host": any_host, "empty": empty, "page": page}
    _in_session(
        lambda session: session.serve(**options, session_seconds=session_seconds),
        home,
        as_json=False,
        transcriber=transcriber,
        planner=planner,
        renderer=renderer,
    )


def main() -> None:
    """Run the command line and exit."""
    signal.signal(signal.SIGTERM, _interrupt)
    # A file's name may hold bytes that are no letters; it is told all the same.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """What asks the program to end is treated as Ctrl-C: children are ended, and the job can be resumed."""
    raise KeyboardInterrupt


def _in_session(  # `chosen`: other settings that the command line gives
    command: Callable[[Any], int],
    home: Path | None,
    as_json: bool,  # noqa: FBT001 - as below
    **chosen: str | None,
) -> None:
    _answer(lambda commands: command(commands.Session(commands.settings_for(home, **chosen), as_json)), as_json)


def _answer(command: Callable[[Any], int], as_json: bool) -> None:  # noqa: FBT001 - private, and said at every call
    """Run a command; a mistake becomes one message and an exit code, never a traceback."""
    try:
        from worker.local import commands  # noqa: PLC0415 - engine, rich and media: --help must not wait for them

        code = command(commands)
    except BrokenPipeError as error:  # `… | head`: there is nobody to tell anything
        raise typer.Exit(130) from error
    except KeyboardInterrupt as error:
        _refuse("interrupted", "INTERRUPTED", "nothing was begun; run it again", as_json=as_json)
        raise typer.Exit(130) from error
    except (PermanentError, StoreCorruptError) as error:
        _refuse(
            "refused", getattr(error, "code", "STORE_CORRUPT"), getattr(error, "message", str(error)), as_json=as_json
        )
        raise typer.Exit(2) from error
    except StateMachineError as error:
        # The disk or the file of jobs failed before a job was touched; its command tells what stops one in mid-job.
        _refuse(
            "refused", getattr(error, "code", "STORE_FAILED"), getattr(error, "message", str(error)), as_json=as_json
        )
        raise typer.Exit(1) from error
    raise typer.Exit(code)


def _refuse(event: str, code: str, message: str, *, as_json: bool) -> None:
    print(f"{event}: {message}", file=sys.stderr)  # noqa: T201 - a message for a person
    if as_json:
        facts: dict[str, JsonValue] = {
            "event": event,
            "id": None,
            "status": "failed",
            "video": None,
            "duration_seconds": None,
            "error": {"code": code, "message": message},
        }
        print(json.dumps(facts, ensure_ascii=False), flush=True)  # noqa: T201 - the answer of a command


app.add_typer(operate_app(_answer), name="operate")

if __name__ == "__main__":
    main()
