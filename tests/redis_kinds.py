"""The Redis servers that there are, for tests that hold on each of them."""

from typing import Any

import pytest

from pipeline.embedded.redis import RedisNotFound, servers


def kinds(*, ends_only: bool = False) -> list[Any]:
    """The program of each as a parameter, or of the oldest and the newest alone; one that skips if `REDIS_SERVER` is none."""
    try:
        found = servers()
    except RedisNotFound as missing:
        return [pytest.param("", marks=pytest.mark.skip(reason=str(missing)), id="missing")]
    kept = {min(found), max(found)} if ends_only else set(found)
    return [pytest.param(program, id=name) for name, program in found.items() if name in kept]
