"""The video protocol of OpenAI, as the service spoke it until 2026-09-24 and relays still do."""

from providers.simulator.videos import Videos

PREFIX = "/openai/v1"
build_app = Videos().build_app
