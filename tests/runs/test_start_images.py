"""Start images on their way to a provider: bytes, data URLs and addresses, each as it can take them."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import signing
from django.test import Client
from PIL import Image

from providers import outside
from providers.base import ImageInput, StartImage
from providers.models import ProviderModel
from runs import start_images
from runs.models import Attempt, Status
from runs.start_images import Unusable, load
from storyboards import uploads
from tests.providers.far_end import FarEnd, answer, far_end, hang_up
from tests.providers.simulated import Simulator
from tests.providers.test_outside import HERE
from tests.runs.conftest import Machine, MakeRun

UPLOAD, INLINE, URL = ImageInput.UPLOAD, ImageInput.INLINE, ImageInput.URL
OUTSIDE = "https://pictures.example/a.png"
SITE = "https://cineflow.example"


def picture(
    width: int = 400, height: int = 300, kind: str = "PNG", *, noise: bool = False
) -> bytes:
    made = (
        Image.effect_noise((width, height), 90)
        if noise
        else Image.new("RGB", (width, height), "teal")
    )
    buffer = io.BytesIO()
    made.convert("RGB").save(buffer, kind)
    return buffer.getvalue()


def stored(raw: bytes, kind: str = "png") -> str:
    """As an upload lies there; returns its address."""
    name = f"{'0' * 40}.{kind}"
    path = uploads._folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    return uploads.URL_PREFIX + name


def opened(found: StartImage | None) -> Image.Image:
    assert found is not None
    assert found.content is not None
    return Image.open(io.BytesIO(found.content))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[FarEnd]:
    """A host of pictures on the public internet, as far as this test is concerned."""
    monkeypatch.setattr(outside, "PUBLIC_ONLY", HERE)
    with far_end(answer(picture(), content_type="image/png")) as there:
        yield there


def address(there: FarEnd) -> str:
    return f"http://pictures.example:{there.port}/a.png"


# ---- which way it takes --------------------------------------------------------------------------------


def test_no_image_is_none() -> None:
    assert load(None, inputs=[UPLOAD]) is None


def test_an_upload_goes_as_it_is_where_any_size_will_do() -> None:
    raw = picture()
    assert load(stored(raw), inputs=[INLINE, URL]) == StartImage(raw, "image/png")


def test_an_upload_is_cut_to_the_exact_size() -> None:
    found = load(stored(picture(400, 300)), inputs=[UPLOAD], size=(1280, 720))
    assert (opened(found).size, opened(found).format) == ((1280, 720), "JPEG")


def test_a_photograph_stands_upright_and_what_is_clear_is_white() -> None:
    turned = Image.new("RGB", (400, 200), "teal")
    exif = turned.getexif()
    exif[0x0112] = 6  # the camera was held on its side
    buffer = io.BytesIO()
    turned.save(buffer, "JPEG", exif=exif)
    assert (
        opened(load(stored(buffer.getvalue(), "jpg"), inputs=[UPLOAD], max_bytes=1500)).size[0]
        < 400
    )
    buffer = io.BytesIO()
    Image.new("RGBA", (300, 300), (0, 0, 0, 0)).save(buffer, "PNG")
    found = opened(load(stored(buffer.getvalue()), inputs=[UPLOAD], size=(100, 100)))
    assert found.getpixel((50, 50)) == (255, 255, 255)


def test_an_image_is_made_as_small_as_it_must_be() -> None:
    raw = picture(1200, 900, noise=True)
    found = load(stored(raw), inputs=[INLINE], max_bytes=100_000)
    assert found is not None
    assert found.content is not None
    assert len(found.content) <= 100_000 < len(raw)
    assert found.link.startswith("data:image/jpeg;base64,")


def test_what_cannot_be_so_small_is_told() -> None:
    with pytest.raises(Unusable, match="500 bytes"):
        load(stored(picture(900, 900, noise=True)), inputs=[UPLOAD], size=(900, 900), max_bytes=500)


def test_an_outside_address_goes_on_unread_to_who_takes_one() -> None:
    assert load(OUTSIDE, inputs=[UPLOAD, URL], size=(1280, 720)) == StartImage(url=OUTSIDE)


def test_an_upload_has_no_address_for_a_provider_that_cannot_reach_us() -> None:
    with pytest.raises(Unusable, match="PUBLIC_BASE_URL"):
        load(stored(picture()), inputs=[URL])


def test_a_model_that_takes_no_image_gets_none() -> None:
    with pytest.raises(Unusable, match="takes no start image"):
        load(OUTSIDE, inputs=[])


def test_an_upload_that_is_gone_is_told() -> None:
    with pytest.raises(Unusable, match="Upload it again"):
        load(f"/uploads/{'1' * 40}.png", inputs=[UPLOAD])


# ---- fetched for who takes bytes only ------------------------------------------------------------------


def test_it_is_fetched_once_and_kept(host: FarEnd) -> None:
    first, second = (load(address(host), inputs=[UPLOAD]) for _ in range(2))
    assert first == second == StartImage(picture(), "image/png")
    assert len(host.requests) == 1


def test_what_is_kept_is_forgotten_after_a_day(
    host: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(address(host), inputs=[UPLOAD])
    monkeypatch.setattr(start_images, "KEPT_SECONDS", -1)
    start_images.forget_fetched()
    assert list(start_images._folder().iterdir()) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"<html>not found</html>", "not a PNG, JPEG or WebP"), (picture()[:100], "not a PNG")],
)
def test_what_is_no_picture_is_told(body: bytes, words: str, host: FarEnd) -> None:
    with (
        far_end(answer(body, content_type="image/png")) as there,
        pytest.raises(Unusable, match=words) as caught,
    ):
        load(address(there), inputs=[INLINE])
    assert not caught.value.temporary


def test_a_host_that_is_down_may_be_back_later(host: FarEnd) -> None:
    with far_end(hang_up) as there, pytest.raises(Unusable, match="Upload it") as caught:
        load(address(there), inputs=[INLINE])
    assert caught.value.temporary


# ---- an address that a provider can reach --------------------------------------------------------------


def test_a_signed_address_gives_the_picture_in_its_size(client: Client, settings: Any) -> None:
    settings.PUBLIC_BASE_URL = f"{SITE}/"
    settings.AUTH_TOKEN = "for people only"
    found = load(stored(picture()), inputs=[URL], size=(720, 1280))
    assert found is not None
    assert found.content is None
    answered = client.get(found.url.removeprefix(SITE))
    assert (answered.status_code, answered["Content-Type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(answered.content)).size == (720, 1280)


def test_what_is_too_large_to_go_along_goes_by_address(settings: Any) -> None:
    settings.PUBLIC_BASE_URL = SITE
    raw = picture(600, 600, noise=True)
    found = load(stored(raw), inputs=[INLINE, URL], max_bytes=1000)
    assert found is not None
    assert found.url.startswith(f"{SITE}/start-images/")


def test_no_other_address_opens_anything(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PUBLIC_BASE_URL = SITE
    path = start_images.public_url(Path(stored(picture())).name, None).removeprefix(SITE)
    forged = signing.dumps(["../secret-key"], salt="another")
    for wrong in (path[:-1], path + "x", f"/start-images/{forged}", "/start-images/x"):
        assert client.get(wrong).status_code == 404
    assert client.get(path).status_code == 200
    monkeypatch.setattr(start_images, "PUBLIC_FOR_SECONDS", -1)
    assert client.get(path).status_code == 404


# ---- through the engine --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_model_may_take_fewer_ways_than_its_adapter(
    start: MakeRun, machine: Machine, far_end: Simulator, host: FarEnd
) -> None:
    ProviderModel.objects.filter(name="sora-2").update(image_inputs=["upload"])
    run = machine.run_to_end(start("a city", fields={"image_url": address(host)}))
    assert run.status == Status.COMPLETED
    [post] = far_end.ledger()["posts"]
    assert post["image_url"] is None
    assert post["image_sha256"]
    assert Attempt.objects.get().options == {"image_inputs": ["upload"]}


@pytest.mark.django_db(transaction=True)
def test_a_picture_that_cannot_be_had_costs_nothing_and_holds_nobody(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    settings.MAX_ATTEMPTS = 2
    ProviderModel.objects.filter(name="sora-2").update(image_inputs=["upload"])
    # No name service knows it, which may pass; and an address that is nobody's to ask for.
    run = machine.run_to_end(start("a city", fields={"image_url": "http://pictures.invalid/a.png"}))
    [task] = run.tasks.all()
    assert (run.status, task.error_code, task.tries) == (Status.FAILED, "dependency_error", 2)
    assert "Upload it" in task.error_msg
    private = machine.run_to_end(start("a town", fields={"image_url": "http://10.0.0.1/a.png"}))
    [task] = private.tasks.all()
    assert (task.error_code, task.tries, task.possibly_billed) == ("validation_error", 1, False)
    assert far_end.ledger()["posts"] == []
    provider = (
        ProviderModel.objects.select_related("provider")
        .get(name="sora-2", provider="openai")
        .provider
    )
    assert (provider.trips, provider.not_before) == (0, None)
