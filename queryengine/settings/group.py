"""What all groups of keys share."""

from typing import Final

from pydantic import BaseModel, ConfigDict

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30


class Group(BaseModel):
    """Keys that belong together."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, hide_input_in_errors=True
    )
