import pytest


@pytest.fixture(autouse=True)
def _key_of_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDLY_API_KEY", "the-key")
