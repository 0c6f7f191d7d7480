"""The models that are trained here, and how a checkpoint brings one back."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mcn.data.clip_form import ClipForm
from mcn.data.picture_form import PictureForm
from mcn.models.mcn import Mcn, McnDims
from mcn.models.mmv import Mmv, MmvDims
from mcn.models.xdc import Xdc, XdcDims

Model = Mcn | Mmv
"""Brings modalities into spaces in which they are compared."""


def described_model(meta: Mapping[str, Any], weights: dict[str, Tensor]) -> Model | Xdc:
    """The model that `described` gave these values of, with its weights.

    Raises:
        ValueError: It is none of this version.
    """
    form, has_unit_length = ClipForm(**meta.get("form", {})), meta.get("has_unit_length", True)
    model: Model | Xdc
    name = meta.get("model", "mcn")
    if name == "mcn":
        model = Mcn(
            McnDims(**meta["dims"]),
            has_unit_length=has_unit_length,
            form=form,
            audio_network=meta.get("audio_network"),
        )
    elif name == "mmv":
        model = Mmv(
            MmvDims(**meta["dims"]),
            space=meta["space"],
            has_unit_length=has_unit_length,
            form=form,
        )
    elif name == "xdc":
        model = Xdc(
            XdcDims(**meta["dims"]),
            method=meta["method"],
            inputs=meta["inputs"],
            pictures=PictureForm(**meta["pictures"]) if "pictures" in meta else None,
        )
    else:
        raise ValueError(f"the checkpoint holds a model {name!r}, which this version does not know")
    model.load_state_dict(weights)
    return model
