from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from cineflow.api.errors import error_response
from runs.metrics import metrics
from runs.public import start_image, webhook
from storyboards.views import serve_upload


@csrf_exempt
def nothing_here(request: HttpRequest) -> HttpResponse:
    return error_response(404)


class SchemaView(SpectacularAPIView):
    renderer_classes = [OpenApiJsonRenderer2]


urlpatterns = [
    path("api/v1/", include("storyboards.urls")),
    path("api/v1/", include("providers.urls")),
    path("api/v1/", include("runs.urls")),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    re_path(r"^api(?:/|$)", nothing_here),
    path("metrics", metrics, name="metrics"),
    path("uploads/<path:name>", serve_upload, name="upload"),
    path("start-images/<str:token>", start_image, name="start-image"),
    path("webhooks/<str:provider_id>/<str:token>", webhook, name="webhook"),
    path("admin/", admin.site.urls),
]
