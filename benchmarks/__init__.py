"""How fast the pipeline is, and beside what: real processes, a real Redis, real databases, the Credly emulator.

    python -m benchmarks                    all of them (`make bench`); `--quick`, `--only NAME`, `--write-docs`
    python -m benchmarks.taking_in          one of them, with `--quick` and `--database` as well

What is measured stands at the top of each module:

- `emulator_alone`: what the emulated Credly can serve, so that it is not what limits the others.
- `taking_in`, `ignoring`, `to_credly`, `stage_by_stage`, `event_to_call`, `backlog`, `memory`, `credly_away`, `capacity`.
- `costs`: queries, commits and round trips of one event at each stage, and whose time it takes.

And what they are made of, from the bottom up:

- `load`: events as the LMS puts them on the bus, made beforehand.  `school`: what can be earned by them.
- `ledger`: what the database says, read from outside.  `usage`: processor time and memory by kind of process.
- `stand`: the system on a test stand, whose processes can be held and let go at one moment.
- `floors`, `noop`: the least that a part can cost, as processes of their own: reading, decoding, commits, empty tasks.
- `meter`, `costs_probe`: counting and timing what the stages do, in a process of their own.
- `results`, `conditions`, `session`: figures with their spread, the machine, and the command line.
- `charts`, `document`: `docs/performance.md`.

Figures of two things that are compared come from one run, in turn.  Every benchmark checks that the work was done.
"""

import os

import django

if "SECRET_KEY" not in os.environ:  # on the command line; the processes of a stand have one
    os.environ.setdefault("DEBUG", "true")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline.settings")
django.setup()
