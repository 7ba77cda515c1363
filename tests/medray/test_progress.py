from __future__ import annotations

import io
import json

from medray.progress import Reporter, StageLog


def lines_of(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_is_one_object_a_line() -> None:
    stream = io.StringIO()
    log = StageLog(Reporter(as_json=True, stream=stream), "curate")
    log.event("first\nsecond", kept=3, language="日本語")
    log.event("done")
    first, second = lines_of(stream)
    assert (first["stage"], first["message"]) == ("curate", "first\nsecond")
    assert (first["kept"], first["language"]) == (3, "日本語")
    assert isinstance(first["time"], float)
    assert second["message"] == "done"
    assert "日本語" in stream.getvalue()


def test_text_is_one_line_an_event() -> None:
    stream = io.StringIO()
    StageLog(Reporter(as_json=False, stream=stream), "curate").event("done", seconds=1.5)
    assert stream.getvalue().split() == ["curate", "done", "seconds=1.5"]


def test_progress_in_json_tells_the_first_and_the_last_and_little_between() -> None:
    stream = io.StringIO()
    log = StageLog(Reporter(as_json=True, stream=stream), "curate")
    for done in range(1, 501):
        log.progress("shards", done, 500)
    told = lines_of(stream)
    assert (told[0]["done"], told[0]["total"], told[0]["unit"]) == (1, 500, "shards")
    assert told[-1]["done"] == 500
    # 500 calls take milliseconds, and a line comes every 5 s.
    assert len(told) < 10


def test_a_bar_is_drawn_on_the_reporters_stream() -> None:
    stream = io.StringIO()
    log = StageLog(Reporter(as_json=False, stream=stream), "curate")
    log.progress("shards", 1, 4)
    log.progress("steps", 1, 2)
    log.progress("steps", 2, 2)
    log.close()
    log.close()
    assert "curate" in stream.getvalue()
    assert "shards" in stream.getvalue()
