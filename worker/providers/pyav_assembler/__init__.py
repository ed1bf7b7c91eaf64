"""`VideoAssembler` on PyAV: FFmpeg's libraries in this process, no ffmpeg binary, no numpy, no Pillow.

- `recording`: what is in a recording, and the recording as AAC
- `conforming`: a clip in the video's one format
- `joining`: clips, recording and captions to one MP4, packet by packet
- `stills`: a frame as JPEG
- `standing`: a frame as a clip, in place of one that could not be made
- `h264`: the few bytes of H.264 that joining has to understand
- `opening`, `whole_files`: files in, files out
"""

from collections.abc import Sequence
from pathlib import Path

from worker.job import Caption
from worker.ports import AudioFacts, SceneClip, VideoFacts, VideoFormat


class PyAvAssembler:
    """Measures, conforms and joins media with PyAV.  Holds no state, so one serves every job."""

    # The parts are imported by the methods: they bring PyAV with them, 60-80 ms and 31 MB (measured 2026-11-22), which
    # an API request on a cold function should not pay.

    def measure(self, recording: Path) -> AudioFacts:
        """As the port says."""
        from worker.providers.pyav_assembler.recording import measure  # noqa: PLC0415 (brings PyAV, see above)

        return measure(recording)

    def encode_audio(self, recording: Path, destination: Path) -> None:
        """As the port says; a recording that `measure` refuses is refused in the same words."""
        from worker.providers.pyav_assembler.recording import encode_audio  # noqa: PLC0415 (brings PyAV, see above)

        encode_audio(recording, destination)

    def conform(self, clip: Path, destination: Path, target: VideoFormat) -> bool:
        """As the port says."""
        from worker.providers.pyav_assembler.conforming import conform  # noqa: PLC0415 (brings PyAV, see above)

        return conform(clip, destination, target)

    def thumbnail(self, clip: Path, destination: Path, *, at_seconds: float, width: int) -> None:
        """As the port says; past the end it is the last frame."""
        from worker.providers.pyav_assembler.stills import thumbnail  # noqa: PLC0415 (brings PyAV, see above)

        thumbnail(clip, destination, at_seconds=at_seconds, width=width)

    def still_clip(
        self, source: Path, destination: Path, *, at_seconds: float, seconds: float, target: VideoFormat
    ) -> None:
        """As the port says."""
        from worker.providers.pyav_assembler.standing import still_clip  # noqa: PLC0415 (brings PyAV, see above)

        still_clip(source, destination, at_seconds=at_seconds, seconds=seconds, target=target)

    def assemble(
        self, scenes: Sequence[SceneClip], *, audio: Path, captions: Sequence[Caption], destination: Path
    ) -> VideoFacts:
        """As the port says."""
        from worker.providers.pyav_assembler.joining import assemble  # noqa: PLC0415 (brings PyAV, see above)

        return assemble(scenes, audio=audio, captions=captions, destination=destination)
