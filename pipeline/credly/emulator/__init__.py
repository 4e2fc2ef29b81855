"""A local look-alike of the Credly sandbox, with a ledger, faults and webhooks (facts/credly-api.md)."""
