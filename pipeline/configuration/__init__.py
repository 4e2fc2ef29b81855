"""Badge configuration: as a file for operators, as tables, and as what the pipeline makes of it."""
