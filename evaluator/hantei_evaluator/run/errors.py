"""What can go wrong in an evaluation, each with the reason that the run ends with."""

from typing import Any

from typing_extensions import override

from hantei_api.reasons import EVALUATOR_REASONS, Reason


class EvaluationError(Exception):
    """A failure that a person can mend; the message names the field, the value, the limit and the way out."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    @override
    def __reduce__(self) -> tuple[type["EvaluationError"], tuple[Reason, str], dict[str, Any]]:
        return type(self), (self.reason, str(self)), self.__dict__

    @property
    def exit_code(self) -> int:
        """The process's exit code (sysexits.h)."""
        return EVALUATOR_REASONS[self.reason]
