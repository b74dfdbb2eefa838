import fuzz_audio


def test_files_gone_wrong_are_used_or_excluded_and_nothing_crashes_or_hangs():
    reasons, predictions, gibibytes = fuzz_audio.fuzz(150, seed=7, n_jobs=1)
    assert reasons.total() == predictions.total() == 150
    assert len(reasons) > 10 and reasons["used"] > 3
    assert len(predictions) > 10 and predictions["recognised"] > 3
    assert gibibytes < fuzz_audio.GIBIBYTES
