import pytest
from django.apps import apps
from django.conf import settings as current

from pipeline.bus.apps import EventsConfig
from pipeline.environment import ConfigurationError
from tests.bus.examples import AWARDED


def configuration(enabled):
    return {AWARDED: {"topic": {"event_key_field": "badge.uuid", "enabled": enabled}}}


def resolved():
    return current.EVENT_BUS_PRODUCER_CONFIG[AWARDED]["topic"]["enabled"]


def test_our_configuration_stands_in_for_the_events_app():
    assert isinstance(apps.get_app_config("openedx_events"), EventsConfig)


@pytest.mark.parametrize("switch", [True, False])
def test_a_function_as_enabled_is_called_with_the_settings(settings, switch):
    settings.BADGES_ENABLED = switch
    settings.EVENT_BUS_PRODUCER_CONFIG = configuration(lambda given: given.BADGES_ENABLED)
    apps.get_app_config("openedx_events").ready()
    assert resolved() is switch


def test_booleans_stay_as_they_are(settings):
    settings.EVENT_BUS_PRODUCER_CONFIG = configuration(False)
    apps.get_app_config("openedx_events").ready()
    assert resolved() is False


def test_anything_else_is_still_refused(settings):
    settings.EVENT_BUS_PRODUCER_CONFIG = configuration("yes")
    with pytest.raises(ConfigurationError):
        apps.get_app_config("openedx_events").ready()


@pytest.mark.parametrize("wrong", [{"event_key_field": "badge.uuid", "enabled": "yes"}, "nothing", {"enabled": True}])
def test_a_configuration_of_the_wrong_shape_ends_the_start_with_one_line(settings, wrong):
    settings.EVENT_BUS_PRODUCER_CONFIG = {"org.openedx.learning.badge.awarded.v1": {"some-topic": wrong}}
    with pytest.raises(ConfigurationError, match=r"^Configuration error: EVENT_BUS_PRODUCER_CONFIG: [^\n]*$"):
        apps.get_app_config("openedx_events").ready()
