"""Taking over everything, all or nothing."""

from collections.abc import Mapping

from django.db import transaction

from pipeline.switching import badges, learners, organizations, people, progress, templates
from pipeline.switching.cases import put_together
from pipeline.switching.dump import Advance
from pipeline.switching.peer import Peer
from pipeline.switching.people import People
from pipeline.switching.report import Report, Section

OF_ACCREDIBLE = "It belongs to Accredible; this project issues badges at Credly only."


def take_over(
    source: Peer, lms_ids: Mapping[str, int], *, dry_run: bool, advance: Advance, with_keys: bool = True
) -> Report:
    """Bring what the peer knows into our tables, in one transaction, and report it.  Calls nobody.

    It may be repeated.  The second time there is nothing to do; a newer copy of the peer brings what came since.  Learners,
    fulfillments and badges that an earlier run wrote follow the newer copy, unless an event or a person has touched them.
    Whatever else is here stays as it is, above all the rules, and what differs is reported.

    1. Write organizations, then templates with their requirements, penalties and rules.
    2. Put progress, fulfillments and badges together by learner and template.
    3. Write them, some hundred at a time; a badge of which nobody knows whether Credly holds it is due to be looked up.
       Then take back what an earlier run wrote of learners and templates of which the peer knows nothing now.
    4. Have Credly looked at first before what events awarded here meanwhile is issued.
    5. With `dry_run`, take everything back.

    Args:
        source: the peer.
        lms_ids: LMS user ids by username, for accounts that lack theirs.
        dry_run: whether to report only.
        advance: called after every some hundred rows.
        with_keys: whether the API keys of organizations are taken over.

    Raises:
        organizations.KeyThere: `with_keys` is false, and Credly could be called all the same.
    """
    report = Report()
    with transaction.atomic():
        owners = organizations.take_over(source, report, with_keys=with_keys)
        configuration = templates.take_over(source, owners, report)
        known = People(source, lms_ids)
        known.note_doubles(report)
        cases = put_together(source, known, configuration, report)
        in_order = [cases[name] for name in sorted(cases)]
        for done, chunk in enumerate(people.chunks(in_order), start=1):
            rows = learners.take_over(chunk, report)
            decided = progress.take_over(chunk, rows, configuration, report)
            badges.take_over(chunk, rows, decided, configuration, report)
            advance("Learners and templates", min(done * people.AT_ONCE, len(in_order)), len(in_order))
        progress.take_back_rest(cases, known.strangers, configuration, report)
        badges.look_before_issuing(configuration, report)
        badges.note_only_here(cases, configuration, report)
        templates.note_only_here(configuration, report)
        for label, pk in sorted(source.others):
            report.say(Section.LEFT_OUT, label, pk, OF_ACCREDIBLE)
        transaction.set_rollback(dry_run)
    return report
