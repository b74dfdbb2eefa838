import fuzz_audio


def test_files_gone_wrong_are_used_or_set_aside_and_nothing_crashes_or_hangs():
    reasons, answers, gibibytes = fuzz_audio.fuzz(150, seed=7, n_jobs=1)
    assert reasons.total() == answers.total() == 150
    assert len(reasons) > 10 and reasons["used"] > 3
    assert len(answers) > 10 and answers["recognised"] > 3
    assert gibibytes < fuzz_audio.GIBIBYTES
