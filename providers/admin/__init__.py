"""The catalogue and the clients' reports, for whoever runs this installation."""

from providers.admin import client_events, provider_models, providers, video_models

__all__ = ["client_events", "provider_models", "providers", "video_models"]
