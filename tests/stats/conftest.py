import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Small products are an order of magnitude slower on threads that wait for each other's cores."""
    former = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(former)
