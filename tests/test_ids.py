import numpy as np
import pytest

from mcn.store.ids import are_in, as_ids, as_texts, places_among, texts_missing

IDS = ["b", "-a", "longer than others", "é", "b", ""]


def test_ids_come_back_as_the_texts_that_they_were() -> None:
    assert as_texts(as_ids(IDS)) == IDS
    assert as_texts(as_ids([])) == []


@pytest.mark.parametrize("others", [[], ["b"], ["é", "b", "zz", "b", "-a", "y", ""]])
def test_places_are_the_last_of_each_id(others: list[str]) -> None:
    last = {video_id: place for place, video_id in enumerate(others)}
    places = places_among(as_ids(IDS), as_ids(others))
    assert places.tolist() == [last.get(video_id, -1) for video_id in IDS]
    assert places_among(as_ids([]), as_ids(others)).tolist() == []
    assert texts_missing(IDS, as_ids(others)) == set(IDS) - set(others)
    ordered = np.sort(as_ids(others))
    assert are_in(as_ids(IDS), ordered).tolist() == [video_id in others for video_id in IDS]
