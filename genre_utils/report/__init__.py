"""The runner of a study, its HTML pages, and the sentences that describe results."""
