"""What was written before the store kept the number of errors is read, and goes on, as it was."""

import zlib
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest

from mcn.store.layout import NOT_COUNTED
from mcn.store.reader import FeatureStore
from mcn.store.shard import open_shard
from mcn.store.summary import summarise
from mcn.store.upkeep.merge import merge_store
from mcn.store.verify import verify_shard
from tests.shards import done, failed, write_shard, writer

SHARD = (
    "eNrtWL1v00AUPycFQig0qHyDUGUhwRCQ4zhxkiIogkKFEEV8Cakgc7m7NFYbO7IvbaGqxAaIHSYkRjYGPoRKBzZYkPgb"
    "YGIAsTCXO/vsJi7QVB064N/ycu/ee3f3/O6d8puVMXGRYzapaVsGclBeRXIlV1Z1TVfUkpKVawTSlkNcuTKmq5qa1dWy"
    "coupTWucOE3HtKiBzXHiUrkiI4hVqCFNhSqpaVVS1atatVTDMFcoKMViGUEtj0u5IoI5XEN5qCioCqulgoaZF8lpMotr"
    "Ow3IYzWQdTRcO9AbU8Rx2U7ZFrOyiY3qHcp3xgcWJjNsj0W9pGWLZZ3v0SHQZacSRuWs7DahxQ+iZPm0NwrPrMyB/wxf"
    "b36ZeDhy5uzW9L60p0ilQA/I+JMJXywK3D3QOQ5i3BZSEvKBkM8TgX6TN7dH6DMi/kBS2An91cvDw9x6MYJgndJuX6ZA"
    "jP8RI8OnLnF5Q4wHhPyY6LTz2gCTQecAkfosrXLdoF4/9vvj90LfKyJJoI/9ToHO9sT8UkGtDnWsL4X+I2LcC3Zw/6V2"
    "6un3SpK3cib0SXX4v+R7Si7FPHd69IIEhEPEjmNWxmZDrmhZmcxQByJqO6zHsgRZhOYKqsybJTKbRK7Mym7ddqjhmpiN"
    "VJW5LDXdOWZnT7tGkziGS5BtYaY8xl6JaWKO16lruHWoFoostLJGyHPtbUhkEYC1vjAiZeCgkGMsMWTKRIS/Xs0WywOt"
    "s2cDs1dCnbu1VAfPt8V3MEaMGDFixIgRI0aMGDFirD+2iz/+Uf6tF1wSfEB/lGcQtC3oim8YauMbEh38xRYvbtOxp4gF"
    "LUS6i3ewLV7S0/d4c89C3tBnDCVJCm065UiCz+xKA3CCySkTE9swcbf56t/u76VmOi41HHs6ws/8lQ9q43WsVoN7hhzT"
    "5lX4+qwz/24r8U+AZYZjALgU0hZbbedKZ2OH2MikT38DsL+LXPC9I7vRnCSUWMT1znRopZobOBmeR9sCtMVkkE/OrPs2"
    "2VXm0+PkxZy2Ct9o/R3vIq+J8BcAG1gk/u0TCa+s2Mivv6R0T1DX8x3+Vy6OnpFYBEG3gcref68X8NYPdsS9qh0QRC72"
    "43MTn7BtkWWWP08u964m/xCyBs1JgqnTshCkRHSEz3/wRtGm8uTF/Uddry2xmpHaWoYEjvjSLyDvBoLw9i4fJ1mFSd4t"
    "6gsrMb0BpPvEfFiRogWmhH1SOr/Pt1AiO5pZ1y/5Y3BCVytP3h3OXx/MHO09fm3+u5Z59/jty0F4Kq/XX43NT7z+UFx4"
    "8XTo14Ly5tvCb4mDT7k="
)
"""Records `done("a")`, `failed("b")` and `done("c")`, sealed in version 1."""

JOURNAL = (
    "eNqlkDFLQzEQx8XBURxdRLhNeEj76qsQ3YqL0A6uIiEk175AXxKSvFYoBb+Hg4ugi7O2KOLQr+CnqOBH8KKFfgBvuvvn"
    "cvf7X7fTO19urGPn7uBpAn1tBuid1yYCm4DSFbCjDPA6eiGj9cDAYzAYm0UOGeVSO0ydobQ+8qAVVXlOX0bog7YGWHNK"
    "fXYcuEPPA0prFImHjQzGqAdlDDyUIi/aNLrxzwBa1be+EpGv1xMKUVmuVQB2CYqwEa6m3U7v4p587678f26dvU5A2soN"
    "MaLBEFaUfRSxJtNcetnKJalFoyiOW+1mOwNTVzyZA9b6K4IThipTD4cZOG9HaISRvydSONIpA+lqgoilR5GY8nQgFCHR"
    "Aj2ESAtJB2UNwho/KTDde/+Yb58sHzdvF89fs332cLp4+Z7dvP0AkAyPoA=="
)
"""Record `done("d")` of the videos d and e, in version 1."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "video"
    folder.mkdir()
    (folder / "00000.h5").write_bytes(zlib.decompress(b64decode(SHARD)))
    (folder / "00001.1.journal").write_bytes(zlib.decompress(b64decode(JOURNAL)))
    return folder


def test_a_shard_of_the_first_version_is_read_and_its_errors_are_not_counted(folder: Path) -> None:
    before = (folder / "00000.h5").read_bytes()
    assert verify_shard(folder / "00000.h5") == []
    store = FeatureStore(folder)
    np.testing.assert_array_equal(store.read("c"), done("c").features)
    assert (store.entry("a").completeness, store.entry("a").num_errors) == (1.0, NOT_COUNTED)
    assert dict(store.failures()) == {"b": "truncated"}
    assert summarise([folder / "00000.h5"]).damaged == 0
    assert (folder / "00000.h5").read_bytes() == before


def test_a_journal_of_the_first_version_is_carried_on(folder: Path) -> None:
    with writer(folder / "00001.h5", ["d", "e"]) as shard:
        assert shard.done == {"d"}
        shard.append(done("e", num_errors=7))
        shard.seal()
    store = FeatureStore(folder)
    assert [store.entry(video_id).num_errors for video_id in "de"] == [NOT_COUNTED, 7]


def test_versions_are_read_and_merged_together(folder: Path) -> None:
    (folder / "00001.1.journal").unlink()
    write_shard(folder / "00001.h5", [done("d", num_errors=7), failed("e")])
    merge_store(folder, videos_per_shard=10, is_shown=False)
    (merged,) = folder.glob("*.h5")
    assert verify_shard(merged) == []
    assert open_shard(merged).index["num_errors"].tolist() == [-1, -1, -1, 7, -1]
    np.testing.assert_array_equal(FeatureStore(folder).read("a"), done("a").features)
