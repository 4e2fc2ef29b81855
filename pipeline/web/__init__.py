"""Pages and probes of the web process, beside the admin."""
