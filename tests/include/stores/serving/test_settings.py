import pytest
from pydantic import ValidationError

from include.stores.serving.settings import ServingSettings


def test_settings_have_defaults_and_come_back_from_json() -> None:
    settings = ServingSettings(batch_rows_at_most=8)
    assert ServingSettings.model_validate_json(settings.model_dump_json()) == settings


def test_setting_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValidationError, match="drain_second"):
        ServingSettings.model_validate({"drain_second": 1})
