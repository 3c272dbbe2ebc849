"""The checklist's further checks: filters, sorting and errors. They follow the runs of `steps`."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from cineflow.acceptance.client import expect, expect_status, read, read_error
from cineflow.acceptance.shapes import Page, Run, Segment, Task
from cineflow.acceptance.walk import NotTestable, Step, Walk, known

WRONG_TOKEN = "not-the-token"  # noqa: S105 - wrong on purpose
MISSING_ID = "00000000000000000000000000"


# ---- filters and sorting -----------------------------------------------------------------------


def failed_runs(walk: Walk) -> str:
    page = read(
        walk.api.get("/runs", params={"status": "failed", "page_size": 200}), 200, Page[Run]
    )
    expect(all(run.status == "failed" for run in page.items), "含非 failed 的 run")
    expect(known(walk.run).id in [run.id for run in page.items], "缺少刚刚失败的 run")
    return f"{page.total} 条，均为 failed"


def filtered_tasks(walk: Walk, *, query: dict[str, str], fits: Callable[[Task], bool]) -> str:
    """Whoever knows all tasks can filter them too: both must find the same."""
    path = f"/runs/{known(walk.run).id}/tasks"
    everything = read(walk.api.get(path, params={"page_size": 200}), 200, Page[Task])
    found = read(walk.api.get(path, params={**query, "page_size": 200}), 200, Page[Task])
    wanted = [task.id for task in everything.items if fits(task)]
    expect(
        [task.id for task in found.items] == wanted, f"{found.total} 条（应为 {len(wanted)} 条）"
    )
    return f"{found.total} 条"


def _may_be_retried(task: Task) -> bool:
    return task.status == "failed" and task.retryable is True


def _may_not_be_retried(task: Task) -> bool:
    return task.status == "failed" and task.retryable is False


def _is_rate_limited(task: Task) -> bool:
    return task.error_code == "rate_limited"


def paged_segments(walk: Walk) -> str:
    """Page by page, the last shot first; the page after the last is empty."""
    path, indexes = f"/storyboards/{known(walk.storyboard).id}/segments", []
    for number in (1, 2, 3):
        query = {"page": number, "page_size": 1, "sort": "segment_index", "order": "desc"}
        page = read(walk.api.get(path, params=query), 200, Page[Segment])
        expect(
            (page.page, page.page_size, page.total) == (number, 1, 2), "page/page_size/total 不符"
        )
        indexes.append([segment.segment_index for segment in page.items])
    expect(indexes == [[2], [1], []], f"segment_index={indexes}")
    return "第 1–3 页：2、1、空"


_TASKS = "/api/v1/runs/{id}/tasks"
_RETRYABLE = partial(
    filtered_tasks, query={"status": "failed", "retryable": "true"}, fits=_may_be_retried
)
_FINAL = partial(
    filtered_tasks, query={"status": "failed", "retryable": "false"}, fits=_may_not_be_retried
)
_LIMITED = partial(filtered_tasks, query={"error_code": "rate_limited"}, fits=_is_rate_limited)

# Here `number` holds the condition, which is what this table's second column shows.
FILTERS = (
    Step("status=failed", "/api/v1/runs", "仅失败", failed_runs),
    Step("status=failed&retryable=true", _TASKS, "仅可重试失败", _RETRYABLE),
    Step("status=failed&retryable=false", _TASKS, "仅不可重试失败", _FINAL),
    Step("error_code=rate_limited", _TASKS, "仅限流失败", _LIMITED),
    Step(
        "page&page_size=1&sort=segment_index&order=desc",
        "/api/v1/storyboards/{id}/segments",
        "逐页不重不漏",
        paged_segments,
    ),
)


# ---- errors ------------------------------------------------------------------------------------


def unauthorized(walk: Walk, *, token: str) -> str:
    if not is_guarded(walk):
        raise NotTestable("服务未设置 AUTH_TOKEN，允许匿名")
    response = walk.api.get("/runs", token=token)
    read_error(response, 401, "unauthorized")
    expect(
        response.json() == {"code": "unauthorized", "message": "Authentication required"},
        "响应体不符",
    )
    expect(response.headers.get("WWW-Authenticate") == "Bearer", "缺少 WWW-Authenticate: Bearer")
    return "code=unauthorized"


def is_guarded(walk: Walk) -> bool:
    return walk.api.get("/runs", token="").status_code == 401


def not_found(walk: Walk, *, path: str) -> str:
    """An id of the right shape that nobody has, and one of a wrong shape."""
    for missing in (MISSING_ID, "nonsense"):
        read_error(walk.api.get(path.format(missing)), 404, "not_found")
    return "code=not_found"


def bad_segment(walk: Walk, *, change: dict[str, Any]) -> str:
    segment = known(walk.segments)[0]
    error = read_error(
        walk.api.patch(f"/segments/{segment.id}", json=change), 400, "validation_error"
    )
    places = [problem["loc"][0] for problem in (error.details or {}).get("errors", [])]
    expect(places == list(change), f"details.errors 指向 {places}")
    now = read(walk.api.get(f"/segments/{segment.id}"), 200, Segment)
    expect(now == segment, "被拒绝的修改仍被保存")
    return "code=validation_error"


EMPTY_PROMPT = {
    "code": "schema_error",
    "message": "Invalid storyboard schema",
    "details": {
        "errors": [
            {
                "loc": ["segments", 0, "prompt_text"],
                "msg": "Prompt text cannot be empty.",
                "type": "value_error",
            }
        ]
    },
}


def empty_prompt(walk: Walk) -> str:
    response = _upload_segment(walk, {"segment_index": 1, "prompt_text": ""})
    expect_status(response, 400)
    expect(response.json() == EMPTY_PROMPT, "响应体与清单示例不一致")
    return "code=schema_error，与示例逐字一致"


def bad_upload(walk: Walk, *, change: dict[str, Any]) -> str:
    response = _upload_segment(walk, {"segment_index": 1, "prompt_text": "A street.", **change})
    error = read_error(response, 400, "schema_error")
    places = [problem["loc"] for problem in (error.details or {}).get("errors", [])]
    expect(places == [["segments", 0, *change]], f"details.errors 指向 {places}")
    return "code=schema_error"


def _upload_segment(walk: Walk, segment: dict[str, Any]) -> Any:
    content = json.dumps({"segments": [segment]}).encode()
    return walk.api.post("/storyboards", files={"file": ("bad.json", content, "application/json")})


def failed_task_tells_why(walk: Walk) -> str:
    task = read(walk.api.get(f"/tasks/{known(walk.tasks)[0].id}"), 200, Task)
    expect(task.status == "failed", f"status={task.status}")
    return f"error_code={task.error_code}，retryable={str(task.retryable).lower()}"


# Here `number` holds the line's label.
ERRORS = (
    Step("401 未携带 token", "GET /api/v1/runs", "401", partial(unauthorized, token="")),
    Step("401 错误 token", "GET /api/v1/runs", "401", partial(unauthorized, token=WRONG_TOKEN)),
    Step(
        "404 无效 storyboard id",
        "GET /api/v1/storyboards/…",
        "404",
        partial(not_found, path="/storyboards/sb_{}"),
    ),
    Step(
        "404 无效 segment id",
        "GET /api/v1/segments/…",
        "404",
        partial(not_found, path="/segments/seg_{}"),
    ),
    Step(
        "404 无效 task id", "GET /api/v1/tasks/…", "404", partial(not_found, path="/tasks/task_{}")
    ),
    Step(
        "400 非法 duration",
        "PATCH /api/v1/segments/{segment_id}",
        "400",
        partial(bad_segment, change={"duration_seconds": 7}),
    ),
    Step(
        "400 非法 resolution",
        "PATCH /api/v1/segments/{segment_id}",
        "400",
        partial(bad_segment, change={"resolution": "diagonal"}),
    ),
    Step(
        "400 上传中非法 duration",
        "POST /api/v1/storyboards",
        "400",
        partial(bad_upload, change={"duration_seconds": 7}),
    ),
    Step("400 Schema 不合法（空 prompt_text）", "POST /api/v1/storyboards", "400", empty_prompt),
    Step(
        "失败任务返回 error_code / retryable",
        "GET /api/v1/tasks/{task_id}",
        "有",
        failed_task_tells_why,
    ),
)
