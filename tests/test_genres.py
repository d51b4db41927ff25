import copy
import pickle

import pytest
import torch

from postergenre.errors import DataError
from postergenre.genres import Genres

GENRES = Genres(["Action", "Drama", "N/A", "War"])


def test_labels_in_any_order_become_a_multi_hot_target() -> None:
    assert GENRES.encode(["War", "Action", "War"]).tolist() == [1.0, 0.0, 0.0, 1.0]
    assert GENRES.encode([]).tolist() == [0.0, 0.0, 0.0, 0.0]
    assert GENRES.encode(["Drama"]).dtype == torch.float32


def test_decoding_gives_back_what_was_encoded_in_vocabulary_order() -> None:
    assert GENRES.decode(GENRES.encode(["War", "N/A"])) == ["N/A", "War"]
    assert GENRES.decode(torch.tensor([False, True, False, False])) == ["Drama"]


def test_a_target_of_another_length_is_not_decoded() -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        GENRES.decode(torch.ones(3))


def test_an_unknown_label_is_named_beside_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"unknown genre 'Opera'; known: Action, Drama, N/A, War"):
        GENRES.encode(["Action", "Opera"])


def test_a_genre_named_twice_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"named twice in the vocabulary: Drama, War$"):
        Genres(["War", "Drama", "War", "Action", "Drama"])


def test_an_empty_vocabulary_is_refused() -> None:
    with pytest.raises(DataError, match="no genre to learn"):
        Genres([])


def test_the_most_probable_genres_come_first_and_ties_in_vocabulary_order() -> None:
    assert GENRES.top([0.2, 0.7, 0.1, 0.7], 3) == [("Drama", 0.7), ("War", 0.7), ("Action", 0.2)]
    assert [name for name, _ in GENRES.top([0.1, 0.2, 0.3, 0.4], 99)] == ["War", "N/A", "Drama", "Action"]


def test_a_vocabulary_equals_its_plain_names_and_survives_a_worker_process() -> None:
    assert GENRES == ("Action", "Drama", "N/A", "War")
    for twin in (pickle.loads(pickle.dumps(GENRES)), copy.deepcopy(GENRES), Genres(list(GENRES))):
        assert twin == GENRES
        assert type(twin) is Genres
