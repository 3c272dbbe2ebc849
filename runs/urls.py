from django.urls import path

from runs import views

urlpatterns = [
    path("runs", views.RunsView.as_view()),
    path("runs/<str:run_id>", views.RunView.as_view()),
    path("runs/<str:run_id>/cancel", views.RunCancelView.as_view()),
    path("runs/<str:run_id>/pause", views.RunPauseView.as_view()),
    path("runs/<str:run_id>/resume", views.RunResumeView.as_view()),
    path("runs/<str:run_id>/tasks", views.RunTasksView.as_view()),
    path("tasks/<str:task_id>", views.TaskView.as_view()),
    path("tasks/<str:task_id>/metadata", views.TaskMetadataView.as_view()),
    path("tasks/<str:task_id>/route", views.TaskRouteView.as_view()),
    path("tasks/<str:task_id>/download", views.TaskDownloadView.as_view()),
    path("decisions", views.DecisionsView.as_view()),
    path("tasks/<str:task_id>/decision", views.TaskDecisionView.as_view()),
    path("tasks/<str:task_id>/retry", views.TaskRetryView.as_view()),
]
