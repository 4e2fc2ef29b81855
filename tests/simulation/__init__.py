"""Simulation: ten thousand small stories of everything going wrong, each decided by its seed alone.

The decision core (consume, inbox, evaluate, persist, badges, issue, emit, and housekeeping) runs in one process.  A seeded
scheduler decides at every point who goes on, who sleeps, who dies, and what gets lost, comes twice or comes late.

    DEBUG=true .venv/bin/python -m tests.simulation 4711            one seed
    DEBUG=true .venv/bin/python -m tests.simulation 4711 --trace    with every step of it
    DEBUG=true .venv/bin/python -m tests.simulation --seeds 0:100000

What is earned: badges for one course, for one of some or all of them; for several different ones or several times, within a
span of time, one after the other, between two times; one badge per course, which Credly can't tell from the next.

Real: every line of the stages, ledgers, rules, tasks' bodies, message codec and Credly client; SQLite; the emulator's ledger.
Replaced: the clock, the chance in `claims.wait`, the broker, the stream, the signals' way out, and the line to Credly.

What goes wrong (a seed draws how often each):
  workers   SIGKILL at every point and inside every transaction; a cut database connection; sleep of up to two minutes
  broker    messages lost, twice, in any order, late; wiped; given back or not when their worker died
  bus       events twice, late, in any order, in batches of any size; acknowledgements lost; publishing that fails before or
            after the bus took the signal; messages that can't be read
  Credly    no connection, 429, 401 for a while, 5xx and resets before and after the effect, half an answer, a body that drips,
            an answer that a sleeping process hears minutes later, an effect 10 s after the caller gave up; templates whose
            duplicates Credly refuses and such whose duplicates it allows; learners who accept; outages of up to 20 minutes,
            with a circuit that opens after three failures, as few learners are too few for fifty
  time      a wall clock that is corrected, or goes up to a day ahead until it is set back

What must hold.  At every step: no learner holds two live badges of one template and value at Credly; a signal is written for
a fact only.  In the end, when all went well for a while: every event ended as the rules say, progress and standing of each
value equal the brute-force oracle of tests/rules, Credly holds exactly the awarded badges (each of its own value, which the
date tells), each fact was told by one event at least once and in order, and nothing waits.  `test_controls.py` takes the
protections away one by one and finds each missed.

Not modelled: statements of two transactions interleaved inside one another (see `scheduler.py`), a database that loses what
it committed, a process that sleeps for most of a claim's 40 s between renewing the claim and sending its call (Credly has no
fence against that), a process that sleeps between reading the clock and writing what it read while the clock is set,
webhooks, changes of configuration, operators.
"""
