"""Pseudonyms: a person is taken out of payloads and texts, and nobody and nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.bus import catalogue
from pipeline.bus.codec import event_data_for
from pipeline.ledgers.pseudonyms import Identity, as_stored, people
from pipeline.lms.events import LmsLearner
from tests.ledgers.builders import passes
from tests.ledgers.people import KEY, exam_of, user, verification_of

DANA = LmsLearner(5, "dana", "Dana@Learners.example", "Dana Moe")
OTHER = LmsLearner(6, "dana2", "other@learners.example", "Dana Lind")
IDENTITY = Identity(5, [DANA.username], [DANA.email], [DANA.name])

RETIRED = {"id": 5, "is_active": True, "pii": {"username": "retired-5", "email": "", "name": ""}}


def without_dana(payload: Any) -> Any:
    return IDENTITY.removed_from_payload(payload)


@pytest.mark.parametrize("event", [passes(DANA, 1), verification_of(DANA, 1)], ids=["passing", "verification"])
def test_a_payload_without_the_person_is_still_a_valid_event_about_that_learner(event: Any):
    payload = without_dana(event.payload)
    assert catalogue.user_of(event.type, payload) == RETIRED
    event_data_for(event.signal, payload)


def test_only_the_person_is_taken_out_of_an_event_about_two():
    payload = without_dana(exam_of(OTHER, DANA, 1).payload)
    assert payload["requesting_user"] == RETIRED
    assert payload["student_user"] == user(OTHER)
    assert without_dana(exam_of(DANA, OTHER, 1).payload)["requesting_user"] == user(OTHER)


def test_a_namesake_keeps_the_name():
    namesake = LmsLearner(7, "dana", DANA.email, "Dana")
    assert without_dana(exam_of(namesake, DANA, 1).payload)["student_user"] == user(namesake)


def test_a_name_beside_the_user_data_goes_as_well():
    assert without_dana(verification_of(DANA, 1).payload)["name"] == "retired-5"


@pytest.mark.parametrize(
    ("key", "value", "left"),
    [
        ("coach_email", "dana@learners.example", "retired-5"),
        ("body", "Write to Dana@Learners.example!", "Write to retired-5!"),
        ("lis_person_name_given", "Dana", "retired-5"),
        ("ext_user_username", "DANA", "retired-5"),
        ("display_name", "Dana's course", "Dana's course"),
        ("mode", "dana", "dana"),
        ("course_key", "course-v1:dana+dana+dana", "course-v1:dana+dana+dana"),
        ("coach_email", "bogdana@learners.example", "bogdana@learners.example"),
    ],
)
def test_elsewhere_addresses_go_and_names_where_names_stand(key: str, value: str, left: str):
    assert without_dana({"some": [{key: value}]}) == {"some": [{key: left}]}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("KeyError: 'dana'", "KeyError: 'retired-5'"),
        ("dana@learners.example bounced", "retired-5 bounced"),
        ("Credly says: DANA MOE is blocked.", "Credly says: retired-5 is blocked."),
        ("dana2 and bogdana stay", "dana2 and bogdana stay"),
    ],
)
def test_texts_lose_whole_words_in_any_case(text: str, left: str):
    assert IDENTITY.removed_from_text(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Write to Dana@Learners.example.", "Write to retired-5."),
        ("'dana@learners.example'", "'retired-5'"),
        ("dana, Dana Moe", "dana, Dana Moe"),
        ("not.dana@learners.example", "not.dana@learners.example"),
        ("my-dana@learners.example", "my-dana@learners.example"),
        ("dana@learners.example.org", "dana@learners.example.org"),
        ("dana@learners.example-two.org", "dana@learners.example-two.org"),
    ],
)
def test_texts_about_anybody_lose_only_the_exact_address(text: str, left: str):
    assert IDENTITY.address_removed_from_text(text) == left


def test_who_is_not_known_is_in_no_text():
    nobody = Identity(5, ["", "retired-5"], [""], [""])
    assert not nobody.quotable
    assert nobody.removed_from_text("retired-5, anything") == "retired-5, anything"
    assert nobody.address_removed_from_text("retired-5, anything") == "retired-5, anything"


def test_an_empty_username_stays_empty_so_that_a_refused_event_stays_refused():
    nameless = user(LmsLearner(5, "", "dana@learners.example", ""))
    assert without_dana({"user": nameless})["user"]["pii"] == {"username": "", "email": "", "name": ""}


def test_a_repeat_of_an_event_compares_equal_to_its_pseudonymised_self():
    came = verification_of(DANA, 1).payload
    stored = Identity(5).learned([came]).removed_from_payload(came)
    assert stored != came
    assert as_stored(came, stored) == stored
    assert as_stored(came, came) == came


leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.sampled_from(["dana", DANA.email, KEY]))
users = st.builds(user, st.sampled_from([DANA, OTHER]))
payloads = st.recursive(
    leaves | users, lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3)
)


@given(payloads)
def test_whatever_the_payload_the_person_is_gone_the_others_are_there_and_twice_is_once(payload: Any):
    cleaned = without_dana(payload)
    before, after = list(people(payload)), list(people(cleaned))
    assert [one["id"] for one in after] == [one["id"] for one in before]
    assert all(one["pii"] == (RETIRED if one["id"] == 5 else user(OTHER))["pii"] for one in after)
    assert DANA.email not in str(cleaned)
    assert without_dana(cleaned) == cleaned
