"""Options name the key, the value, the range and the nearest match."""

import pytest

from mdapp.errors import InputError
from mdapp.storage.options import CheckpointOptions


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"layot": "shared"}, "layot: no such key; did you mean 'layout'"),
        ({"layout": "share"}, "'share': must be one of .* did you mean 'shared'"),
        ({"keep_last": 1}, "keep_last = 1: must be at least 2"),
        ({"every": -1}, "every = -1"),
        ({"every": True}, "every = True"),
        ({"io_timeout_s": float("nan")}, "io_timeout_s = nan"),
        ({"block_atoms": 0}, "block_atoms"),
        ({"block_atoms": 1 << 30}, "block_atoms"),
        ({"group": 0}, "group = 0"),
        ({"group": "rack"}, "group = 'rack'"),
        ({"engine": "mpio-collective"}, 'only with checkpoint.layout = "shared"'),
        ({"engine": "h5py", "layout": "shared"}, "not with"),
        ({"levels": {}}, "levels.local: missing"),
        ({"levels": {"local": ""}}, "levels.local = '': must be a folder"),
        ({"levels": {"local": "/l", "partner": 1}}, "did you mean 'partner_every'"),
        ({"levels": {"local": "/l", "keep_local": 1}}, "keep_local = 1: must be at least 2"),
        ({"levels": {"local": "/l", "drain_every": True}}, "drain_every = True"),
        ({"levels": {"local": "/l", "ranks_per_node": 1}}, "must contain {node}"),
        ({"levels": {"local": "/l{nod}"}}, "all that braces can hold"),
        ({"levels": {"local": "/l"}, "mode": "async"}, "not with checkpoint.levels"),
    ],
)
def test_wrong_options(table: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CheckpointOptions.from_table(table)


def test_levels() -> None:
    table = {"levels": {"local": "/n{node}/l", "ranks_per_node": 2}}
    levels = CheckpointOptions.from_table(table).levels
    assert levels is not None and levels.folder(3) == "/n3/l"
    assert (levels.partner_every, levels.drain_every, levels.keep_local) == (1, 1, 2)


def test_good_options() -> None:
    options = CheckpointOptions.from_table({"layout": "aggregated", "group": 4})
    assert (options.group, options.levels, options.keep_last) == (4, None, 3)
