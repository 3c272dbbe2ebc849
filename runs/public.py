"""What providers reach from outside: a start image by its signed address, and the door for their notices.

Neither asks for the bearer token: an address that nobody can guess opens the first, a signature the second.
"""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from cineflow.api.errors import error_response
from providers.base import Unverified
from runs import notices, start_images, tasks


@require_safe
def start_image(request: HttpRequest, token: str) -> HttpResponse:
    found = start_images.at_public_url(token)
    if found is None:
        return error_response(404)
    response = HttpResponse(found.content, content_type=found.mime_type)
    response["Cache-Control"] = "private, max-age=3600"
    response["X-Content-Type-Options"] = "nosniff"
    return response


@csrf_exempt
@require_POST
def webhook(request: HttpRequest, provider_id: str, token: str) -> HttpResponse:
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        known = notices.receive(provider_id, token, headers, request.body, now=timezone.now())
    except Unverified as error:
        return error_response(401, f"The notice is not verified: {error}.")
    if not known:
        return error_response(404)
    tasks.hint()
    return JsonResponse({"received": True})
