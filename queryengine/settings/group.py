"""What all groups of keys share."""

from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30

SECONDS_MAX: Final = 100 * 365 * 24 * 60 * 60
"""A hundred years. Times much further away have no place in the database and in the messages of the contract."""
NUMBER_MAX: Final = (1 << 63) - 1


class Group(BaseModel):
    """Keys that belong together."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    @field_validator("*")
    @classmethod
    def _not_beyond_use(cls, value: object, info: ValidationInfo) -> object:
        most = SECONDS_MAX if str(info.field_name).endswith("_seconds") else NUMBER_MAX
        if isinstance(value, int | float) and value > most:
            raise ValueError(f"expected at most {most}")
        return value
