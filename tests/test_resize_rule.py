"""All resized videos of a root are made by one rule, which lies beside them."""

from dataclasses import replace
from pathlib import Path

import pytest

from extractors.corpus import ResizedVideos, claim_resize_rule
from extractors.resize import ResizeConfig
from mcn.root import Root

CONFIG = ResizeConfig()


def test_a_root_is_resized_by_one_rule(tmp_path: Path) -> None:
    root = Root(tmp_path)
    claim_resize_rule(root, CONFIG)
    claim_resize_rule(root, CONFIG)
    assert ResizedVideos.below(root).rule == vars(CONFIG)
    with pytest.raises(ValueError, match=r"another fps \(see .*rule\.json\)"):
        claim_resize_rule(root, replace(CONFIG, fps=CONFIG.fps + 1))


def test_a_damaged_rule_is_named_with_the_way_out(tmp_path: Path) -> None:
    root = Root(tmp_path)
    claim_resize_rule(root, CONFIG)
    (root.resized / "rule.json").write_text("")
    for read in (lambda: claim_resize_rule(root, CONFIG), lambda: ResizedVideos.below(root)):
        with pytest.raises(ValueError, match=r"rule\.json is damaged .*or remove it"):
            read()
