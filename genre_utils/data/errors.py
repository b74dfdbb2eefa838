"""TODO data.errors."""


class CorpusError(ValueError):
    """The corpus cannot be studied as asked; the message says why and what to do."""


class FetchError(CorpusError):
    """No mirror gave the file; the message says what each did and where to put the file."""
