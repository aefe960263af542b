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
    ],
)
def test_wrong_options(table: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CheckpointOptions.from_table(table)


def test_good_options() -> None:
    options = CheckpointOptions.from_table({"layout": "aggregated", "group": 4, "levels": ["/tmp"]})
    assert (options.group, options.levels, options.keep_last) == (4, ("/tmp",), 3)
