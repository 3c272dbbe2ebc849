"""What clients send to the run endpoints."""

from typing import Annotated, Literal

from pydantic import Field

from cineflow.api.bodies import Body


class RunBody(Body):
    """A run to be created."""

    storyboard_id: Annotated[str, Field(max_length=64)]
    model_id: Annotated[str, Field(max_length=64)]
    routing_strategy: Literal[
        "default", "manual", "failover", "weighted", "cost", "latency", "quota"
    ] = "default"
    provider_id: Annotated[str | None, Field(max_length=64)] = None
    conform: Annotated[
        Literal["route", "strict", "nearest_longer", "nearest"],
        Field(description="What becomes of a shot whose exact length no model makes."),
    ] = "route"
    gen_count: Annotated[int, Field(ge=1, le=10)] = 1
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 3
    range: str = "all"
    output_mode: Literal["centralized", "in_place", "custom"] = "centralized"
    output_path: str | None = None
    dry_run: bool = False
    force: bool = False


class DecisionBody(Body):
    """A person's word on an attempt of which nobody knows whether it was billed."""

    action: Literal["adopt", "submit_again", "give_up"]
    provider_job_id: Annotated[str | None, Field(min_length=1, max_length=512)] = None


class EmptyBody(Body):
    """Nothing to say."""


class RetryBody(Body):
    """A retry; `submit_again` accepts that the last attempt may be billed already."""

    submit_again: bool = False
