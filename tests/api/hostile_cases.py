"""Requests that are wrong, broken or malicious, as they go over the wire, and what each one gets.

In a path or a body `{sb}`, `{seg}`, `{run}` and `{task}` stand for ids that exist.
"""

import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

UPLOAD_LIMIT = 3_000_000

Headers = tuple[tuple[str, str | bytes], ...]
JSON_TYPE: Headers = (("Content-Type", "application/json"),)


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    method: str = "GET"
    path: str = "/api/v1/storyboards"
    headers: Headers = ()
    body: bytes = b""
    raw: bytes | None = None  # the whole request, instead of all of the above
    status: int = 400
    code: str = "validation_error"
    loc: tuple[str | int, ...] | None = None  # of one of `details.errors`

    def wire(self, ids: dict[str, str]) -> bytes:
        message = self.raw if self.raw is not None else self._message()
        for name, value in ids.items():
            message = message.replace(b"{%s}" % name.encode(), value.encode())
        return message

    def _message(self) -> bytes:
        given = {name.lower() for name, _ in self.headers}
        headers = [(name, _bytes(value)) for name, value in self.headers]
        if "host" not in given:
            headers.insert(0, ("Host", b"localhost"))
        if not given & {"content-length", "transfer-encoding"} and (
            self.body or self.method not in ("GET", "HEAD", "OPTIONS", "TRACE")
        ):
            headers.append(("Content-Length", b"%d" % self._length()))
        lines = [f"{self.method} {self.path} HTTP/1.1".encode(), b"Connection: close"]
        lines += [name.encode() + b": " + value for name, value in headers]
        return b"\r\n".join([*lines, b"", b""]) + self.body

    def _length(self) -> int:
        """Of the body with its ids, each of which is longer than the word that stands for it."""
        grown = {b"{sb}": 29 - 4, b"{seg}": 30 - 5, b"{run}": 30 - 5, b"{task}": 31 - 6}
        return len(self.body) + sum(self.body.count(word) * more for word, more in grown.items())


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def json_bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


# ---- JSON bodies -------------------------------------------------------------------------------

# Every address that takes a JSON body, and a field that each knows.
JSON_TARGETS = {
    "run": ("POST", "/api/v1/runs", "model_id"),
    "segment": ("PATCH", "/api/v1/segments/{seg}", "prompt_text"),
    "retry": ("POST", "/api/v1/tasks/{task}/retry", "submit_again"),
    "provider": ("PATCH", "/api/v1/admin/providers/openai", "display_name"),
    "model": ("PATCH", "/api/v1/admin/models/sora2", "description"),
    "route": ("PATCH", "/api/v1/admin/models/sora2/providers/openai", "provider_model_ids"),
    "client event": ("POST", "/api/v1/client-events", "events"),
}

# What no address takes; FIELD stands for the field it knows.
BROKEN_JSON = {
    "not JSON": b"hello",
    "truncated": b'{"FIELD": "x',
    "blanks": b"  ",
    "trailing garbage": b'{"FIELD": "x"} x',
    "two documents": b"{}{}",
    "single quotes": b"{'FIELD': 1}",
    "trailing comma": b'{"FIELD": "x",}',
    "comment": b'{/* hello */ "FIELD": "x"}',
    "list": b"[]",
    "list of objects": b'[{"FIELD": "x"}]',
    "string": b'"FIELD"',
    "number": b"5",
    "true": b"true",
    "null": b"null",
    "NaN": b'{"FIELD": NaN}',
    "Infinity": b'{"FIELD": -Infinity}',
    "1e400": b'{"FIELD": 1e400}',
    "5,000 digits": b'{"FIELD": ' + b"9" * 5_000 + b"}",
    "past 2^53": b'{"FIELD": 9007199254740993}',
    "repeated key": b'{"FIELD": "a", "FIELD": "b"}',
    "repeated key by an escape": b'{"FIELD": "a", "\\u0046IELD": "b", "FIELD": "c"}',
    "lone surrogate": b'{"FIELD": "\\ud800"}',
    "lone low surrogate": b'{"FIELD": "\\udc00 and more"}',
    "lone surrogate in a key": b'{"\\udfff": 1}',
    "surrogate as UTF-8": b'{"FIELD": "\xed\xa0\x80"}',
    "NUL escape": b'{"FIELD": "a\\u0000b"}',
    "raw NUL": b'{"FIELD": "a\x00b"}',
    "raw control character": b'{"FIELD": "a\nb"}',
    "byte order mark": b'\xef\xbb\xbf{"FIELD": "x"}',
    "latin-1": b'{"FIELD": "caf\xe9"}',
    "overlong UTF-8": b'{"FIELD": "\xc0\xaf"}',
    "UTF-16": '{"FIELD": "x"}'.encode("utf-16"),
    "UTF-32": '{"FIELD": "x"}'.encode("utf-32-le"),
    "gzip": gzip.compress(b"{}", mtime=0),
    "100,000 brackets": b"[" * 100_000,
    "100,000 objects": b'{"a":' * 100_000,
    "33 levels": b'{"FIELD": ' + b"[" * 33 + b"]" * 33 + b"}",
    "unknown field": b'{"surprise": 1}',
    "prototype": b'{"__proto__": {"admin": true}}',
    "empty key": b'{"": 1}',
    "object for a value": b'{"FIELD": {"$gt": ""}}',
    "huge key": b'{"' + b"k" * 100_000 + b'": 1}',
    "10,000 unknown fields": json_bytes({f"field{number}": 1 for number in range(10_000)}),
}

FULL_RUN = {"storyboard_id": "{sb}", "model_id": "sora2", "dry_run": True}

# A run that would be fine, but for one field.
RUN_FIELDS: list[tuple[str, Any, int, str]] = [
    ("storyboard_id", None, 400, "validation_error"),
    ("storyboard_id", 5, 400, "validation_error"),
    ("storyboard_id", ["{sb}"], 400, "validation_error"),
    ("storyboard_id", "x" * 10_000, 400, "validation_error"),
    ("storyboard_id", "", 404, "not_found"),
    ("storyboard_id", "sb_" + "z" * 26, 404, "not_found"),
    ("storyboard_id", "sb_" + "0" * 26, 404, "not_found"),
    ("storyboard_id", "../{sb}", 404, "not_found"),
    ("storyboard_id", "{run}", 404, "not_found"),
    ("storyboard_id", "' OR 1=1 --", 404, "not_found"),
    ("model_id", None, 400, "validation_error"),
    ("model_id", "sora3", 400, "validation_error"),
    ("model_id", "SORA2", 400, "validation_error"),
    ("model_id", " sora2", 400, "validation_error"),
    ("model_id", "", 400, "validation_error"),
    ("routing_strategy", "cheapest", 400, "validation_error"),
    ("routing_strategy", None, 400, "validation_error"),
    ("routing_strategy", "manual", 400, "validation_error"),
    ("conform", "shorter", 400, "validation_error"),
    ("conform", None, 400, "validation_error"),
    ("conform", ["nearest"], 400, "validation_error"),
    ("provider_id", "nobody", 400, "validation_error"),
    ("gen_count", 0, 400, "validation_error"),
    ("gen_count", 11, 400, "validation_error"),
    ("gen_count", -1, 400, "validation_error"),
    ("gen_count", "4", 400, "validation_error"),
    ("gen_count", True, 400, "validation_error"),
    ("gen_count", 1.5, 400, "validation_error"),
    ("gen_count", 1.0, 400, "validation_error"),
    ("gen_count", None, 400, "validation_error"),
    ("concurrency", 0, 400, "validation_error"),
    ("concurrency", 1001, 400, "validation_error"),
    ("concurrency", 2**53, 400, "validation_error"),
    ("dry_run", 1, 400, "validation_error"),
    ("dry_run", "true", 400, "validation_error"),
    ("dry_run", None, 400, "validation_error"),
    ("force", "no", 400, "validation_error"),
    ("range", "", 400, "validation_error"),
    ("range", " ", 400, "validation_error"),
    ("range", ",", 400, "validation_error"),
    ("range", "2-1", 400, "validation_error"),
    ("range", "1-", 400, "validation_error"),
    ("range", "-1", 400, "validation_error"),
    ("range", "0", 400, "validation_error"),
    ("range", "7", 400, "validation_error"),
    ("range", "1.5", 400, "validation_error"),
    ("range", "٣", 400, "validation_error"),
    ("range", "1;2", 400, "validation_error"),
    ("range", "all,1", 400, "validation_error"),
    ("range", "9" * 30, 400, "validation_error"),
    ("range", "1," * 20_000 + "1", 400, "validation_error"),
    ("range", [1, 2], 400, "validation_error"),
    ("output_mode", "everywhere", 400, "validation_error"),
    ("id", "run_1", 400, "validation_error"),
    ("status", "completed", 400, "validation_error"),
    ("total_tasks", 0, 400, "validation_error"),
]
OUTPUT_PATHS = (
    *("..", "../x", "a/../../x", "/etc", "//etc", "~", "~root/x", "a/../../../etc/passwd"),
    *("C:\\x", "a\\..\\..\\x", "a\nb", "a:b", "\u202eabc", "", " ", ".", "x" * 5_000),
    *("é" * 150, "a/" * 600, None),
)
SEGMENT_FIELDS: list[tuple[str, Any]] = [
    ("prompt_text", ""),
    ("prompt_text", " \t\n\u3000"),
    ("prompt_text", "\u200b\u2060\ufeff"),
    ("prompt_text", "x" * 32_001),
    ("prompt_text", None),
    ("prompt_text", 5),
    ("prompt_text", ["x"]),
    ("duration_seconds", 5),
    ("duration_seconds", 0),
    ("duration_seconds", -4),
    ("duration_seconds", 25),
    ("duration_seconds", "4"),
    ("duration_seconds", 4.0),
    ("duration_seconds", True),
    ("duration_seconds", None),
    ("duration_seconds", 2**53),
    ("resolution", "square"),
    ("resolution", "Horizontal"),
    ("resolution", "1280x720"),
    ("resolution", None),
    ("is_pro", 1),
    ("is_pro", "true"),
    ("is_pro", None),
    ("director_intent", 5),
    ("director_intent", "x" * 32_001),
    ("director_intent", []),
    ("asset", "Alice"),
    ("asset", []),
    ("asset", {"characters": "Alice"}),
    ("asset", {"characters": [""]}),
    ("asset", {"characters": ["[]"]}),
    ("asset", {"characters": ["(@a1)"]}),
    ("asset", {"characters": ["@a1"]}),
    ("asset", {"characters": [5]}),
    ("asset", {"characters": [None]}),
    ("asset", {"characters": [{"id": "@a1"}]}),
    ("asset", {"characters": [{"name": " "}]}),
    ("asset", {"characters": [{"name": "Alice", "id": "a b"}]}),
    ("asset", {"characters": [{"name": "Alice", "id": "@"}]}),
    ("asset", {"characters": [{"name": "Alice", "id": "@@a"}]}),
    ("asset", {"characters": [{"name": "Alice", "id": "@a\n"}]}),
    ("asset", {"characters": [{"name": "Alice", "id": "@٣"}]}),
    ("asset", {"characters": [{"name": "Alice", "id": 5}]}),
    ("asset", {"characters": [{"name": "Alice", "age": 5}]}),
    ("asset", {"characters": ["Alice"] * 100_000}),
    ("asset", {"scene": 5}),
    ("asset", {"scene": "x" * 100_000}),
    ("asset", {"props": "lamp"}),
    ("asset", {"props": [None]}),
    ("asset", {"props": None}),
    ("asset", {"weather": "rain"}),
]
READ_ONLY_OF_SEGMENT = {"id": "seg_1", "segment_index": 2, "storyboard_id": "{sb}"}
IMAGE_URLS = (
    *(
        "",
        " ",
        "x",
        "image.png",
        "/",
        "//",
        "//example.com/a.png",
        "http:",
        "http://",
        "http:///a.png",
    ),
    *("ftp://example.com/a.png", "file:///etc/passwd", "data:image/png;base64,AAAA"),
    *("javascript:alert(1)", "gopher://example.com/", "blob:https://example.com/1"),
    *(
        "http://localhost/a.png",
        "http://LOCALHOST./a.png",
        "http://a.localhost/",
        "http://127.0.0.1/",
    ),
    *("http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/"),
    *(
        "http://0/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
    ),
    *("http://[::ffff:7f00:1]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:7f00:1::]/"),
    *("http://[fe80::1%25eth0]/", "http://[fd00::1]/", "http://10.0.0.1/", "http://172.16.0.1/"),
    *("http://192.168.1.1/", "http://169.254.169.254/latest/meta-data/", "http://100.64.0.1/"),
    *(
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://127。0。0。1/",
    ),
    *("http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "http://user:pass@example.com/", "http://example.com@127.0.0.1/"),
    *("http://127.0.0.1:80\\@example.com/", "http://example.com:99999/", "http://example.com:x/"),
    *("http://[::1", "http://exa mple.com/", "http://example.com/\r\nX: y", "http://\u00ad/"),
    *(
        "http://example.com/\u0085",
        "/uploads/",
        "/uploads/../secret-key",
        "/uploads/%2e%2e/secret-key",
    ),
    *("/uploads/" + "0" * 40 + ".png", "http://localhost/uploads/../secret-key", "/etc/passwd"),
    "http://example.com/" + "x" * 3_000,
)
CLIENT_EVENTS: dict[str, Any] = {
    "no events": [],
    "101 events": [{"event_type": "ui_error"}] * 101,
    "an object": {"event_type": "ui_error"},
    "unknown type": [{"event_type": "success"}],
    "no type": [{}],
    "unknown field": [{"event_type": "ui_error", "password": "x"}],
    "time": [{"event_type": "ui_error", "timestamp": "yesterday"}],
    "impossible time": [{"event_type": "ui_error", "timestamp": "2026-02-30T00:00:00Z"}],
    "status code": [{"event_type": "ui_error", "status_code": 42}],
    "negative latency": [{"event_type": "ui_error", "latency_ms": -1}],
    "long message": [{"event_type": "ui_error", "message": "x" * 4_001}],
    "context is a list": [{"event_type": "ui_error", "context": []}],
    "empty id": [{"event_type": "ui_error", "event_id": ""}],
    "null": None,
}
CATALOGUE_FIELDS: list[tuple[str, str, Any]] = [
    ("provider", "priority", 0),
    ("provider", "priority", 101),
    ("provider", "weight", -1),
    ("provider", "weight", 1e308),
    ("provider", "enabled", "false"),
    ("provider", "enabled", None),
    ("provider", "display_name", "\u0007"),
    ("provider", "supported_durations", [5]),
    ("provider", "supported_durations", [4, 4]),
    ("provider", "supported_resolutions", "vertical"),
    ("provider", "api_key", "sk-1"),
    ("provider", "base_url", "http://127.0.0.1/"),
    ("model", "enabled", "no"),
    ("model", "provider_map", {"nobody": ["x"]}),
    ("model", "provider_map", {"openai": [None]}),
    ("model", "id", "sora9"),
    ("route", "provider_model_ids", "sora-2"),
    ("route", "provider_model_ids", ["x" * 1_000]),
    ("route", "provider_model_ids", ["a"] * 51),
    ("route", "provider_model_ids", ["a", "a"]),
]


def _to(target: str, body: bytes, name: str, **more: Any) -> Case:
    method, path, _ = JSON_TARGETS[target]
    return Case(
        name=f"{target}: {name}", method=method, path=path, headers=JSON_TYPE, body=body, **more
    )


def broken_json() -> Iterator[Case]:
    for target, (_, _, field) in JSON_TARGETS.items():
        for name, template in BROKEN_JSON.items():
            yield _to(target, template.replace(b"FIELD", field.encode()), name)


def json_fields() -> Iterator[Case]:
    for field, value, status, code in RUN_FIELDS:
        loc = None if status == 404 else ("provider_id" if value == "manual" else field,)
        body = json_bytes({**FULL_RUN, field: value})
        yield _to("run", body, f"{field} {_short(value)}", status=status, code=code, loc=loc)
    for path in OUTPUT_PATHS:
        body = json_bytes({**FULL_RUN, "output_mode": "custom", "output_path": path})
        yield _to("run", body, f"output path {_short(path)}", loc=("output_path",))
    for field, value in [*SEGMENT_FIELDS, *READ_ONLY_OF_SEGMENT.items()]:
        yield _to(
            "segment",
            json_bytes({"director_intent": "new", field: value}),
            f"{field} {_short(value)}",
        )
    for url in IMAGE_URLS:
        body = json_bytes({"image_url": url, "director_intent": "new"})
        yield _to("segment", body, f"image URL {_short(url)}", loc=("image_url",))
    for name, events in CLIENT_EVENTS.items():
        yield _to("client event", json_bytes({"events": events}), name)
    for target, field, value in CATALOGUE_FIELDS:
        yield _to(target, json_bytes({field: value}), f"{field} {_short(value)}")
    yield _to("retry", b'{"submit_again": "yes"}', "not a boolean", loc=("submit_again",))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:24]}… ({len(text)})"


# ---- content types and lengths -----------------------------------------------------------------


def content_types() -> Iterator[Case]:
    wrong = (
        "application/x-www-form-urlencoded",
        "text/plain",
        "text/json",
        "application/xml",
        "*/*",
    )
    odd = (
        "application/json5",
        "application/merge-patch+json",
        "multipart/form-data; boundary=x",
        "x",
        ";",
    )
    for target, (method, path, field) in JSON_TARGETS.items():
        for kind in (*wrong, *odd):
            yield Case(
                name=f"{target}: sent as {kind}",
                method=method,
                path=path,
                headers=(("Content-Type", kind),),
                body=b'{"%s": "x"}' % field.encode(),
                status=415,
                code="unsupported_media_type",
            )
        yield Case(
            name=f"{target}: 3 MB",
            method=method,
            path=path,
            headers=JSON_TYPE,
            body=b'{"%s": "%s"}' % (field.encode(), b"x" * 3_000_000),
            status=413,
            code="payload_too_large",
        )
    latin = (("Content-Type", "application/json; charset=latin-1"),)
    yield Case(
        name="JSON in another charset",
        method="POST",
        path="/api/v1/runs",
        headers=latin,
        body=b'{"model_id": "caf\xe9"}',
    )
    nowhere = (("Content-Type", "application/json; charset=nowhere"),)
    yield Case(
        name="unknown charset", method="POST", path="/api/v1/runs", headers=nowhere, body=b"{}"
    )
    yield Case(
        name="JSON without a type",
        method="POST",
        path="/api/v1/runs",
        body=b"{}",
        status=415,
        code="unsupported_media_type",
    )
    yield Case(
        name="JSON to an upload",
        method="POST",
        headers=JSON_TYPE,
        body=b'{"segments": []}',
        status=415,
        code="unsupported_media_type",
    )


# ---- multipart ---------------------------------------------------------------------------------

EDGE = "edge-of-the-form"
FORM = f"multipart/form-data; boundary={EDGE}"
MULTIPART: Headers = (("Content-Type", FORM),)


def storyboard_file(segments: int = 1) -> bytes:
    return json_bytes(
        {
            "segments": [
                {"segment_index": n, "prompt_text": "A city."} for n in range(1, segments + 1)
            ]
        }
    )


GOOD_BOARD = storyboard_file()


def part(
    content: bytes, *, name: bytes = b"file", filename: bytes | None = b"a.json", more: bytes = b""
) -> bytes:
    given = b"" if filename is None else b'; filename="%s"' % filename
    head = b'--%s\r\nContent-Disposition: form-data; name="%s"%s\r\n%s\r\n'
    return head % (EDGE.encode(), name, given, more) + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--%s--\r\n" % EDGE.encode()


def _upload(name: str, body: bytes, **more: Any) -> Case:
    return Case(
        **{"name": f"upload: {name}", "method": "POST", "headers": MULTIPART, "body": body, **more}
    )


def multiparts() -> Iterator[Case]:
    for place, path in (
        ("board", "/api/v1/storyboards"),
        ("image", "/api/v1/segments/{seg}/assets/start-image"),
    ):
        for name, body in {
            "no part": form(),
            "empty body": b"",
            "another field": form(part(GOOD_BOARD, name=b"storyboard")),
            "name in capitals": form(part(GOOD_BOARD, name=b"FILE")),
            "text instead of a file": form(part(GOOD_BOARD, filename=None)),
            "two files": form(part(GOOD_BOARD), part(GOOD_BOARD)),
            "file and text": form(part(GOOD_BOARD), part(b"x", filename=None)),
            "no end": part(GOOD_BOARD),
            "cut in the header": form(part(GOOD_BOARD))[:40],
            "another boundary": form(part(GOOD_BOARD)).replace(EDGE.encode(), b"other"),
            "10,000 fields": form(
                *(part(b"x", name=b"n%d" % n, filename=None) for n in range(10_000))
            ),
            "1,000 files": form(*(part(b"x", name=b"n%d" % n) for n in range(1_000))),
            "a file named ..": form(part(GOOD_BOARD, filename=b"..")),
            "a name in latin-1": form(part(GOOD_BOARD, filename=b"caf\xe9.json")),
            "garbage": bytes(range(256)) * 20,
            "bad base64": form(part(b"!", more=b"Content-Transfer-Encoding: base64\r\n")),
            "NUL in the field's name": form(part(GOOD_BOARD, name=b"file\x00")),
        }.items():
            yield _upload(f"{place}, {name}", body, path=path)
        yield _upload(f"{place}, not even a content type", b"", path=path, headers=())
        for name, kind in {
            "no boundary": "multipart/form-data",
            "empty boundary": "multipart/form-data; boundary=",
            "boundary with a quote": 'multipart/form-data; boundary="',
            "boundary of 10,000 characters": "multipart/form-data; boundary=" + "x" * 10_000,
            "latin-1 boundary": b"multipart/form-data; boundary=\xe9",
            "forbidden boundary": "multipart/form-data; boundary=a/b<c>\\",
        }.items():
            yield _upload(
                f"{place}, {name}",
                form(part(GOOD_BOARD)),
                path=path,
                headers=(("Content-Type", kind),),
            )
        for kind in (
            "multipart/mixed; boundary=x",
            "application/octet-stream",
            "text/plain",
            "application/x-www-form-urlencoded",
        ):
            more = {"status": 415, "code": "unsupported_media_type"}
            yield _upload(
                f"{place}, as {kind}",
                b"file=x",
                path=path,
                headers=(("Content-Type", kind),),
                **more,
            )
        text = form(part(b"x" * 2_700_000, name=b"text", filename=None))
        yield _upload(
            f"{place}, 2.7 MB of text", text, path=path, status=413, code="payload_too_large"
        )
        large = form(part(b" " * (UPLOAD_LIMIT + 100_000)))
        yield _upload(f"{place}, too large", large, path=path, status=413, code="payload_too_large")
        slightly = form(part(b" " * (UPLOAD_LIMIT + 1)))
        yield _upload(
            f"{place}, one byte too many", slightly, path=path, status=413, code="payload_too_large"
        )


# ---- storyboards -------------------------------------------------------------------------------

SEGMENT = {"segment_index": 1, "prompt_text": "A city."}
BROKEN_BOARDS: dict[str, bytes] = {
    "empty": b"",
    "white space": b" \n",
    "not JSON": b"# A film",
    "HTML": b"<!doctype html><script>alert(1)</script>",
    "YAML": b"segments:\n  - prompt_text: x\n",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "zip": b"PK\x03\x04",
    "list": b"[]",
    "null": b"null",
    "string": b'"x"',
    "latin-1": b'{"segments": [{"segment_index": 1, "prompt_text": "caf\xe9"}]}',
    "UTF-16": GOOD_BOARD.decode().encode("utf-16"),
    "two byte order marks": b"\xef\xbb\xbf" * 2 + GOOD_BOARD,
    "100,000 brackets": b"[" * 100_000,
    "33 levels": b'{"metadata": {"a": ' + b"[" * 31 + b"]" * 31 + b"}, " + GOOD_BOARD[1:],
    "NaN in what is ignored": b'{"_comment": NaN, ' + GOOD_BOARD[1:],
    "1e400 in the metadata": b'{"metadata": {"a": 1e400}, ' + GOOD_BOARD[1:],
    "huge integer in the metadata": b'{"metadata": {"a": 9007199254740993}, ' + GOOD_BOARD[1:],
    "NUL in the metadata": b'{"metadata": {"a": "\\u0000"}, ' + GOOD_BOARD[1:],
    "NUL in a key": b'{"metadata": {"\\u0000": 1}, ' + GOOD_BOARD[1:],
    "lone surrogate in the bible": b'{"character_bible": [{"a": "\\udead"}], ' + GOOD_BOARD[1:],
    "repeated key": b'{"segments": [], ' + GOOD_BOARD[1:],
    "repeated key inside": b'{"segments": [{"segment_index": 1, "prompt_text": "a", "prompt_text": "b"}]}',
    "trailing garbage": GOOD_BOARD + b"x",
}
BROKEN_SHAPES: dict[str, Any] = {
    "no segments": {},
    "segments null": {"segments": None},
    "segments empty": {"segments": []},
    "segments an object": {"segments": {"0": SEGMENT}},
    "a segment is null": {"segments": [None]},
    "a segment is a list": {"segments": [[]]},
    "20,001 segments": {
        "segments": [{"segment_index": n, "prompt_text": "x"} for n in range(1, 20_002)]
    },
    "index twice": {"segments": [SEGMENT, SEGMENT]},
    "no index": {"segments": [{"prompt_text": "x"}]},
    "no prompt": {"segments": [{"segment_index": 1}]},
    "metadata a list": {"segments": [SEGMENT], "metadata": []},
    "metadata a string": {"segments": [SEGMENT], "metadata": "x"},
    "bible an object": {"segments": [SEGMENT], "character_bible": {}},
    "bible of strings": {"segments": [SEGMENT], "character_bible": ["Alice"]},
}
INDEXES: tuple[Any, ...] = (0, -1, 2**31, 2**53, "1", 1.0, 1.5, True, None, [], {})


def storyboards() -> Iterator[Case]:
    for name, content in BROKEN_BOARDS.items():
        yield _board(name, content)
    for name, shape in BROKEN_SHAPES.items():
        yield _board(name, json_bytes(shape))
    for index in INDEXES:
        board = {"segments": [{**SEGMENT, "segment_index": index}]}
        yield _board(f"index {index!r}", json_bytes(board), loc=("segments", 0, "segment_index"))
    for field, value in SEGMENT_FIELDS:
        if value is None and field in ("director_intent", "asset"):
            continue
        if field == "asset" and set(value) & {"weather"}:
            continue  # a file may hold unknown keys
        if field == "asset" and "age" in str(value):
            continue
        board = {"segments": [SEGMENT, {**SEGMENT, "segment_index": 2, field: value}]}
        yield _board(f"{field} {_short(value)}", json_bytes(board))
    for url in IMAGE_URLS:
        board = {"segments": [{**SEGMENT, "image_url": url}]}
        yield _board(
            f"image URL {_short(url)}", json_bytes(board), loc=("segments", 0, "image_url")
        )


def _board(name: str, content: bytes, **more: Any) -> Case:
    return _upload(f"storyboard {name}", form(part(content)), code="schema_error", **more)


# ---- images ------------------------------------------------------------------------------------


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int = 8, height: int = 8, *, pixels: bytes | None = None, more: bytes = b""
) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress((b"\0" + b"\x10\x20\x30" * width) * height) if pixels is None else pixels
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + more
        + _chunk(b"IDAT", data)
        + _chunk(b"IEND", b"")
    )


IMAGES: dict[str, bytes] = {
    "empty": b"",
    "HTML": b"<html><script>alert(1)</script></html>",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "GIF": b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;",
    "BMP": b"BM" + bytes(60),
    "TIFF": b"II*\x00\x08\x00\x00\x00" + bytes(40),
    "PDF": b"%PDF-1.4",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "truncated PNG": png()[:50],
    "PNG without pixels": png(pixels=b""),
    "PNG with a wrong checksum": png().replace(b"IDAT", b"IDAt"),
    "PNG bomb": png(60_000, 60_000, pixels=zlib.compress(bytes(1_000))),
    "PNG of no width": png(0, 8),
    "PNG of 2^31 pixels a side": png(2**31 - 1, 2**31 - 1, pixels=b""),
    "PNG text bomb": png(more=_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000)))),
    "PNG signature alone": b"\x89PNG\r\n\x1a\n",
    "JPEG signature alone": b"\xff\xd8\xff\xe0",
    "truncated JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01" + bytes(7) + b"\xff\xdb",
    "WebP signature alone": b"RIFF\x04\x00\x00\x00WEBP",
    "AVIF": b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf",
    "storyboard": GOOD_BOARD,
}


def images() -> Iterator[Case]:
    path = "/api/v1/segments/{seg}/assets/start-image"
    for name, content in IMAGES.items():
        claim = b"Content-Type: image/png\r\n"
        body = form(part(content, filename=b"picture.png", more=claim))
        yield _upload(f"image {name}", body, path=path, loc=("file",))


# ---- ids ---------------------------------------------------------------------------------------

BAD_IDS = (
    *(
        "x",
        "..",
        "../x",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "%00",
        "a%00b",
        "%FF",
        "%C3%28",
        "%ED%A0%80",
    ),
    *(
        "null",
        "undefined",
        "0",
        "-1",
        "1",
        "*",
        "%25",
        "%0a",
        "%20",
        "''",
        "%27%20OR%201%3D1--",
        "{}",
        "[object%20Object]",
    ),
    *(
        "x" * 5_000,
        "%D9%A3",
        "%F0%9F%8E%AC",
        "PREFIX",
        "PREFIX_",
        "PREFIX_" + "z" * 26,
        "PREFIX_" + "8" * 26,
    ),
    *(
        "PREFIX_" + "0" * 26,
        "PREFIX_" + "0" * 25,
        "PREFIX_" + "0" * 27,
        "PREFIX_" + "u" * 26,
        "PREFIX_" + "A" * 26,
    ),
    *(
        "PREFIX_" + "%EF%BC%91" * 26,
        "PREFIX_00000000-0000-7000-8000-000000000000",
        "PREFIX__" + "0" * 26,
    ),
    *("00000000-0000-7000-8000-000000000000", "PREFIX_123", "PREFIX_" + "0" * 26 + "%0a", "OTHER"),
)
# Address, prefix, an id that exists and is of another kind, and how it is asked.
ID_PLACES: list[tuple[str, str, str, str, bytes]] = [
    ("GET", "/api/v1/storyboards/ID", "sb", "{seg}", b""),
    ("DELETE", "/api/v1/storyboards/ID", "sb", "{run}", b""),
    ("GET", "/api/v1/storyboards/ID/segments", "sb", "{run}", b""),
    ("GET", "/api/v1/segments/ID", "seg", "{sb}", b""),
    ("PATCH", "/api/v1/segments/ID", "seg", "{task}", b'{"director_intent": "new"}'),
    ("GET", "/api/v1/runs/ID", "run", "{sb}", b""),
    ("GET", "/api/v1/runs/ID/tasks", "run", "{task}", b""),
    ("GET", "/api/v1/tasks/ID", "task", "{run}", b""),
    ("GET", "/api/v1/tasks/ID/metadata", "task", "{seg}", b""),
    ("GET", "/api/v1/tasks/ID/route", "task", "{sb}", b""),
    ("GET", "/api/v1/tasks/ID/download", "task", "{run}", b""),
    ("POST", "/api/v1/tasks/ID/retry", "task", "{run}", b"{}"),
    ("GET", "/api/v1/models/ID", "model", "openai", b""),
    ("GET", "/api/v1/providers/ID", "provider", "sora2", b""),
    ("GET", "/api/v1/providers/ID/capabilities", "provider", "sora2", b""),
    ("PATCH", "/api/v1/admin/providers/ID", "provider", "sora2", b'{"weight": 5}'),
    ("PATCH", "/api/v1/admin/models/ID", "model", "openai", b'{"enabled": false}'),
    (
        "PATCH",
        "/api/v1/admin/models/sora2/providers/ID",
        "provider",
        "sora2",
        b'{"provider_model_ids": []}',
    ),
    (
        "POST",
        "/api/v1/segments/ID/assets/start-image",
        "seg",
        "{sb}",
        form(part(png(), filename=b"a.png")),
    ),
]


def ids() -> Iterator[Case]:
    for method, path, prefix, other, body in ID_PLACES:
        headers: Headers = MULTIPART if path.endswith("image") else JSON_TYPE if body else ()
        for bad in BAD_IDS:
            bad = bad.replace("PREFIX", prefix).replace("OTHER", other)
            yield Case(
                name=f"{method} {path.removeprefix('/api/v1')} with {_short(bad)}",
                method=method,
                path=path.replace("ID", bad),
                headers=headers,
                body=body,
                status=404,
                code="not_found",
            )


# ---- query parameters --------------------------------------------------------------------------

LISTS = (
    *(
        "/api/v1/storyboards",
        "/api/v1/storyboards/{sb}/segments",
        "/api/v1/runs",
        "/api/v1/runs/{run}/tasks",
    ),
    *("/api/v1/models", "/api/v1/providers", "/api/v1/admin/models", "/api/v1/admin/providers"),
)
BAD_NUMBERS = (
    "0",
    "-1",
    "1.5",
    "1e3",
    "",
    "9" * 21,
    "%D9%A3",
    "%EF%BC%91",
    "+1",
    "%201",
    "0x1",
    "1_0",
    "1%00",
    "null",
    "x" * 7_500,
)
BAD_BOOLEANS = ("True", "1", "0", "yes", "", "null", "TRUE", "%20true", "true%00", "t")
BAD_STATUSES = ("bogus", "", "Failed", "failed,completed", "failed%00", "0", "%FF", "x" * 7_500)
QUERIES: list[tuple[str, str, tuple[str, ...]]] = [
    *(("/api/v1/storyboards", "name", (f"{value}",)) for value in ("a%00b", "x" * 300)),
    ("/api/v1/storyboards/{sb}/segments", "is_pro", BAD_BOOLEANS),
    ("/api/v1/storyboards/{sb}/segments", "resolution", ("square", "", "Horizontal", "a%00b")),
    ("/api/v1/runs", "status", BAD_STATUSES),
    ("/api/v1/runs/{run}/tasks", "status", BAD_STATUSES),
    (
        "/api/v1/runs/{run}/tasks",
        "segment_index",
        ("-1", "0", "x", "9" * 30, str(2**31), "1.0", "", "%D9%A3"),
    ),
    ("/api/v1/runs/{run}/tasks", "error_code", ("bogus", "", "RATE_LIMITED", "rate_limited%00")),
    ("/api/v1/runs/{run}/tasks", "retryable", BAD_BOOLEANS),
    *((path, "enabled", BAD_BOOLEANS) for path in LISTS[4:]),
]
BAD_SORTS = (
    "password",
    "",
    "-created_at",
    "id;drop%20table",
    "created_at,name",
    "%00",
    "CREATED_AT",
    "pk",
    "storyboard__name",
    "?",
)
BAD_ORDERS = ("up", "", "ASC", "desc%00", "1")


def queries() -> Iterator[Case]:
    for path in LISTS:
        yield from _query(path, "page", BAD_NUMBERS)
        yield from _query(path, "page_size", (*BAD_NUMBERS, "201"))
        yield from _query(path, "sort", BAD_SORTS)
        yield from _query(path, "order", BAD_ORDERS)
        for pair in (
            "page=1&page=2",
            "page_size=1&page_size=1",
            "sort=id&sort=id",
            "order=asc&order=desc",
        ):
            yield Case(name=f"{path}?{pair}", path=f"{path}?{pair}")
    for path, name, values in QUERIES:
        yield from _query(path, name, values)
    for path, pair in (
        ("/api/v1/runs", "status=failed&status=completed"),
        ("/api/v1/storyboards", "name=a&name=b"),
        ("/api/v1/runs/{run}/tasks", "retryable=true&retryable=false"),
        ("/api/v1/models", "enabled=true&enabled=true"),
    ):
        yield Case(name=f"{path}?{pair}", path=f"{path}?{pair}")


def _query(path: str, name: str, values: tuple[str, ...]) -> Iterator[Case]:
    for value in values:
        yield Case(
            name=f"{path}?{name}={_short(value)}", path=f"{path}?{name}={value}", loc=(name,)
        )


# ---- methods and paths -------------------------------------------------------------------------


def methods() -> Iterator[Case]:
    for path, allowed in {
        "/api/v1/storyboards": ("GET", "POST"),
        "/api/v1/storyboards/{sb}": ("GET", "DELETE"),
        "/api/v1/storyboards/{sb}/segments": ("GET",),
        "/api/v1/segments/{seg}": ("GET", "PATCH"),
        "/api/v1/segments/{seg}/assets/start-image": ("POST",),
        "/api/v1/runs": ("GET", "POST"),
        "/api/v1/runs/{run}": ("GET",),
        "/api/v1/runs/{run}/tasks": ("GET",),
        "/api/v1/tasks/{task}": ("GET",),
        "/api/v1/tasks/{task}/metadata": ("GET",),
        "/api/v1/tasks/{task}/route": ("GET",),
        "/api/v1/tasks/{task}/download": ("GET",),
        "/api/v1/tasks/{task}/retry": ("POST",),
        "/api/v1/models": ("GET",),
        "/api/v1/models/sora2": ("GET",),
        "/api/v1/providers": ("GET",),
        "/api/v1/providers/openai": ("GET",),
        "/api/v1/admin/providers": ("GET",),
        "/api/v1/admin/providers/openai": ("GET", "PATCH"),
        "/api/v1/admin/models/sora2/providers/openai": ("PATCH",),
        "/api/v1/client-events": ("POST",),
    }.items():
        for method in (
            "GET",
            "POST",
            "PUT",
            "PATCH",
            "DELETE",
            "TRACE",
            "OPTIONS",
            "PROPFIND",
            "NONSENSE",
        ):
            if method not in allowed:
                yield _not_allowed(method, path)
    override = (("X-HTTP-Method-Override", "DELETE"), ("X-Method-Override", "DELETE"))
    for headers in ((header,) for header in override):
        yield _not_allowed("POST", "/api/v1/storyboards/{sb}", headers=headers, name=headers[0][0])
    yield _not_allowed("POST", "/api/v1/storyboards/{sb}?_method=DELETE", name="_method")


def _not_allowed(method: str, path: str, **more: Any) -> Case:
    name = more.pop("name", "is not taken")
    return Case(
        name=f"{method} {path} {name}",
        method=method,
        path=path,
        status=405,
        code="method_not_allowed",
        **more,
    )


LOST_PATHS = (
    *(
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v2",
        "/api/v2/storyboards",
        "/api/v1/nothing",
        "/api/v1//storyboards",
    ),
    *(
        "/api//v1/storyboards",
        "/api/v1/storyboards/",
        "/api/v1/storyboards//",
        "/api/v1/storyboards/{sb}/",
        "/api/v1/runs/",
    ),
    *(
        "/api/v1/admin/",
        "/api/v1/admin/users",
        "/api/v1/admin/providers/",
        "/api/v1/Storyboards",
        "/API/v1/nothing",
    ),
    *(
        "/api/v1/%2Fstoryboards",
        "/api%2Fv1/storyboards/",
        "/api/v1/%2e%2e/%2e%2e/etc/passwd",
        "/api/v1/%2e%2e%2fruns",
    ),
    *(
        "/api/v1/../../etc/passwd",
        "/api/v1/./storyboards",
        "/api/v1/storyboards/{sb}/segments/1",
        "/api/v1/storyboards;a=b",
    ),
    *(
        "/api/v1/tasks/{task}/download.mp4",
        "/api/v1/storyboards.json",
        "/api/v1/%",
        "/api/v1/%zz",
        "/api/v1/%00",
        "/api/v1/%ff%fe",
    ),
    *(
        "/api/v1/%0d%0aX-Injected:%20yes",
        "/api/v1/<script>alert(1)</script>",
        "/api/v1/{{7*7}}",
        "/api/v1/" + "x" * 8_000,
    ),
    *(
        "/api/v1/" + "a/" * 4_000,
        "/api/v1/.env",
        "/api/v1/graphql",
        "/api/v1/swagger.json",
        "/api/v1\\runs",
        "/api/v1/caf%E9",
    ),
)


def paths() -> Iterator[Case]:
    for path in LOST_PATHS:
        if path == "/API/v1/nothing":
            continue  # not below /api/: a page for people
        for method in ("GET", "POST", "DELETE"):
            yield Case(
                name=f"{method} {_short(path)}",
                method=method,
                path=path,
                status=404,
                code="not_found",
            )


# ---- headers -----------------------------------------------------------------------------------

BAD_HOSTS = (
    "evil.example",
    "localhost:x",
    "local host",
    "<script>",
    "localhost, evil",
    "",
    "[::1",
    "a" * 300,
    "169.254.169.254",
)
FOREIGN_ORIGINS = (
    "null",
    "https://evil.example",
    "http://localhost.evil.example",
    "http://localhost:1",
    "file://",
    "",
    "x" * 3_000,
    "http://[",
    "HTTP://",
)


def headers() -> Iterator[Case]:
    for host in BAD_HOSTS:
        for method in ("GET", "POST"):
            yield Case(
                name=f"{method} from host {_short(host)}",
                method=method,
                path="/api/v1/models",
                headers=(("Host", host),),
            )
    for origin in FOREIGN_ORIGINS:
        for target, (method, path, _) in JSON_TARGETS.items():
            yield Case(
                name=f"{target}: from origin {_short(origin)}",
                method=method,
                path=path,
                headers=(*JSON_TYPE, ("Origin", origin)),
                body=b"{}",
                status=403,
                code="forbidden",
            )
    yield Case(
        name="a storyboard deleted by a foreign page",
        method="DELETE",
        path="/api/v1/storyboards/{sb}",
        headers=(("Origin", "https://evil.example"),),
        status=403,
        code="forbidden",
    )
    wrong_length = (
        b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\n"
    )
    for name, rest in {
        "length that is no number": b"Content-Length: x\r\n\r\n{}",
        "negative length": b"Content-Length: -5\r\n\r\n{}",
        "two lengths": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "length with a plus": b"Content-Length: +2\r\n\r\n{}",
        "unknown transfer coding": b"Transfer-Encoding: sideways\r\n\r\n{}",
        "length and chunks": b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "chunks of nonsense": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "chunks that end early": b"Transfer-Encoding: chunked\r\n\r\n64\r\n{}",
        "body shorter than its length": b'Content-Length: 500\r\n\r\n{"model_id": "sora2"',
        "body longer than its length": b'Content-Length: 4\r\n\r\n{"model_id": "sora2"}',
        "unknown field in chunks": (
            b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n'
        ),
    }.items():
        yield Case(name=name, raw=wrong_length + rest)
    retry = wrong_length.replace(b"/runs", b"/tasks/{task}/retry")
    yield Case(name="a retry whose body broke off", raw=retry + b"Content-Length: 500\r\n\r\n{}")
    upload = wrong_length.replace(b"/runs", b"/storyboards")
    upload = upload.replace(b"application/json", FORM.encode())
    cut = form(part(GOOD_BOARD))[: -len(EDGE) - 6]
    yield Case(name="an upload that broke off", raw=upload + b"Content-Length: 5000\r\n\r\n" + cut)
    for name, request, status in (
        ("not HTTP", b"hello\r\n\r\n", 400),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", 400),
        ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        ("method in small letters", b"get /api/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("header without a colon", b"GET /api/v1/models HTTP/1.1\r\nHost localhost\r\n\r\n", 400),
        ("NUL in a header", b"GET /api/v1/models HTTP/1.1\r\nHost: local\x00host\r\n\r\n", 400),
        (
            "folded header",
            b"GET /api/v1/models HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
            400,
        ),
        ("two hosts", b"GET /api/v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", 400),
        (
            "an address with raw UTF-8",
            "GET /api/v1/caf\u00e9 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
            400,
        ),
        (
            "200 headers",
            b"GET /api/v1/models HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 200 + b"\r\n",
            431,
        ),
        (
            "an address of 9,000 characters",
            b"GET /api/v1/" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
            414,
        ),
    ):
        yield Case(name=name, raw=request, status=status)


# ---- tokens ------------------------------------------------------------------------------------

TOKEN = "a-token-of-the-tests"
BAD_AUTHORIZATIONS: dict[str, bytes] = {
    "none": b"",
    "scheme alone": b"Bearer",
    "scheme and a space": b"Bearer ",
    "another token": b"Bearer nope",
    "a prefix": b"Bearer a-token-of-the-test",
    "one more character": b"Bearer a-token-of-the-testss",
    "in capitals": b"Bearer A-TOKEN-OF-THE-TESTS",
    "twice": b"Bearer a-token-of-the-tests, Bearer a-token-of-the-tests",
    "quoted": b'Bearer "a-token-of-the-tests"',
    "no scheme": b"a-token-of-the-tests",
    "Basic": b"Basic YS10b2tlbi1vZi10aGUtdGVzdHM6",
    "Token": b"Token a-token-of-the-tests",
    "latin-1": b"Bearer caf\xe9",
    "UTF-8": "Bearer ключ".encode(),
    "all bytes": b"Bearer " + bytes(range(128, 256)),
    "4 kB": b"Bearer " + b"x" * 4_096,
    "5 kB": b"Bearer " + b"x" * 5_000,
    "64 kB": b"Bearer " + b"x" * 64_000,
    "right token and 64 kB of blanks": b"Bearer " + b" " * 64_000 + b"x",
}
GUARDED = (
    *(
        "/api/v1",
        "/api/v1/",
        "/api/v1/storyboards",
        "/api/v1/nothing",
        "/api/v1/storyboards/x",
        "/metrics",
    ),
    *(
        "/api/v1/tasks/{task}/download?expires=99999999999&signature=x",
        "/api/v1/tasks/{task}/download?expires=x",
    ),
    *("/api/v1/runs?token=a-token-of-the-tests", "/api/v1/runs?access_token=a-token-of-the-tests"),
)


def tokens() -> Iterator[Case]:
    for name, value in BAD_AUTHORIZATIONS.items():
        given: Headers = (("Authorization", value),) if value else ()
        for method, path in (("GET", "/api/v1/models"), ("POST", "/api/v1/runs")):
            yield Case(
                name=f"{method} with {name}",
                method=method,
                path=path,
                headers=given,
                status=401,
                code="unauthorized",
            )
    for path in GUARDED:
        for method in ("GET", "POST", "DELETE", "NONSENSE"):
            yield Case(
                name=f"{method} {path} without a token",
                method=method,
                path=path,
                status=401,
                code="unauthorized",
            )
    yield Case(
        name="3 MB without a token",
        method="POST",
        path="/api/v1/runs",
        headers=JSON_TYPE,
        body=b" " * 3_000_000,
        status=401,
        code="unauthorized",
    )


# ---- odd, and yet fine -------------------------------------------------------------------------


def harmless() -> Iterator[Case]:
    """Reads that are to be answered as if nothing odd were in them."""
    for name, value in {
        "Accept": "text/html",
        "accept": "application/xml;q=0.9",
        "Accept ": "",
        "Accept-Language": "xx-" * 500,
        "Accept-Encoding": "gzip, br, nonsense",
        "Cookie": "sessionid=" + "x" * 5_000 + "; csrftoken=\u00e9",
        "Range": "bytes=9-1,x",
        "If-None-Match": '"x',
        "If-Modified-Since": "yesterday",
        "If-Match": "*",
        "Idempotency-Key": "\u00e9" * 1_000,
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "gopher",
        "X-HTTP-Method-Override": "DELETE",
        "Content-Type": "nonsense",
        "Origin": "https://evil.example",
        "Referer": "https://evil.example/",
        "Authorization": "Bearer " + "x" * 64_000,
    }.items():
        given = ((name.strip(), value),)
        yield Case(
            name=f"header {name}: {_short(value)}", path="/api/v1/models", headers=given, status=200
        )
    for query in (
        *(
            "page=99999999999999999",
            "format=api",
            "format=html",
            "_format=xml",
            "unknown=%00",
            "name=%ED%A0%80",
            "=",
            "&&&",
            "%",
            "x" * 7_500,
        ),
        *("page=1&unknown[]=2", "PAGE=0", "expires=%00&signature=%ff", "sort=created_at&order=asc"),
    ):
        yield Case(name=f"query {_short(query)}", path=f"/api/v1/storyboards?{query}", status=200)
    yield Case(
        name="storyboard of a wrong shape in a filter",
        path="/api/v1/runs?storyboard_id=%00",
        status=400,
    )


ALL = [
    *broken_json(),
    *json_fields(),
    *content_types(),
    *multiparts(),
    *storyboards(),
    *images(),
    *ids(),
    *queries(),
    *methods(),
    *paths(),
    *headers(),
]
HARMLESS = list(harmless())
TOKENS = list(tokens())
