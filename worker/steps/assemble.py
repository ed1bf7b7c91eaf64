"""`assembling`: clips and recording become the video, with captions and a poster."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from statemachine import Advance, JsonValue, Outcome, PermanentError, Turn
from worker.captions import captions_from, webvtt
from worker.job import FINAL_VIDEO_URL, MEDIA, Caption, Job, Transcript
from worker.keys import content_key, content_key_of_bytes
from worker.ports import MediaStore, SceneClip, VideoAssembler

# The poster is taken a little into the video: its first frame is a fade from black.
POSTER_AT_SECONDS = 2.0
POSTER_WIDTH = 1280


def assemble(
    job: Job, *, turn: Turn, assembler: VideoAssembler, media: MediaStore, work_folder: Path | None = None
) -> Outcome:
    """Join the clips under the recording, and keep the result only when probing it finds what was asked for."""
    del turn  # one uninterrupted piece of work; the engine's lease covers it
    audio_key = job.media.audio_key
    if audio_key is None or any(task.clip_key is None for task in job.tasks):
        raise PermanentError("STITCH_FAILED", "a clip or the encoded recording is missing; retry makes it again")
    captions = _captions(job, media) if job.options.captions else ()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=work_folder)))
        scenes = [
            SceneClip(
                path=stack.enter_context(media.local_copy(task.clip_key or "")),
                start_seconds=beat.start_seconds,
                end_seconds=beat.end_seconds,
            )
            for beat, task in zip(job.beats, job.tasks, strict=True)
        ]
        audio = stack.enter_context(media.local_copy(audio_key))
        video, poster = folder / "video.mp4", folder / "poster.jpg"
        facts = assembler.assemble(scenes, audio=audio, captions=captions, destination=video)
        poster_at = min(POSTER_AT_SECONDS, facts.duration_seconds / 2)
        assembler.thumbnail(video, poster, at_seconds=poster_at, width=min(POSTER_WIDTH, facts.width))
        video_key = content_key(video, prefix=job.prefix, name="video")
        poster_key = content_key(poster, prefix=job.prefix, name="poster")
        media.upload(video, video_key)
        media.upload(poster, poster_key)
    patch: dict[tuple[str, ...], JsonValue] = {
        FINAL_VIDEO_URL: media.uri(video_key),
        (*MEDIA, "video_key"): video_key,
        (*MEDIA, "poster_key"): poster_key,
        (*MEDIA, "duration_seconds"): facts.duration_seconds,
    }
    if captions:
        sidecar = webvtt(captions).encode()
        captions_key = content_key_of_bytes(sidecar, prefix=job.prefix, name="captions", suffix=".vtt")
        media.write(sidecar, captions_key)
        patch[*MEDIA, "captions_key"] = captions_key
    return Advance("assembled", patch)


def _captions(job: Job, media: MediaStore) -> tuple[Caption, ...]:
    key = job.audio_transcription.full_json_s3_key
    if key is None:
        return ()
    with media.open(key) as stream:
        return captions_from(Transcript.model_validate_json(stream.read()))
