"""What is wrong with a request, as the response names it: MLflow's ``error_code`` and ``message``, and the field."""

from collections.abc import Mapping

from include.errors import FOREIGN_TEXT_LIMIT

_CODES = {
    400: "BAD_REQUEST",
    413: "REQUEST_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}
_SHOWN_CHARACTERS = 40


class RequestError(Exception):
    """
    A request that gets no predictions.

    :param status: of the HTTP response: 400, 413, 415, 500 or 503.
    :param field: name of the column, or of the part of the body, that is wrong.
    :param row: position of the row that is wrong, from 0.
    """

    def __init__(self, message: str, *, status: int = 400, field: str | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.row = row

    def document(self) -> Mapping[str, str | int]:
        """The body of the response; ``row`` counts from 0."""
        text = str(self)
        # error_code and message are MLflow's fields: its clients show them.
        document: dict[str, str | int] = {"error_code": _CODES[self.status], "message": text[: 4 * FOREIGN_TEXT_LIMIT]}
        if self.field is not None:
            document["field"] = self.field
        if self.row is not None:
            document["row"] = self.row
        return document


def shown(value: object) -> str:
    """A value as a message shows it, cut."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
