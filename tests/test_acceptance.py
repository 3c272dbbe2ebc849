"""The acceptance walk, over real processes; and whether it would notice a server that is wrong."""

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pydantic import ValidationError

from cineflow import stack
from cineflow.acceptance.accept import Site, accept
from cineflow.acceptance.client import Api
from cineflow.acceptance.record import Record, as_markdown, narrow, width
from cineflow.acceptance.shapes import Storyboard, Task
from cineflow.acceptance.walk import Line, Step, Verdict, Walk
from cineflow.management.commands.demo import free_port

ROOT = Path(__file__).resolve().parent.parent
LINES = 42
SITE = Site(version="test", environment="test", today=datetime(2026, 11, 22, tzinfo=UTC))
STEP = Step("1", "GET /api/v1/runs", "列表", lambda walk: "")


@pytest.fixture
def environment(data_dir: Path) -> Iterator[dict[str, str]]:
    """Of an installation with nothing in it yet, on this half's kind of database."""
    with _fresh_database(data_dir) as url:
        keys = ("SORA_API_KEY", "OPENAI_API_KEY", "AIHUBMIX_API_KEY", "AUTH_TOKEN")
        empty = dict.fromkeys(keys, "")
        yield {**empty, "DATABASE_URL": url, "CINEFLOW_DATA_DIR": str(data_dir)}


@contextmanager
def _fresh_database(folder: Path) -> Iterator[str]:
    shared = os.environ.get("DATABASE_URL", "")
    if not shared.startswith("postgres"):
        yield f"sqlite:///{folder / 'cineflow.sqlite3'}"
        return
    name = f"acceptance_{uuid4().hex}"
    with psycopg.connect(shared, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"'.encode())
        yield urlsplit(shared)._replace(path=f"/{name}").geturl()
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@contextmanager
def server_that_says(body: object) -> Iterator[str]:
    """Answers everything with 200 and this."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = answer

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def walked(url: str, token: str = "") -> Record:
    return accept(Walk(Api(url, token)), SITE, tell=lambda title, line: None)


def test_the_demo_starts_walks_records_and_leaves_its_videos(
    environment: dict[str, str], data_dir: Path
) -> None:
    command = [sys.executable, "manage.py", "demo"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"Accepted: {LINES} passed, 0 failed, 0 not tested" in done.stdout
    (record,) = data_dir.glob("acceptance-*.md")
    assert "FAIL |" not in record.read_text()
    videos = sorted(data_dir.glob("output/run_*/*.mp4"))
    assert [video.name for video in videos] == ["00001-t1-a1.mp4", "00002-t1-a1.mp4"]
    assert all(str(video) in done.stdout for video in videos)


def test_a_server_without_a_token_passes_all_but_the_two_that_need_one(
    environment: dict[str, str], data_dir: Path
) -> None:
    with stack.running(free_port(), env=environment, logs=data_dir / "logs") as running:
        record = walked(running.url)
    assert [line for line in record.lines if line.verdict == Verdict.FAIL] == []
    assert (record.count(Verdict.PASS), record.count(Verdict.NOT_TESTED)) == (LINES - 2, 2)


@pytest.mark.parametrize(
    "nonsense", [{}, [], "ok", {"items": [], "page": 1, "page_size": 20, "total": 0}]
)
def test_a_server_that_answers_nonsense_passes_no_line(nonsense: object) -> None:
    with server_that_says(nonsense) as url:
        record = walked(url)
    assert len(record.lines) == LINES
    assert record.count(Verdict.PASS) == 0


def test_a_server_that_has_gone_away_passes_no_line_and_still_gets_its_record() -> None:
    record = walked("http://127.0.0.1:1")
    assert (record.count(Verdict.PASS), len(record.failed)) == (0, LINES)
    assert "没有得到响应" in as_markdown(record)


def test_the_command_says_so_when_no_server_is_there() -> None:
    with pytest.raises(CommandError, match="No CineFlow answers"):
        call_command("demo", url="http://127.0.0.1:1", stdout=io.StringIO())


def test_the_command_fails_when_a_line_does() -> None:
    out = io.StringIO()
    with server_that_says({"status": "ok"}) as url, pytest.raises(CommandError, match="40 failed"):
        call_command("demo", url=url, stdout=out)
    assert "- 问题 40：" in out.getvalue()


TASK = {
    "id": "task_1",
    "status": "completed",
    "video_url": None,
    "metadata_url": "/m",
    "full_prompt": "A street.",
    "error_msg": None,
    "error_code": None,
    "retryable": None,
    "segment_index": 1,
}


@pytest.mark.parametrize(
    "change",
    [
        {"segment_index": "1"},
        {"segment_index": True},
        {"metadata_url": None},
        {"status": "done"},
        {"error_code": "timeout"},
        {"status": "failed", "error_code": "timeout", "error_msg": "It took too long."},
    ],
)
def test_a_task_of_another_shape_is_noticed(change: dict[str, object]) -> None:
    Task.model_validate_json(json.dumps(TASK))
    with pytest.raises(ValidationError):
        Task.model_validate_json(json.dumps(TASK | change))


def test_a_field_too_many_is_noticed_where_there_may_be_none() -> None:
    summary = {"id": "sb_1", "name": "a", "created_at": "2026-01-02T10:10:10Z", "segment_count": 1}
    Storyboard.model_validate_json(json.dumps(summary))
    with pytest.raises(ValidationError):
        Storyboard.model_validate_json(json.dumps(summary | {"owner": None}))


def test_the_record_s_columns_are_straight_and_a_pipe_does_not_break_them() -> None:
    lines = [Line(STEP, actual, Verdict.PASS) for actual in ("a | b", "列表含 sb_1")]
    text = as_markdown(Record(filters=lines))
    table = [line for line in text.splitlines() if line.startswith("|") and "期望结果" not in line]
    rows = [line for line in table if "GET /api/v1/runs" in line]
    assert len({width(row) for row in rows}) == 1
    assert r"| a \| b " in rows[0]
    assert r"| GET /api/v1/runs | 1 | 列表 | a \| b | PASS | |" in narrow(text)
