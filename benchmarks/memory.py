"""Memory of each process over many events; one in a hundred earns a badge.

The events come in portions, each when the one before is done.  Resident memory is looked at after each portion, of the largest
child where a process has several.  Flat means that the second half adds no more than a tenth.
"""

from functools import partial

from benchmarks.backlog import mixed
from benchmarks.results import Chart, Result
from benchmarks.session import Session, main
from benchmarks.stand import Stand

LARGEST_MIB = 150
GROWTH = 0.1
EARN = 100
NOT_OURS = ("redis", "postgresql", "emulator")


def measure(session: Session) -> Result:
    """Take all of it."""
    result = Result("memory", "Memory", __doc__ or "")
    number = session.pick(200_000, 10_000)
    database = session.databases[0]
    processes = {"consumer": 1, "worker": 2, "credly": 1, "beat": 1}
    with session.stand(database, processes, children=2) as stand:
        lines = _watch(session, stand, number)
    result.figures = {name: [mib for _, mib in line] for name, line in lines.items()}
    table = result.table(f"MiB resident over {number:,} events, {database}", "process", "at half", "at the end", "most")
    for name, line in sorted(lines.items()):
        half, end, most = line[len(line) // 2][1], line[-1][1], max(mib for _, mib in line)
        table.add(name, *(f"{mib:.0f}" for mib in (half, end, most)))
    result.charts.append(Chart("Memory", "events", "MiB resident", lines))
    most = max(mib for line in lines.values() for _, mib in line)
    growth = max(line[-1][1] / line[len(line) // 2][1] - 1 for line in lines.values())
    result.target("memory of each process", f"under {LARGEST_MIB} MiB", f"{most:.0f} MiB", most < LARGEST_MIB)
    result.target("memory added in the second half", f"at most {GROWTH:.0%}", f"{growth:.0%}", growth <= GROWTH)
    return result


def _watch(session: Session, stand: Stand, number: int) -> dict[str, list[tuple[float, float]]]:
    """MiB by process after so many events."""
    portion = number // 40
    lines: dict[str, list[tuple[float, float]]] = {}
    for done in session.track("Memory", range(portion, number + 1, portion)):
        last = stand.publish(mixed(stand, portion, EARN))
        stand.until(partial(stand.worked_off, last), every=0.05)
        stand.forget_read(last)
        for name, mib in stand.resident_mib().items():
            if not name.startswith(NOT_OURS):
                lines.setdefault(name, []).append((done, mib))
    return lines


if __name__ == "__main__":
    main(measure)
