from django.urls import path

from providers import views

# `slug` is what ids are made of; anything else, a NUL included, never reaches the database.
urlpatterns = [
    path("models", views.ModelList.as_view()),
    path("models/<slug:model_id>", views.ModelDetail.as_view()),
    path("providers", views.ProviderList.as_view()),
    path("providers/<slug:provider_id>", views.ProviderDetail.as_view()),
    path("providers/<slug:provider_id>/capabilities", views.ProviderCapabilities.as_view()),
    path("admin/providers", views.AdminProviderList.as_view()),
    path("admin/providers/<slug:provider_id>", views.AdminProviderDetail.as_view()),
    path("admin/models", views.AdminModelList.as_view()),
    path("admin/models/<slug:model_id>", views.AdminModelDetail.as_view()),
    path(
        "admin/models/<slug:model_id>/providers/<slug:provider_id>",
        views.AdminModelProvider.as_view(),
    ),
    path("client-events", views.ClientEvents.as_view()),
]
