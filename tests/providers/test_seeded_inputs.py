"""What the catalogue says of hosted models, as the simulator's schemas of those models take it."""

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from providers import registry
from providers.base import Account, Adapter, GenerationRequest, HttpCall, StartImage
from providers.calls import vendors_name
from providers.models import ProviderModel
from providers.simulator import fal, replicate, runway
from providers.simulator.inputs import Schema
from providers.simulator.jobs import Order

pytestmark = pytest.mark.django_db

# By provider and model: from a text, and from a picture.
SCHEMAS: dict[str, dict[str, tuple[Schema, Schema]]] = {
    "fal": {name: (schema, schema) for name, schema in fal.ENDPOINTS.items()},
    "replicate": {name: (schema, schema) for name, schema in replicate.MODELS.items()},
    "runway": runway.MODELS,
}


def lengths(model: ProviderModel) -> list[int]:
    match model.durations:
        case {"min": int(least), "max": int(most)}:
            return [least, most]
        case [*listed]:
            return listed
    raise AssertionError(f"{model} does not say what it makes")


def picture(adapter: Adapter, request: GenerationRequest) -> StartImage:
    """Of the size that the adapter asks for."""
    size = adapter.image_size(request)
    assert size
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, "JPEG")
    return StartImage(content=file.getvalue(), mime_type="image/jpeg")


def orders(model: ProviderModel, *, with_image: bool) -> Iterator[tuple[GenerationRequest, Order]]:
    adapter = registry.adapter(model.provider_id)
    account = Account(model.provider_id, "https://vendor.example", "key", model.provider_id)
    for resolution in ("horizontal", "vertical"):
        for seconds in lengths(model):
            known: dict[str, Any] = {"resolution": resolution, "options": model.options}
            request = GenerationRequest(
                "att_1",
                model.name,
                "A city",
                seconds,
                is_pro=False,
                segment_index=1,
                take=1,
                **known,
            )
            if with_image:
                request = replace(request, image=picture(adapter, request))
            call = adapter.submit(account, request)
            assert isinstance(call, HttpCall)
            given = call.json["input"] if model.provider_id == "replicate" else dict(call.json)
            name = given.pop("model", vendors_name(model.name))
            yield request, SCHEMAS[model.provider_id][name][with_image].read(name, given)


@pytest.mark.parametrize("provider", SCHEMAS)
def test_each_seeded_model_gets_an_input_that_it_takes(provider: str) -> None:
    models = list(ProviderModel.objects.filter(provider=provider))
    assert {vendors_name(model.name) for model in models} == set(SCHEMAS[provider])
    for model in models:
        ways = {False, True} - ({True} if model.image_inputs == [] else set())
        for with_image in ways - ({False} if model.needs_image else set()):
            for request, order in orders(model, with_image=with_image):
                assert order.seconds == request.seconds
                assert (order.width > order.height) == (request.resolution == "horizontal")
                assert bool(order.image_sha256) == with_image


@pytest.mark.parametrize("provider", SCHEMAS)
def test_a_finer_variant_is_dearer_and_for_pro_segments(provider: str) -> None:
    variants = ProviderModel.objects.filter(provider=provider, pro="only")
    assert variants
    for fine in variants:
        plain = ProviderModel.objects.get(provider=provider, name=vendors_name(fine.name))
        assert fine.price_per_second
        assert plain.price_per_second
        assert fine.price_per_second > plain.price_per_second
        assert plain.pro == "never"
        assert fine.options != plain.options
