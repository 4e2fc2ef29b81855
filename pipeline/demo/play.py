"""Playing a scenario through a running system, phase by phase."""

import secrets
import time
from collections.abc import Callable

from redis import Redis

from pipeline.demo import failures
from pipeline.demo.findings import Findings, collect
from pipeline.demo.observer import Observer, Show
from pipeline.demo.scenario import BADGES_FILE, UNDECODABLE, Badges, Scenario, write_events
from pipeline.demo.stories import PHASES
from pipeline.embedded.system import TOPIC, System

API_KEY_VARIABLE = "CREDLY_API_KEY"


def new_api_key() -> str:
    """A key for this run's Credly, to put into the environment as `API_KEY_VARIABLE`."""
    return secrets.token_urlsafe(24)


def configure(system: System, badges: Badges, api_key: str) -> None:
    """Create the organization and its templates at Credly, then import the badge configuration."""
    system.credly(
        "POST",
        "organizations",
        {
            "id": badges.organization,
            "name": badges.organization_name,
            "tokens": [{"token": api_key}],
            "templates": [{"id": uuid, "name": name} for uuid, name in badges.templates.items()],
        },
    )
    system.manage("import_badges", str(BADGES_FILE))


def play(system: System, scenario: Scenario, say: Callable[[str], None], show: Show) -> Findings:
    """Publish the events of each phase and wait until nothing waits; returns what is there then.

    Raises:
        RuntimeError: a process ended, or the events could not be published.
        TimeoutError: something waits, and nothing moves any more.
    """
    with Observer(system, show) as observer:
        for phase, name in enumerate(PHASES):
            say(f"Phase {phase + 1} of {len(PHASES)}: {name}")
            failures.inject(system, phase, len(scenario.learners), scenario.seed)
            _publish(system, scenario, phase)
            observer.wait_until_idle(since=time.time(), stored=scenario.stored_after(phase))
        status = observer.wait_for_signals()
    return collect(system, status, scenario.expectation)


def _publish(system: System, scenario: Scenario, phase: int) -> None:
    """Publish a phase's events with the LMS's own producer; with the first, messages that are no events."""
    if phase == 0:
        with Redis.from_url(system.redis.url) as bus:
            for message in UNDECODABLE:
                bus.xadd(TOPIC, message)
    file = system.folder / f"events-{phase + 1}.jsonl"
    write_events(scenario.phases[phase], file)
    system.manage("produce_events", "--file", str(file))
