"""The stored benchmarks are of the code that is here, and support what the study says of them."""

from extraction import COSTLY
from genre_utils import features, files

STORED = files.ROOT / "benchmarks" / "extraction.json"


def test_the_stored_extraction_benchmark_is_of_this_code_and_holds_what_is_claimed():
    stored = files.read_json(STORED)
    assert stored["code"] == files.source_hash("features"), (
        "features.py has changed: run python benchmarks/extraction.py --json "
        "benchmarks/extraction.json on a quiet machine"
    )
    times = stored["milliseconds"]
    assert set(features.FAMILIES) <= set(times)
    alone = sum(times[name] for name in features.FAMILIES if name not in COSTLY)
    assert stored["librosa_over_shared_pass"] == round(alone / times["shared pass"], 1) >= 8
    stft = times["librosa.stft"]
    assert stored["shared_pass_over_stft"] == round(times["shared pass"] / stft, 1) <= 8
