import pytest
from rest_framework.test import APIClient

from tests.seeds import seed


@pytest.fixture
def api(db: None) -> APIClient:
    seed()
    return APIClient()
