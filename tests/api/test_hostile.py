"""Whatever is sent gets a clear 4xx in the envelope, and leaves nothing behind."""

import re
from collections.abc import Iterator, Sequence

import pytest
from django.utils import timezone

from runs import launch
from runs.models import Task
from storyboards import editing
from storyboards.models import Segment
from tests.api import hostile_cases
from tests.api.hostile_cases import Case
from tests.api.served import Answer, Server, everything_stored, served
from tests.seeds import seed

GROUPS = {
    group.__name__: list(group())
    for group in (
        hostile_cases.broken_json,
        hostile_cases.json_fields,
        hostile_cases.content_types,
        hostile_cases.multiparts,
        hostile_cases.storyboards,
        hostile_cases.images,
        hostile_cases.ids,
        hostile_cases.queries,
        hostile_cases.methods,
        hostile_cases.paths,
        hostile_cases.headers,
    )
}


@pytest.fixture(scope="module", params=["0", "1"], ids=["plain", "DEBUG"])
def open_server(
    request: pytest.FixtureRequest, django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    limit = str(hostile_cases.UPLOAD_LIMIT)
    folder = tmp_path_factory.mktemp("open")
    with served(folder, DEBUG=request.param, AUTH_TOKEN="", MAX_UPLOAD_BYTES=limit) as server:
        yield server


@pytest.fixture(scope="module")
def guarded_server(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("guarded")
    with served(folder, AUTH_TOKEN=hostile_cases.TOKEN) as server:
        yield server


@pytest.fixture
def rows(transactional_db: None) -> dict[str, str]:
    """One of each: its public id under the word that stands for it in the cases."""
    seed()
    board = editing.import_storyboard("film.json", hostile_cases.storyboard_file(2))
    config = launch.RunConfig(storyboard_id=board.pk, model_id="sora2", dry_run=True)
    run = launch.create_run(config, now=timezone.now())
    segment = Segment.objects.filter(storyboard=board).order_by("segment_index")[0]
    task = Task.objects.filter(run=run).order_by("segment_index")[0]
    return {
        "sb": board.public_id,
        "seg": segment.public_id,
        "run": run.public_id,
        "task": task.public_id,
    }


@pytest.mark.parametrize("group", GROUPS)
def test_it_is_refused_in_the_envelope_and_leaves_nothing(
    open_server: Server, rows: dict[str, str], group: str
) -> None:
    check(open_server, GROUPS[group], rows)


def test_no_wrong_token_opens_anything(guarded_server: Server, rows: dict[str, str]) -> None:
    check(guarded_server, hostile_cases.TOKENS, rows)


def test_what_is_only_odd_is_answered(open_server: Server, rows: dict[str, str]) -> None:
    check(open_server, hostile_cases.HARMLESS, rows)


def check(server: Server, cases: Sequence[Case], rows: dict[str, str]) -> None:
    faults = faults_of(server, cases, rows)
    assert not faults, "\n".join([f"{len(faults)} of {len(cases)}", *faults])


def faults_of(server: Server, cases: Sequence[Case], rows: dict[str, str]) -> list[str]:
    """What is wrong with the answers, and every batch of requests that left a trace."""
    faults = []
    before = everything_stored(server.folder)
    for at in range(0, len(cases), 20):
        batch = cases[at : at + 20]
        faults += [fault for case in batch if (fault := _fault(server, case, rows))]
        after = everything_stored(server.folder)
        if after != before:
            faults.append(f"one of these was stored: {[case.name for case in batch]}")
            before = after
    return faults


def _fault(server: Server, case: Case, rows: dict[str, str]) -> str:
    try:
        answer = server.ask(case.wire(rows))
        wrong = _what_is_wrong(case, answer)
    except (OSError, ValueError, IndexError) as error:
        return f"{case.name}: {error!r}"
    return f"{case.name}: {wrong}, {answer.status} {answer.body[:300]!r}" if wrong else ""


def _what_is_wrong(case: Case, answer: Answer) -> str:
    if answer.status != case.status:
        return f"not {case.status}"
    if answer.headers.get("content-type") != "application/json":
        return f"content type {answer.headers.get('content-type')}"
    body = answer.json()
    if case.status < 400:
        return ""
    if not {"code", "message"} <= set(body) <= {"code", "message", "details"}:
        return "not the envelope"
    if body["code"] != case.code or not body["message"]:
        return f"not {case.code}"
    if case.loc is not None and list(case.loc) not in [
        error["loc"] for error in body["details"]["errors"]
    ]:
        return f"nothing at {case.loc}"
    return _missing_header(case, answer)


def _missing_header(case: Case, answer: Answer) -> str:
    needed = {401: "www-authenticate", 405: "allow"}.get(case.status, "content-type")
    return "" if needed in answer.headers else f"no {needed}"


HOSTILE_NAMES = {
    b"../../etc/passwd": "passwd",
    b"/etc/passwd": "passwd",
    b"C:\\\\temp\\\\film.json": "film.json",
    b"a\tb\x01.json": "ab.json",
    "\u202egpj.exe".encode(): "gpj.exe",
    "cafe\u0301.json".encode(): "caf\u00e9.json",
    "分镜.json".encode(): "分镜.json",
    b"<script>alert(1)</script>.json": "script>.json",
    b"%2e%2e%2fx.json": "%2e%2e%2fx.json",
    b"x" * 400 + b".json": "x" * 250 + ".json",
    b"CON": "CON",
    b"a; rm -rf ~.json": "a; rm -rf ~.json",
}


def test_a_hostile_file_name_is_only_a_name(open_server: Server, rows: dict[str, str]) -> None:
    _, files = everything_stored(open_server.folder)
    names = {sent: _stored_name(open_server, sent) for sent in HOSTILE_NAMES}
    assert names == HOSTILE_NAMES
    _, more = everything_stored(open_server.folder)
    assert len(more - files) == len(HOSTILE_NAMES)
    assert all(re.fullmatch(r"storyboards/sb_\w{26}/original\.json", file) for file in more - files)


def _stored_name(server: Server, name: bytes) -> str:
    body = hostile_cases.form(hostile_cases.part(hostile_cases.GOOD_BOARD, filename=name))
    case = Case(name="", method="POST", headers=hostile_cases.MULTIPART, body=body)
    answer = server.ask(case.wire({}))
    return str(answer.json()["name"]) if answer.status == 201 else str(answer)
