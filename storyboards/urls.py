from django.urls import path

from storyboards import views

urlpatterns = [
    path("storyboards", views.StoryboardsView.as_view()),
    path("storyboards/<str:storyboard_id>", views.StoryboardView.as_view()),
    path("storyboards/<str:storyboard_id>/segments", views.SegmentsView.as_view()),
    path("segments/<str:segment_id>", views.SegmentView.as_view()),
    path("segments/<str:segment_id>/assets/start-image", views.StartImageView.as_view()),
]
