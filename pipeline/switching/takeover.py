"""Taking over everything, all or nothing."""

from collections.abc import Mapping

from django.db import transaction

from pipeline.switching import badges, organizations, people, progress, templates
from pipeline.switching.cases import put_together
from pipeline.switching.dump import Told
from pipeline.switching.peer import Peer
from pipeline.switching.people import People
from pipeline.switching.report import Report, Section

OTHER_PROVIDER = "It belongs to Accredible; this project issues badges at Credly only."


def take_over(source: Peer, lms_ids: Mapping[str, int], *, dry_run: bool, told: Told, with_keys: bool = True) -> Report:
    """Bring what the peer knows into our tables, in one transaction, and report it.  Calls nobody.

    What is here already stays as it is; only what is missing is added.  So it may be repeated: the second time there is
    nothing to do, and a newer copy of the peer brings what came since.

    1. Write organizations, then templates with their requirements, penalties and rules.
    2. Put progress, fulfillments and badges together by learner and template.
    3. Write them, some hundred at a time; a badge of which nobody knows whether Credly holds it is due to be looked up.
    4. Have Credly looked at first before what events awarded here meanwhile is issued.
    5. With `dry_run`, take everything back.

    Args:
        source: the peer.
        lms_ids: LMS user ids by username, for accounts that lack theirs.
        dry_run: whether to report only.
        told: told after every some hundred rows.
        with_keys: whether the API keys of organizations are taken over.
    """
    report = Report()
    with transaction.atomic():
        owners = organizations.take_over(source, report, with_keys=with_keys)
        configuration = templates.take_over(source, owners, report)
        learners_of = People(source, lms_ids)
        learners_of.note_doubles(report)
        cases = put_together(source, learners_of, configuration, report)
        rows = [cases[name] for name in sorted(cases)]
        for done, chunk in enumerate(people.chunks(rows), start=1):
            learners = progress.learners(chunk, report)
            fulfilled = progress.take_over(chunk, learners, configuration, report)
            badges.take_over(chunk, learners, fulfilled, configuration, report)
            told("Learners and templates", min(done * people.AT_ONCE, len(rows)), len(rows))
        badges.look_before_issuing(configuration, report)
        badges.note_only_here(cases, configuration, report)
        for label, pk in sorted(source.others):
            report.say(Section.LEFT_OUT, label, pk, OTHER_PROVIDER)
        transaction.set_rollback(dry_run)
    return report
