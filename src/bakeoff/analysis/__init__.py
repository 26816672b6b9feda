"""What can be said of a study: statistics, flags and sentences, computed from its records."""
