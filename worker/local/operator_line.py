"""The command line of `worker operate`.  Imports nothing that takes time: `--help` must not wait."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

import typer

# How `worker.__main__` runs a command: a mistake becomes one message and an exit code.
Answer: TypeAlias = Callable[[Callable[[Any], int], bool], None]

FunctionName: TypeAlias = Annotated[
    str,
    typer.Option(
        "--function",
        envvar="AI_VIDEO_FUNCTION_NAME",
        metavar="NAME",
        help="The deployed function, whose settings are used; empty: those of the environment here.",
    ),
]
TableName: TypeAlias = Annotated[
    str | None, typer.Option("--table", metavar="NAME", help="Another table than the function's: a restored one.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Answer in JSON, one object a line.")]
Ids: TypeAlias = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Of jobs, as `find` prints them.")]
Codes: TypeAlias = Annotated[
    list[str] | None, typer.Option("--code", metavar="CODE", help="That failed with this; may be given several times.")
]
States: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--state", metavar="STATE", help="That failed in this state, or stand in it; may be given several times."
    ),
]
Since: TypeAlias = Annotated[
    str | None, typer.Option("--since", metavar="WHEN", help="That failed, or were saved, since: 2h, 3d, or a moment.")
]
Until: TypeAlias = Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Before: as --since.")]
Owner: TypeAlias = Annotated[str | None, typer.Option("--owner", metavar="SUB", help="Of this user.")]
Video: TypeAlias = Annotated[str | None, typer.Option("--video", metavar="ID", help="Of this `videoId`.")]
Limit: TypeAlias = Annotated[int | None, typer.Option("--limit", min=1, help="How many at most.")]
Go: TypeAlias = Annotated[bool, typer.Option("--go", help="Do it; without, only say what would be done.")]
AtOnce: TypeAlias = Annotated[int, typer.Option("--at-once", min=1, max=64, help="How many side by side.")]


def operate_app(answer: Answer) -> typer.Typer:  # noqa: C901  one function for each command
    """The commands of `operate`."""
    app = typer.Typer(
        help="Look after the jobs of a deployed function: see docs/operations.md.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )

    def run(function: str, table: str | None, as_json: bool, work: Callable[[Any], int]) -> None:  # noqa: FBT001  said at every call
        def command(_: object) -> int:
            from worker.local import operate  # noqa: PLC0415  brings boto3: 0.3 s
            from worker.providers.aws_account import require_account  # noqa: PLC0415  as above
            from worker.providers.aws_function import environment_of  # noqa: PLC0415  as above

            require_account()
            environment = environment_of(function) if function else {}
            settings = operate.settings_of(environment, function_name=function, table_name=table)
            with operate.told():
                return work(operate.Operator(settings, as_json))

        answer(command, as_json)

    @app.command()
    def due(
        *,
        limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
        function: FunctionName = "",
        table: TableName = None,
        as_json: AsJson = False,
    ) -> None:
        """List what is active, the longest due first: what waits, what is late, what is damaged.

        It reads the due index, and costs what is active.
        """
        run(function, table, as_json, lambda operator: operator.due(limit))

    @app.command()
    def find(  # noqa: PLR0913  one parameter for each option
        *,
        status: Annotated[
            Literal["processing", "completed", "failed"] | None, typer.Option(help="That are at this.")
        ] = None,
        code: Codes = None,
        state: States = None,
        since: Since = None,
        until: Until = None,
        owner: Owner = None,
        video: Video = None,
        limit: Limit = None,
        function: FunctionName = "",
        table: TableName = None,
        as_json: AsJson = False,
    ) -> None:
        """List jobs.  Reads the whole table, and says what that cost."""
        selection = _selection(
            status=status, code=code, state=state, since=since, until=until, owner=owner, video=video, limit=limit
        )
        run(function, table, as_json, lambda operator: operator.find(operator.wanted(**selection)))

    @app.command()
    def show(
        job_id: Annotated[str, typer.Argument(metavar="ID", help="Of a job, as `find` prints it.")],
        *,
        function: FunctionName = "",
        table: TableName = None,
        as_json: AsJson = False,
    ) -> None:
        """Show one job: its timeline, what the engine knows, and where everything of it lies."""
        run(function, table, as_json, lambda operator: operator.show(job_id))

    def act(  # noqa: PLR0913  what a command was given
        verb: Literal["retry", "cancel", "resume"],
        ids: list[str] | None,
        selection: Mapping[str, Any],
        *,
        go: bool,
        at_once: int,
        function: str,
        table: str | None,
        as_json: bool,
        max_cost_usd: float | None = None,
    ) -> None:
        def work(operator: Any) -> int:  # noqa: ANN401  its module is loaded later
            done: int = operator.act(
                verb, ids or [], operator.wanted(**selection), go=go, at_once=at_once, max_cost_usd=max_cost_usd
            )
            return done

        run(function, table, as_json, work)

    @app.command()
    def retry(  # noqa: PLR0913  as above
        ids: Ids = None,
        *,
        code: Codes = None,
        state: States = None,
        since: Since = None,
        until: Until = None,
        owner: Owner = None,
        video: Video = None,
        limit: Limit = None,
        max_cost: Annotated[
            float | None, typer.Option("--max-cost", min=0, metavar="USD", help="A new limit for each job's clips.")
        ] = None,
        go: Go = False,
        at_once: AtOnce = 8,
        function: FunctionName = "",
        table: TableName = None,
        as_json: AsJson = False,
    ) -> None:
        """Send failed jobs back to where they failed.  What was made is kept."""
        act(
            "retry",
            ids,
            _selection(code=code, state=state, since=since, until=until, owner=owner, video=video, limit=limit),
            go=go,
            at_once=at_once,
            function=function,
            table=table,
            as_json=as_json,
            max_cost_usd=max_cost,
        )

    @app.command()
    def cancel(  # noqa: PLR0913  as above
        ids: Ids = None,
        *,
        state: States = None,
        since: Since = None,
        until: Until = None,
        owner: Owner = None,
        video: Video = None,
        limit: Limit = None,
        go: Go = False,
        at_once: AtOnce = 8,
        function: FunctionName = "",
        table: TableName = None,
        as_json: AsJson = False,
    ) -> None:
        """Stop jobs.  Clips on order are paid for, and found again by a retry."""
        act(
            "cancel",
            ids,
            _selection(state=state, since=since, until=until, owner=owner, video=video, limit=limit),
            go=go,
            at_once=at_once,
            function=function,
            table=table,
            as_json=as_json,
        )

    @app.command()
    def resume(  # noqa: PLR0913  as above
        ids: Ids = None,
        *,
        state: States = None,
        since: Since = None,
        until: Until = None,
        owner: Owner = None,
        video: Video = None,
        limit: Limit = None,
        go: Go = False,
        at_once: AtOnce = 8,
        function: FunctionName = "",
        table: TableName = None,
        as_json: AsJson = False,
    ) -> None:
        """Wake jobs that wait, now: attempts and crashes are forgotten.  One at whose turn somebody works is left."""
        act(
            "resume",
            ids,
            _selection(state=state, since=since, until=until, owner=owner, video=video, limit=limit),
            go=go,
            at_once=at_once,
            function=function,
            table=table,
            as_json=as_json,
        )

    @app.command()
    def carry(
        ids: Ids = None,
        *,
        source: Annotated[
            str, typer.Option("--from", metavar="NAME", help="The table in which the jobs have gone on: the old one.")
        ],
        go: Go = False,
        at_once: AtOnce = 8,
        function: FunctionName = "",
        table: TableName = None,
        as_json: AsJson = False,
    ) -> None:
        """Bring jobs to a restored table as they stand in the old one, where they have gone further there.

        Nothing that was written here since is overwritten.  Without ids: all jobs; both tables are read whole.
        """
        run(function, table, as_json, lambda operator: operator.carry(source, ids or [], go=go, at_once=at_once))

    return app


def _selection(
    *,
    state: list[str] | None,
    since: str | None,
    until: str | None,
    owner: str | None,
    video: str | None,
    limit: int | None,
    status: str | None = None,
    code: list[str] | None = None,
) -> dict[str, Any]:
    """Which jobs a command means, in the words of `operate.Operator.wanted`."""
    return {
        "status": status,
        "codes": tuple(each.upper() for each in code or ()),
        "states": tuple(state or ()),
        "since": since,
        "until": until,
        "owner_id": owner,
        "video_id": video,
        "limit": limit,
    }
