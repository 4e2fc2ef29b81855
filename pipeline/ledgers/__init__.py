"""What is remembered, with the few functions that change it: inbox, learners, progress, badges, outbox."""
