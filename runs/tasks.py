"""Celery entry points, and the hint that calls them. A hint says "there is due work" and nothing else."""


def broker_answers() -> bool:
    return True
