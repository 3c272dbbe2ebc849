"""What the simulated speakers of OpenAI's protocol, AIHubMix and Sora.hk take and refuse, as the real ones do."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
import requests

from tests.providers.simulated import Simulator, simulator

KEY = "sk-simulated-5f0c2a9e71"
BEARER = {"Authorization": f"Bearer {KEY}"}
ORDER = {"model": "m", "prompt": "A city at dusk", "seconds": "4", "size": "1280x720"}


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    with simulator(seconds=0.0, api_key=KEY) as running:
        yield running


@pytest.fixture
def far(server: Simulator) -> Simulator:
    server.reset()
    return server


@pytest.fixture(scope="module")
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def posted(http: requests.Session, far: Simulator, path: str, **more: Any) -> requests.Response:
    return http.post(f"{far.origin}{path}", **({"headers": BEARER} | more))


def got(http: requests.Session, far: Simulator, path: str, **more: Any) -> requests.Response:
    return http.get(f"{far.origin}{path}", **({"headers": BEARER} | more))


def test_azure_looks_for_the_key_in_its_own_header_alone(
    http: requests.Session, far: Simulator
) -> None:
    path = "/azure/openai/v1/videos"
    assert posted(http, far, path, json=ORDER).status_code == 401
    answer = posted(http, far, path, json=ORDER, headers={"api-key": KEY})
    assert (answer.status_code, answer.json()["model"]) == (200, "m")


def test_new_api_names_the_file_beside_the_job(http: requests.Session, far: Simulator) -> None:
    job = posted(http, far, "/newapi/v1/videos", json=ORDER | {"seconds": 4}).json()
    assert job["id"] == job["task_id"]
    done = got(http, far, f"/newapi/v1/videos/{job['id']}").json()
    assert http.get(done["metadata"]["url"]).content[4:8] == b"ftyp"
    assert far.ledger()["links"] == [{"job_id": job["id"], "authorization": False}]


def test_new_api_words_errors_in_two_ways(http: requests.Session, far: Simulator) -> None:
    bad_key = posted(http, far, "/newapi/v1/videos", json=ORDER, headers={})
    assert (bad_key.status_code, bad_key.json()["error"]["message"]) == (401, "无效的令牌")
    unknown = got(http, far, "/newapi/v1/videos/task_never")
    assert (unknown.status_code, unknown.json()["code"]) == (400, "task_not_exist")


def test_a_server_of_ones_own_asks_for_no_key(http: requests.Session, far: Simulator) -> None:
    order = ORDER | {"size": "832x480"}
    answer = posted(http, far, "/sglang/v1/videos", json=order, headers={})
    assert (answer.status_code, "prompt" in answer.json()) == (200, False)


def test_sglang_refuses_the_object_form_of_a_picture(
    http: requests.Session, far: Simulator
) -> None:
    order = ORDER | {"input_reference": {"image_url": "https://pictures.example/a.png"}}
    answer = posted(http, far, "/sglang/v1/videos", json=order)
    assert answer.status_code == 400
    assert "input_reference" in answer.json()["detail"]


def test_sglang_forgets_a_job_and_goes_on_with_it(http: requests.Session, far: Simulator) -> None:
    far.configure(seconds=60.0)
    job = posted(http, far, "/sglang/v1/videos", json=ORDER).json()
    path = f"/sglang/v1/videos/{job['id']}"
    assert http.delete(f"{far.origin}{path}").json()["status"] == "deleted"
    assert got(http, far, path).status_code == 404
    assert far.ledger()["counts"]["in_flight"] == 1


def test_vllm_takes_forms_alone(http: requests.Session, far: Simulator) -> None:
    assert posted(http, far, "/vllm/v1/videos", json=ORDER).status_code == 422
    parts = {name: (None, value) for name, value in ORDER.items()}
    assert posted(http, far, "/vllm/v1/videos", files=parts).status_code == 200


def test_vllm_tells_of_a_failed_job_with_an_error_status(
    http: requests.Session, far: Simulator
) -> None:
    parts = {name: (None, value) for name, value in ORDER.items()}
    parts["prompt"] = (None, "A city [[sim:fail=server_error]]")
    job = posted(http, far, "/vllm/v1/videos", files=parts).json()
    answer = got(http, far, f"/vllm/v1/videos/{job['id']}")
    assert (answer.status_code, answer.json()["object"]) == (500, "video")
    assert (answer.json()["status"], answer.json()["error"]["code"]) == ("failed", 500)
    (listed,) = got(http, far, "/vllm/v1/videos").json()["data"]
    assert listed["error"]["code"] == "EngineGenerateError"


def test_litellm_hides_the_backend_in_its_ids(http: requests.Session, far: Simulator) -> None:
    job = posted(http, far, "/litellm/v1/videos", json=ORDER).json()
    assert (len(job["id"]) > 100, job["created_at"]) == (True, 0)
    assert (
        http.delete(f"{far.origin}/litellm/v1/videos/{job['id']}", headers=BEARER).status_code
        == 404
    )
    assert got(http, far, "/litellm/v1/videos").status_code == 404


SEEDANCE = {
    "model": "doubao-seedance-2-0-260128",
    "prompt": "A city at dusk",
    "duration": 8,
    "ratio": "16:9",
    "resolution": "720p",
    "content": [{"type": "text", "text": "A city at dusk"}],
}
VEO = {
    "model": "veo-3.1-generate-preview",
    "prompt": "A city at dusk",
    "seconds": 8,
    "size": "720p",
}
WAN = {
    "model": "happyhorse-1.0-i2v",
    "input": {
        "prompt": "A city at dusk",
        "media": [{"type": "first_frame", "url": "https://pictures.example/a.png"}],
    },
    "parameters": {"resolution": "720P", "ratio": "9:16", "duration": 5},
}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (SEEDANCE, 200),
        (SEEDANCE | {"resolution": "1280x720"}, 400),
        (SEEDANCE | {"duration": "8"}, 400),
        (SEEDANCE | {"content": []}, 400),
        (VEO, 200),
        (VEO | {"seconds": "8"}, 400),
        (VEO | {"seconds": 12}, 400),
        (VEO | {"input_reference": "https://pictures.example/a.png"}, 400),
        (WAN, 200),
        (WAN | {"input": "A city at dusk"}, 400),
        (ORDER | {"model": "sora-2"}, 200),
        (ORDER | {"model": "sora-2", "seconds": 4}, 400),
    ],
)
def test_aihubmix_wants_each_family_its_own_body(
    body: dict[str, Any], status: int, http: requests.Session, far: Simulator
) -> None:
    assert posted(http, far, "/aihubmix/v1/videos", json=body).status_code == status


def test_aihubmix_has_no_channel_for_a_retired_model(
    http: requests.Session, far: Simulator
) -> None:
    far.configure(retired=["doubao-seedance-2-0-260128"])
    answer = posted(http, far, "/aihubmix/v1/videos", json=SEEDANCE)
    assert answer.status_code == 500
    assert answer.json()["error"]["message"].startswith("no_valid_channel_error (tid:")


HK = {"prompt": "A city at dusk", "is_pro": False, "duration": 10, "resolution": "horizontal"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, 200),
        ({"duration": 15}, 200),
        ({"duration": 25}, 1001),
        ({"duration": 25, "is_pro": True}, 200),
        ({"duration": 12}, 1001),
        ({"resolution": "1280x720"}, 1001),
        ({"prompt": ""}, 1001),
        ({"image_url": "data:image/png;base64,AA=="}, 1001),
        ({"image_url": "https://pictures.example/a.png"}, 200),
        ({"seconds": "10"}, 1001),
    ],
)
def test_sora_hk_tells_a_bad_parameter_inside_a_success(
    change: dict[str, Any], code: int, http: requests.Session, far: Simulator
) -> None:
    answer = posted(http, far, "/sorahk/v1/create", json=HK | change)
    assert (answer.status_code, answer.json()["code"]) == (200, code)


def test_sora_hk_tells_a_wrong_key_inside_a_success(http: requests.Session, far: Simulator) -> None:
    answer = posted(http, far, "/sorahk/v1/create", json=HK, headers={})
    assert (answer.status_code, answer.json()["code"], answer.json()["data"]) == (200, 401, None)


def test_a_link_is_good_only_as_it_is_written(http: requests.Session, far: Simulator) -> None:
    job = posted(http, far, "/sorahk/v1/create", json=HK).json()["data"]["task_id"]
    url = got(http, far, f"/sorahk/v1/tasks/{job}").json()["data"]["video_url"]
    assert "%2Fraw?" in url
    assert http.get(url).status_code == 200
    path, _, query = url.partition("?")
    assert http.get(f"{unquote(path)}?{query}").status_code == 403
    assert http.get(f"{path}?{query[:-1]}").status_code == 403


def test_a_key_that_strays_to_a_link_is_noted(http: requests.Session, far: Simulator) -> None:
    job = posted(http, far, "/sorahk/v1/create", json=HK).json()["data"]["task_id"]
    url = got(http, far, f"/sorahk/v1/tasks/{job}").json()["data"]["video_url"]
    for headers in ({}, BEARER, {"X-Anything": KEY}):
        assert http.get(url, headers=headers).status_code == 200
    assert http.get(f"{url}&key={KEY}").status_code == 200
    strayed = [visit["authorization"] for visit in far.ledger()["links"]]
    assert strayed == [False, True, True, True]
