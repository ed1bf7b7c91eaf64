from pathlib import Path

from worker.keys import content_key, content_key_of_bytes


def test_the_same_content_has_the_same_key_and_other_content_another(tmp_path: Path) -> None:
    one, same, other = tmp_path / "1.mp4", tmp_path / "2.mp4", tmp_path / "3.mp4"
    one.write_bytes(b"clip")
    same.write_bytes(b"clip")
    other.write_bytes(b"another clip")

    keys = [content_key(path, prefix="ai-video/j/r/", name="clips/000") for path in (one, same, other)]

    assert keys[0] == keys[1] != keys[2]
    assert keys[0].startswith("ai-video/j/r/clips/000-")
    assert keys[0].endswith(".mp4")


def test_bytes_have_the_key_that_a_file_of_them_would_have(tmp_path: Path) -> None:
    path = tmp_path / "captions.vtt"
    path.write_bytes(b"WEBVTT\n")

    assert content_key_of_bytes(b"WEBVTT\n", prefix="p/", name="captions", suffix=".vtt") == content_key(
        path, prefix="p/", name="captions"
    )
