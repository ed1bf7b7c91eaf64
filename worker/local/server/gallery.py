"""Uploads, and the list of them as the platform's own gallery gets it."""

import tempfile
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from statemachine import Execution, PermanentError
from statemachine.execution import from_ms, to_ms
from worker.handlers.api.view import Look
from worker.links import LinkSigner
from worker.local.server.worker import ServedWorker
from worker.ports import ClipRequest
from worker.providers.sqlite_rows import Video
from worker.providers.storyboard import film

# The list is not parted into pages; the platform's own is.
MOST_LISTED = 200

# Of a name, this much is kept: with it a key's last part stays within what file systems take.
_LONGEST_NAME = 60
_LONGEST_SUFFIX = 10
_POSTER_WIDTH = 640

# Files with sound only, though some carry a picture of the cover.
_SOUND_ONLY = frozenset({".aac", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav"})

# What the platform had before there was a worker: a short film, made once, when the gallery is new.
_OLD_TITLE = "Harbour at dawn.mp4"
_OLD_DATE = datetime(2024, 5, 3, 9, 30, tzinfo=UTC)
_OLD_SECONDS = 6.0
_OLD_SCENE = "A lighthouse above a calm sea at dawn, boats leave the harbour"


class Gallery:
    """The videos of everybody, each for its owner alone."""

    def __init__(self, worker: ServedWorker) -> None:
        self._worker = worker

    def add(self, file: Path, *, filename: str, owner_id: str, created_at: datetime | None = None) -> Video:
        """Keep an upload.  Whether it can be made into a video is found out when somebody asks for that."""
        video = self._kept(file, filename=filename, owner_id=owner_id, created_at=created_at)
        self._worker.store.add_videos(video)
        return video

    def _kept(self, file: Path, *, filename: str, owner_id: str, created_at: datetime | None = None) -> Video:
        """What the row of an upload is to be, with everything that it names kept."""
        worker = self._worker
        title = _name(filename)
        video_id = uuid.uuid4().hex[:12]
        folder = f"uploads/{video_id}/"
        key = f"{folder}{title}"
        worker.media.upload(file, key)
        try:
            seconds = worker.probe(key, lambda: None).duration_seconds
        except PermanentError:
            seconds = None  # it has no sound, or is no recording at all
        poster_key = self._poster(file, folder) if PurePosixPath(title).suffix.lower() not in _SOUND_ONLY else None
        return Video(
            video_id=video_id,
            owner_id=owner_id,
            title=title,
            kind="audio" if poster_key is None else "video",
            key=key,
            created_at=from_ms(to_ms(created_at or worker.clock.now())),  # as it is stored
            duration_seconds=seconds,
            poster_key=poster_key,
        )

    def list(self, owner_id: str, links: LinkSigner) -> list[dict[str, Any]]:
        """The user's videos, newest first."""
        found = self._worker.store.videos_of(owner_id, limit=MOST_LISTED)
        return [self.row(video, execution, links) for video, execution in found]

    def row(self, video: Video, execution: Execution | None, links: LinkSigner) -> dict[str, Any]:
        """One row of the list: attributes of old rows, and those of the worker where there is a job."""
        worker = self._worker
        now = worker.clock.now()
        window = links.window(now)
        row: dict[str, Any] = {
            "videoId": video.video_id,
            "title": video.title,
            "kind": video.kind,
            "created_at": video.created_at.isoformat().replace("+00:00", "Z"),
            "url": links.link(video.key, window),
            "duration_seconds": video.duration_seconds,
        }
        if video.poster_key is not None:
            row["poster_url"] = links.link(video.poster_key, window)
        if execution is not None:
            view = Look(execution, now, worker.model, worker.profile).view(links, window).model_dump(mode="json")
            row |= {name: view[name] for name in ("ai_project_type", "ai_generation_status", "ai_generation_data")}
            row |= {name: view["media"][name] for name in ("poster_url", "video_url") if view["media"][name]}
        return row

    def furnish(self, samples: Path, *, owner_id: str) -> None:
        """Put something into a gallery that nobody has used: two recordings, and a film of the old platform.

        All of it or nothing: after a kill in the middle it is still a gallery that nobody has used.
        """
        if self._worker.store.has_videos() or not samples.is_dir():
            return
        with tempfile.TemporaryDirectory(dir=self._worker.work_folder) as folder:
            old = Path(folder) / "old.mp4"
            film.encode(film.frames(_old_scene(), (), is_preview=False), old, aspect_ratio="16:9")
            videos = [self._kept(old, filename=_OLD_TITLE, owner_id=owner_id, created_at=_OLD_DATE)]
        now = self._worker.clock.now()
        for number, recording in enumerate(sorted(samples.glob("*.mp3"))):
            created_at = now - timedelta(minutes=number)  # listed in the order of their names
            videos.append(self._kept(recording, filename=recording.name, owner_id=owner_id, created_at=created_at))
        self._worker.store.add_videos(*videos)

    def _poster(self, file: Path, folder: str) -> str | None:
        """A picture of the film; None when there is no film in the file."""
        with tempfile.TemporaryDirectory(dir=self._worker.work_folder) as temporary:
            picture = Path(temporary) / "poster.jpg"
            try:
                self._worker.assembler.thumbnail(file, picture, at_seconds=1.0, width=_POSTER_WIDTH)
            except PermanentError:
                return None
            key = f"{folder}poster/poster.jpg"
            self._worker.media.upload(picture, key)
            return key


def _name(filename: str) -> str:
    """The last part of what somebody calls a file, as a title and as a part of a key."""
    name = PurePosixPath(filename.replace("\\", "/")).name
    printable = "".join(character for character in name if character.isprintable()).strip(". ")
    stem, _, suffix = printable.rpartition(".")
    if stem and suffix.isascii() and suffix.isalnum() and len(suffix) <= _LONGEST_SUFFIX:
        return f"{stem[:_LONGEST_NAME]}.{suffix}"
    return printable[:_LONGEST_NAME] or "recording"


def _old_scene() -> ClipRequest:
    return ClipRequest(
        intent_id="old",
        prefix="",
        scene_index=0,
        scene_count=1,
        prompt=_OLD_SCENE,
        negative_prompt="",
        narration="",
        seconds=_OLD_SECONDS,
        beat_seconds=_OLD_SECONDS,
        start_seconds=0.0,
        aspect_ratio="16:9",
        seed=1,
        words_key=None,
    )
