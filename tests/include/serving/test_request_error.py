from include.serving.request_error import RequestError, shown


def test_document_names_code_message_field_and_row() -> None:
    error = RequestError("No.", field="a", row=0)
    assert error.document() == {"error_code": "BAD_REQUEST", "message": "No.", "field": "a", "row": 0}


def test_document_leaves_out_what_is_not_known() -> None:
    assert RequestError("Big.", status=413).document() == {"error_code": "REQUEST_TOO_LARGE", "message": "Big."}


def test_long_texts_are_cut() -> None:
    assert len(shown("x" * 1000)) == 40
    assert shown("x") == "'x'"
    assert len(str(RequestError("x" * 9000).document()["message"])) == 1024
