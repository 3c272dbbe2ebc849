import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from storyboards.models import Segment, Storyboard
from tests.storyboards.conftest import Upload, segments

pytestmark = pytest.mark.django_db

STORYBOARDS = "/admin/storyboards/storyboard/"
SEGMENTS = "/admin/storyboards/segment/"


@pytest.fixture
def browser() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


def test_a_storyboard_is_found_by_its_name_or_its_public_id(
    browser: Client, upload: Upload
) -> None:
    wanted = upload(segments(2), "wanted.json").json()["id"]
    upload(segments(1), "other.json")
    for query in ("wanted", wanted, f" {wanted} "):
        page = browser.get(STORYBOARDS, {"q": query}).content.decode()
        assert "wanted.json" in page
        assert "other.json" not in page


def test_the_segments_of_a_storyboard_have_a_page(browser: Client, upload: Upload) -> None:
    upload(segments(1, prompt_text="A lighthouse"))
    upload(segments(1, prompt_text="A windmill"))
    link = f"{SEGMENTS}?storyboard__id__exact={Storyboard.objects.earliest('created_at').pk}"
    assert link in browser.get(STORYBOARDS).content.decode()
    page = browser.get(link).content.decode()
    assert "A lighthouse" in page
    assert "A windmill" not in page


def test_a_segment_is_found_by_its_public_id(browser: Client, upload: Upload) -> None:
    upload(segments(3))
    other, wanted = Segment.objects.all()[:2]
    page = browser.get(SEGMENTS, {"q": wanted.public_id}).content.decode()
    assert str(wanted.pk) in page
    assert str(other.pk) not in page


@pytest.mark.parametrize("url", [STORYBOARDS, SEGMENTS])
def test_a_list_of_three_takes_as_many_queries_as_a_list_of_one(
    url: str, browser: Client, upload: Upload, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # One of them is for the number of open decisions, which stands beside every list.
    queries = 7 if url == STORYBOARDS else 6
    for _ in (1, 2):
        upload(segments(1))
        with django_assert_num_queries(queries):
            assert browser.get(url).status_code == 200


def test_nothing_is_written_here(browser: Client, upload: Upload) -> None:
    upload(segments(1))
    for model, row in (
        ("storyboard", Storyboard.objects.get()),
        ("segment", Segment.objects.get()),
    ):
        page = browser.get(reverse(f"admin:storyboards_{model}_change", args=[row.pk]))
        assert page.status_code == 200
        assert row.public_id in page.content.decode()
        for action in ("change", "delete"):
            url = reverse(f"admin:storyboards_{model}_{action}", args=[row.pk])
            assert browser.post(url, {"post": "yes"}).status_code == 403
        assert browser.get(reverse(f"admin:storyboards_{model}_add")).status_code == 403
