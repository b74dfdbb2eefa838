"""What the report says is what was found."""

import pytest

from genre_utils.report import sentences


@pytest.mark.parametrize("unsure", [True, False])
def test_a_model_that_is_sure_of_two_genres_at_once_fails(unsure):
    said = sentences.blended({"confidence": 0.493, "uncertain": unsure})
    assert "0.49" in said and ("failure" in said) != unsure
