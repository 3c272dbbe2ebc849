"""The twelve steps of the checklist, as a dry run, as a real run, and as a run that fails."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings

from cineflow.acceptance.client import (
    PREFIX,
    Unmet,
    expect,
    expect_status,
    read,
    read_error,
    wait_for,
)
from cineflow.acceptance.shapes import (
    ENDED,
    File,
    Metadata,
    Model,
    Page,
    Run,
    Segment,
    Storyboard,
    Task,
)
from cineflow.acceptance.walk import Step, Walk, known

SAMPLE = Path(settings.BASE_DIR) / "examples" / "storyboard_demo.json"
SEGMENTS = 2

# Each run of the walk: the body of POST /runs, less the storyboard.
DRY_RUN = {"model_id": "sora2", "gen_count": 1, "concurrency": 3, "range": "all", "dry_run": True}
# `force`, or a second demo would take over the clips of the first one and show nothing new.
REAL_RUN = {
    "model_id": "preview",
    "gen_count": 1,
    "concurrency": 3,
    "range": "all",
    "dry_run": False,
    "force": True,
}
# `sora_hk` does not make `preview`: this fails before anybody is called, and so costs nothing.
FAILING_RUN = {
    "model_id": "preview",
    "routing_strategy": "manual",
    "provider_id": "sora_hk",
    "gen_count": 1,
    "range": "1",
    "dry_run": False,
    "force": True,
}
CHANGES = {
    "prompt_text": "City sunrise, wide shot",
    "duration_seconds": 12,
    "resolution": "horizontal",
    "is_pro": False,
}
_RUN_SECONDS = 300.0
_RANGE_BYTES = 1024


# ---- 1–5: what the user edits ------------------------------------------------------------------


def upload(walk: Walk) -> str:
    form = {"file": (SAMPLE.name, SAMPLE.read_bytes(), "application/json")}
    found = read(walk.api.post("/storyboards", files=form), 201, Storyboard)
    expect(found.name == SAMPLE.name, f"name={found.name}")
    expect(found.segment_count == SEGMENTS, f"segment_count={found.segment_count}")
    walk.storyboard = found
    return f"201 + {found.id}"


def list_storyboards(walk: Walk) -> str:
    mine = known(walk.storyboard)
    query = {"page": 1, "page_size": 20, "sort": "created_at", "order": "desc"}
    page = read(walk.api.get("/storyboards", params=query), 200, Page[Storyboard])
    expect(mine in page.items, f"列表（{page.total} 条）不含 {mine.id}")
    times = [found.created_at for found in page.items]
    expect(times == sorted(times, reverse=True), "未按 created_at 降序")
    return f"列表含 {mine.id}"


def list_segments(walk: Walk) -> str:
    page = read(
        walk.api.get(f"/storyboards/{known(walk.storyboard).id}/segments"), 200, Page[Segment]
    )
    indexes = [segment.segment_index for segment in page.items]
    expect(indexes == list(range(1, SEGMENTS + 1)), f"segment_index={indexes}")
    walk.segments = page.items
    return f"{page.total} 条 segments"


def edit_segment(walk: Walk) -> str:
    before = known(walk.segments)[0]
    after = read(walk.api.patch(f"/segments/{before.id}", json=CHANGES), 200, Segment)
    expect(after == before.model_copy(update=CHANGES), "返回值与请求不一致，或改动了未提交的字段")
    walk.segments[0] = after
    return "200 + prompt 更新"


def list_models(walk: Walk) -> str:
    page = read(walk.api.get("/models", params={"enabled": "true"}), 200, Page[Model])
    names = [model.id for model in page.items]
    missing = {"sora2", "sora2pro"} - set(names)
    expect(not missing, f"缺少 {'、'.join(sorted(missing))}")
    expect(all(model.enabled for model in page.items), "含未启用的模型")
    return f"返回 {'/'.join(names)}"


# ---- 6–9: a run and its tasks ------------------------------------------------------------------


def create_run(walk: Walk, *, body: dict[str, Any], tasks: int) -> str:
    walk.run, walk.tasks = None, []
    request = {**body, "storyboard_id": known(walk.storyboard).id}
    run = read(walk.api.post("/runs", json=request), 201, Run)
    expect(run.status in ("queued", "running"), f"status={run.status}")
    expect(run.total_tasks == tasks, f"total_tasks={run.total_tasks}（应为 {tasks}）")
    walk.run = run
    return f"201 + {run.id}"


def follow_run(walk: Walk, *, until: str) -> str:
    run = wait_for(partial(_look, walk), _has_ended, seconds=_RUN_SECONDS)
    expect(run.status == until, f"{run.status}（应为 {until}）")
    expect(run.done == run.total_tasks, f"统计不符：{run.done}/{run.total_tasks}")
    return f"{run.status}（{run.done}/{run.total_tasks}）"


def _look(walk: Walk) -> Run:
    run = read(walk.api.get(f"/runs/{known(walk.run).id}"), 200, Run)
    walk.watch(run)
    return run


def _has_ended(run: Run) -> bool:
    return run.status in ENDED


def list_tasks(walk: Walk) -> str:
    run, query = known(walk.run), {"sort": "segment_index", "order": "asc"}
    page = read(walk.api.get(f"/runs/{run.id}/tasks", params=query), 200, Page[Task])
    expect(
        page.total == len(page.items) == run.total_tasks,
        f"返回 {page.total} 条（应为 {run.total_tasks}）",
    )
    indexes = [task.segment_index for task in page.items]
    expect(indexes == sorted(indexes), f"未按 segment_index 升序：{indexes}")
    for task in page.items:
        expect(
            task.metadata_url == f"{PREFIX}/tasks/{task.id}/metadata",
            f"metadata_url={task.metadata_url}",
        )
        expect(bool(task.full_prompt), f"{task.id} 的 full_prompt 为空")
    walk.tasks = page.items
    return f"返回 {page.total} 条 tasks"


def show_dry_task(walk: Walk) -> str:
    task = _detail(walk)
    expect(task.error_code is None, f"error_code={task.error_code}")
    expect(task.video_url is None, "dry_run 不应有 video_url")
    return "error_code 为 null"


def show_finished_tasks(walk: Walk) -> str:
    for number in range(len(known(walk.tasks))):
        task = _detail(walk, number)
        expect(task.status == "completed", f"{task.id} status={task.status}")
        path = f"{PREFIX}/tasks/{task.id}/download"
        expect((task.video_url or "").partition("?")[0] == path, f"video_url={task.video_url}")
    return f"{len(walk.tasks)} 条均 completed，含 video_url"


def show_failed_task(walk: Walk) -> str:
    task = _detail(walk)
    expect(task.status == "failed", f"status={task.status}")
    return f"error_code={task.error_code}，retryable={str(task.retryable).lower()}"


def _detail(walk: Walk, number: int = 0) -> Task:
    """The task by itself, which must say the same as the list did."""
    listed = known(walk.tasks)[number]
    task = read(walk.api.get(f"/tasks/{listed.id}"), 200, Task)
    # Less the link, whose signature is renewed every hour.
    expect(
        task.model_dump(exclude={"video_url"}) == listed.model_dump(exclude={"video_url"}),
        "详情与列表不一致",
    )
    return task


# ---- 10: metadata ------------------------------------------------------------------------------


def show_metadata(walk: Walk) -> str:
    found = _metadata(walk, known(walk.tasks)[0])
    expect(found.file is None, "没有视频，却有 file")
    return f"JSON 返回（attempts={len(found.attempts)}，file 为 null）"


def show_failed_metadata(walk: Walk) -> str:
    show_metadata(walk)
    found = _metadata(walk, walk.tasks[0])
    return f"JSON 返回（error_code={found.error_code}，retryable={str(found.retryable).lower()}）"


def show_file_facts(walk: Walk) -> str:
    facts = [_checked_file(walk, task) for task in known(walk.tasks)]
    return "；".join(f"{file.width}×{file.height} {file.seconds:g} s" for file in facts)


def _metadata(walk: Walk, task: Task) -> Metadata:
    found = read(walk.api.get(f"/tasks/{task.id}/metadata"), 200, Metadata)
    same = (found.id, found.segment_index, found.full_prompt, found.error_code, found.retryable)
    listed = (task.id, task.segment_index, task.full_prompt, task.error_code, task.retryable)
    expect(same == listed, "metadata 与任务不一致")
    return found


def _checked_file(walk: Walk, task: Task) -> File:
    found = _metadata(walk, task)
    segment = next(
        segment for segment in walk.segments if segment.segment_index == task.segment_index
    )
    expect(found.file is not None, f"{task.id} 没有 file")
    file = known(found.file)
    off = abs((file.seconds or 0) - segment.duration_seconds)
    expect(off < 0.2, f"时长 {file.seconds} s（应为 {segment.duration_seconds} s）")
    is_wide = (file.width or 0) > (file.height or 0)
    expect(is_wide == (segment.resolution == "horizontal"), f"画面 {file.width}×{file.height}")
    return file


# ---- 11: download ------------------------------------------------------------------------------


def download_nothing(walk: Walk) -> str:
    read_error(_download(walk, known(walk.tasks)[0]), 404, "not_found")
    return "404"


def download_files(walk: Walk) -> str:
    for task in known(walk.tasks):
        response = _download(walk, task)
        expect_status(response, 200)
        _expect_mp4(response.headers.get("Content-Type", ""), response.content)
        file = known(_metadata(walk, task).file)
        expect(
            len(response.content) == file.bytes,
            f"{len(response.content)} 字节（应为 {file.bytes}）",
        )
        expect(
            hashlib.sha256(response.content).hexdigest() == file.sha256, "sha256 与 metadata 不一致"
        )
        where = (file.model_extra or {}).get("path") or f"{walk.api.url}{task.video_url}"
        walk.files[str(where)] = (
            f"{file.seconds:g} s, {file.width}x{file.height}, {file.bytes // 1024} KiB"
        )
    return f"200 video/mp4 × {len(walk.tasks)}，sha256 一致"


def _download(walk: Walk, task: Task, **arguments: Any) -> Any:
    """Redirects to object storage are followed, and the token stays behind then."""
    return walk.api.get(f"/tasks/{task.id}/download", **arguments)


def _expect_mp4(content_type: str, content: bytes) -> None:
    expect(content_type == "video/mp4", f"Content-Type={content_type}")
    # ISO/IEC 14496-12: the first box is `ftyp`; the picture is in `moov` and `mdat`.
    is_mp4 = content[4:8] == b"ftyp" and b"moov" in content and b"mdat" in content
    expect(is_mp4, "不是 MP4 文件")


def download_range(walk: Walk) -> str:
    task = known(walk.tasks)[0]
    whole = _download(walk, task).content
    part = _download(walk, task, headers={"Range": f"bytes=0-{_RANGE_BYTES - 1}"})
    expect_status(part, 206)
    expect(part.content == whole[:_RANGE_BYTES], "返回的字节与所请求的范围不符")
    told = part.headers.get("Content-Range")
    expect(told == f"bytes 0-{_RANGE_BYTES - 1}/{len(whole)}", f"Content-Range={told}")
    beyond = _download(walk, task, headers={"Range": f"bytes={len(whole)}-"})
    expect_status(beyond, 416)
    return f"206 {told}；越界 416"


def download_by_link(walk: Walk) -> str:
    """As a <video> element does it: `video_url`, and no header."""
    link = known(known(walk.tasks)[0].video_url)
    response = walk.api.call("GET", link, token="")
    expect_status(response, 200)
    _expect_mp4(response.headers.get("Content-Type", ""), response.content)
    return "200 video/mp4（无需请求头）"


# ---- 12: retry ---------------------------------------------------------------------------------


def retry(walk: Walk, *, until: str) -> str:
    task = known(walk.tasks)[0]
    again = read(walk.api.post(f"/tasks/{task.id}/retry"), 202, Task)
    expect(again.status in ("queued", "running"), f"202，但 status={again.status}")
    try:
        ended = follow_run(walk, until=until)
    except Unmet as unmet:
        raise Unmet(f"202 + {again.status}，随后 {unmet}") from None
    return f"202 + {again.status}，随后 {ended}"


# ---- the lists ---------------------------------------------------------------------------------

TASK, TASKS = "/api/v1/tasks/{task_id}", "GET /api/v1/runs/{id}/tasks?sort=segment_index&order=asc"

DRY_STEPS = (
    Step("1", "POST /api/v1/storyboards", "201 + 返回 id", upload),
    Step(
        "2",
        "GET /api/v1/storyboards?page=1&page_size=20&sort=created_at&order=desc",
        "列表含新 id",
        list_storyboards,
    ),
    Step("3", "GET /api/v1/storyboards/{id}/segments", "segments 可读", list_segments),
    Step("4", "PATCH /api/v1/segments/{segment_id}", "更新成功", edit_segment),
    Step("5", "GET /api/v1/models?enabled=true", "含 sora2/sora2pro", list_models),
    Step(
        "6",
        "POST /api/v1/runs",
        "返回 run_id",
        partial(create_run, body=DRY_RUN, tasks=2),
        "dry_run",
    ),
    Step(
        "7",
        "GET /api/v1/runs/{id}",
        "状态最终完成",
        partial(follow_run, until="completed"),
        "dry_run",
    ),
    Step("8", TASKS, "tasks 可读", list_tasks),
    Step("9", f"GET {TASK}", "error_code/详情可读", show_dry_task, "dry_run"),
    Step("10", f"GET {TASK}/metadata", "元数据可读", show_metadata),
    Step("11", f"GET {TASK}/download", "404（无视频）", download_nothing, "dry_run 预期"),
    Step("12", f"POST {TASK}/retry", "进入运行态", partial(retry, until="completed"), "dry_run"),
)

REAL_STEPS = (
    Step(
        "6",
        "POST /api/v1/runs",
        "返回 run_id",
        partial(create_run, body=REAL_RUN, tasks=2),
        "preview",
    ),
    Step(
        "7",
        "GET /api/v1/runs/{id}",
        "状态最终完成",
        partial(follow_run, until="completed"),
        "本机渲染",
    ),
    Step("8", TASKS, "tasks 可读", list_tasks),
    Step("9", f"GET {TASK}", "completed + video_url", show_finished_tasks),
    Step("10", f"GET {TASK}/metadata", "时长/画幅与分镜一致", show_file_facts),
    Step("11", f"GET {TASK}/download", "MP4 文件", download_files),
    Step("11", f"GET {TASK}/download", "Range：206/416", download_range, "可拖动播放"),
    Step("11", "GET {video_url}", "链接可直接播放", download_by_link, "签名链接"),
)

FAILING_STEPS = (
    Step(
        "6",
        "POST /api/v1/runs",
        "返回 run_id",
        partial(create_run, body=FAILING_RUN, tasks=1),
        "无可用路由",
    ),
    Step("7", "GET /api/v1/runs/{id}", "状态最终失败", partial(follow_run, until="failed")),
    Step("8", TASKS, "tasks 可读", list_tasks),
    Step("9", f"GET {TASK}", "含 error_code/retryable", show_failed_task),
    Step("10", f"GET {TASK}/metadata", "含 error_code/retryable", show_failed_metadata),
    Step("11", f"GET {TASK}/download", "404（无视频）", download_nothing),
    Step(
        "12",
        f"POST {TASK}/retry",
        "进入运行态",
        partial(retry, until="failed"),
        "仍无路由，再次失败",
    ),
)
