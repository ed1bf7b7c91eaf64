"""A process of its own: orders eight clips in one turn, brings them home in the next, and says what that took.

Prints two numbers in MB: what was resident between the turns, and the most that ever was.  Run by `benchmarks.veo`.
"""

import sys
import tempfile
from datetime import timedelta
from itertools import count
from pathlib import Path

from benchmarks._memory import peak_megabytes, resident_megabytes
from statemachine import Advance, SystemClock
from tests.worker.fakes import FakeTurn, planned_job_data
from worker.models import VEO_3_1_FAST
from worker.providers.directory_media_store import DirectoryMediaStore
from worker.providers.google_credentials import from_key_file
from worker.providers.pyav_assembler import PyAvAssembler
from worker.providers.veo import VeoRenderer, VertexProject
from worker.steps.render import RenderPorts, render


def main(url: str, key_file: str, scenes: int) -> None:
    """Run both turns against the simulator at `url`."""
    renderer = VeoRenderer(
        VEO_3_1_FAST,
        place=VertexProject("proj-1", "us-central1", url, url),
        tokens=from_key_file(Path(key_file)),
        output_uri="gs://clips",
        clock=SystemClock(),
    )
    with tempfile.TemporaryDirectory() as folder:
        ids = count(1)
        ports = RenderPorts(
            renderer, PyAvAssembler(), DirectoryMediaStore(Path(folder)), lambda: f"{next(ids):032x}", Path(folder)
        )
        turn = FakeTurn(planned_job_data(scenes=scenes, beat_seconds=8.0), time_left=timedelta(minutes=14))
        turn.apply(render(turn.job, turn=turn, ports=ports).patch)
        idle = resident_megabytes()
        turn.now += timedelta(minutes=5)
        outcome = render(turn.job, turn=turn, ports=ports)
    renderer.close()
    if not isinstance(outcome, Advance):
        raise RuntimeError(f"the clips did not all come home: {outcome}")  # noqa: TRY004  an answer, not a wrong type
    print(idle, peak_megabytes())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
