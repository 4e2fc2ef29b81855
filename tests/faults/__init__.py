"""The promises of the design under fire: real processes, broken on purpose, judged from outside.

What is where, from the bottom up:

- `switchboard`: files in one folder, through which a test reaches running processes.
- `fuses`, `points`: named points in the way of an event where a process is killed, told to stop, or paused.
- `protections`: what keeps each promise, and how to switch it off, for the controls.
- `pace`: shorter waits, for all tests but those whose subject is the recovery time.
- `celery_app`, `manage`, `wsgi`: the entry points that put these three into a process.  Production never imports this package.
- `cluster`: the whole system, each process several times, with a supervisor that restarts what died.
- `story`: a seeded set of events, and what the brute-force oracle makes of it.
- `witness`: what is wrong, seen from outside: Credly's ledger, the bus, the inbox.
- `redis_faults`: what can become of the Redis server.
- `databases`: SQLite and PostgreSQL, how they are looked at from outside, and what can become of them.
- `trial`, `selection`: one fault from arming to judging; which cases `make test` runs.
- `storm`, `__main__`: random faults for as long as one likes; `python -m tests.faults --kills 1000`.

To add a fault at a point of the code, add a row to `points.POINTS`; it is then part of the tests of all points and of the
storm.  To add a fault of the surroundings (Redis, the database, Credly, the clock), write a test around it:

    def test_events_survive_what_i_do(cluster):
        story = Story(cluster.school, SEED)
        cluster.play(story.events)
        break_something(cluster)          # cluster.redis, cluster.credly("POST", "faults", ...), cluster.folder, ...
        cluster.settle()                  # restarts what died, and returns once nothing waits
        assert_nothing_violated(cluster, story)

and, if it may strike at random, a branch of `Storm._strike`.  To add a protection, write the function
that does without it and name it in `protections.PROTECTIONS`; a control is the fault's test under
`cluster.without(protection)`, which must find a violation.
"""
