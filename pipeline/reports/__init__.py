"""What people are told about the pipeline: the whole of it, and one learner."""
