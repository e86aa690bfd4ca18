import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray

from hantei_evaluator.suites.shogi import boards
from hantei_evaluator.suites.shogi.planes import core46, encode


def seen(sfens: list[str], move_count: ArrayLike, max_moves: ArrayLike) -> NDArray[np.float32]:
    encoded = encode(boards.parse(sfens), move_count, max_moves)
    return np.asarray(core46(torch.from_numpy(encoded.pieces), torch.from_numpy(encoded.constants)))


def planes(sfen: str, move_count: int = 0, max_moves: int = 500) -> NDArray[np.float32]:
    return np.asarray(seen([sfen], move_count, max_moves)[0])


def test_own_pieces_promotions_and_the_opponents_each_have_their_plane() -> None:
    view = planes("4k4/9/9/9/3+r1+P3/9/9/9/4K4 b - 1")
    assert {(p, r, c) for p, r, c in np.argwhere(view).tolist() if p < 28} == {
        (7, 8, 4),
        (8, 4, 5),
        (14 + 7, 0, 4),
        (22 + 5, 4, 3),
    }


def test_white_sees_the_board_turned_round() -> None:
    assert planes("4k4/9/9/9/9/9/9/9/R3K4 w - 1")[:42].nonzero()[0].tolist() == [7, 20, 21]
    assert planes("4k4/9/9/9/9/9/9/9/R3K4 w - 1")[20, 0, 8] == 1
    assert planes("4k4/9/9/9/9/9/9/9/R3K4 w - 1")[7, 8, 4] == 1


def test_hands_count_over_their_limit_own_first() -> None:
    sfen = "4k4/9/9/9/9/9/9/9/4K4 {} R2B10P3g2l 1"
    black, white = planes(sfen.format("b")), planes(sfen.format("w"))
    own = np.array([10 / 18, 0, 0, 0, 0, 2 / 2, 1 / 2], dtype=np.float32)
    other = np.array([0, 2 / 4, 0, 0, 3 / 4, 0, 0], dtype=np.float32)
    assert np.array_equal(black[28:42, 3, 3], np.concatenate([own, other]))
    assert np.array_equal(white[28:42, 8, 0], np.concatenate([other, own]))


def test_the_last_planes_are_the_side_to_move_and_the_move_count() -> None:
    view = planes("4k4/9/9/9/9/9/9/9/4K4 b - 1", move_count=35, max_moves=300)
    assert view[42].tolist() == np.ones((9, 9)).tolist()
    assert np.unique(view[43]).tolist() == [np.float32(35 / 300)]
    assert not view[44:].any()
    assert not planes("4k4/9/9/9/9/9/9/9/4K4 w - 1")[42].any()


@pytest.mark.parametrize("size", [1, 3, 64])
def test_a_batch_encodes_each_position_as_if_alone(size: int) -> None:
    sfens = [
        "4k4/9/9/9/3+r1+P3/9/9/9/4K4 b 18p 1",
        "lnsgkgsnl/1r5b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL w - 1",
        "4k4/9/9/9/9/9/9/9/4K4 w 2R10P2b 1",
    ] * 22
    together = seen(sfens[:size], list(range(size)), [500] * size)
    for index, sfen in enumerate(sfens[:size]):
        assert np.array_equal(together[index], planes(sfen, index))
