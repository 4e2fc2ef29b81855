"""`make demo`: the whole system on this machine, some hundred learners with known outcomes, and a Credly that fails."""
