"""The environment over the file, and the secrets that only it may hold."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.unit.bot.config.test_config import HOSTS, loaded, mistake, mistakes, service


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


# --- the environment ------------------------------------------------------------------------------------------


def test_the_environment_goes_over_the_file(folder: Path) -> None:
    text = f"checks: {{reach_every: 5s, open_after: 3}}{HOSTS}"
    settings = loaded(folder, text, DOCKERHEALTH_CHECKS__REACH_EVERY="2s", DOCKERHEALTH_STORE="sqlite:///other.db")
    assert settings.checks.reach_every == timedelta(seconds=2)
    assert settings.checks.open_after == 3
    assert settings.store == "sqlite:///other.db"


def test_the_environment_reaches_into_a_host(folder: Path) -> None:
    settings = loaded(folder, HOSTS, DOCKERHEALTH_HOSTS__HOST1__SSH__PORT="2222")
    assert settings.host_list()[0].login.port == 2222


def test_approvers_in_the_environment_are_separated_by_commas(folder: Path) -> None:
    settings = loaded(folder, HOSTS, DOCKERHEALTH_APPROVALS__APPROVERS="U012ABCDEF, S0ONCALL")
    assert settings.approvals.approvers == ["U012ABCDEF", "S0ONCALL"]


def test_an_empty_variable_is_an_unset_one(folder: Path) -> None:
    assert loaded(folder, HOSTS, DOCKERHEALTH_STORE="", SLACK_BOT_TOKEN="").slack_bot_token is None


def test_a_mistake_in_the_environment_names_the_variable(folder: Path) -> None:
    found = mistake(folder, HOSTS, DOCKERHEALTH_CHECKS__REACH_EVERY="soon")
    assert (found.where, found.path) == ("DOCKERHEALTH_CHECKS__REACH_EVERY", "checks.reach_every")


def test_an_unknown_key_in_the_environment_is_a_mistake(folder: Path) -> None:
    found = mistakes(folder, HOSTS, DOCKERHEALTH_CHECKS__REACH_EVRY="2s", DOCKERHEALTH_CHEKS__OPEN_AFTER="2")
    assert {each.where for each in found} == {"DOCKERHEALTH_CHECKS__REACH_EVRY", "DOCKERHEALTH_CHEKS__OPEN_AFTER"}


def test_variables_that_a_container_platform_sets_are_none_of_ours(folder: Path) -> None:
    loaded(folder, HOSTS, DOCKERHEALTH_PORT="tcp://10.96.0.1:443", DOCKERHEALTH_SERVICE_HOST="10.96.0.1")


# --- secrets --------------------------------------------------------------------------------------------------


def test_tokens_come_from_the_environment(folder: Path) -> None:
    settings = loaded(folder, HOSTS, SLACK_BOT_TOKEN="xoxb-1", SLACK_APP_TOKEN="xapp-1")
    assert settings.slack_bot_token is not None
    assert settings.slack_bot_token.get_secret_value() == "xoxb-1"
    assert settings.slack_app_token is not None
    assert settings.slack_app_token.get_secret_value() == "xapp-1"


def test_tokens_come_from_files_too(folder: Path) -> None:
    (folder / "token").write_text("xoxb-from-file\n")
    settings = loaded(folder, HOSTS, SLACK_BOT_TOKEN_FILE=str(folder / "token"))
    assert settings.slack_bot_token is not None
    assert settings.slack_bot_token.get_secret_value() == "xoxb-from-file"


def test_a_token_file_that_cannot_be_read_is_a_mistake(folder: Path) -> None:
    found = mistake(folder, HOSTS, SLACK_APP_TOKEN_FILE=str(folder / "none"))
    assert found.where == "SLACK_APP_TOKEN_FILE"
    assert "No such file" in found.found


def test_an_empty_token_file_is_a_mistake(folder: Path) -> None:
    (folder / "token").write_text("\n")
    assert "empty" in mistake(folder, HOSTS, SLACK_APP_TOKEN_FILE=str(folder / "token")).found


def test_a_token_and_a_token_file_are_one_too_many(folder: Path) -> None:
    (folder / "token").write_text("xoxb-file")
    found = mistake(folder, HOSTS, SLACK_BOT_TOKEN="xoxb-env", SLACK_BOT_TOKEN_FILE=str(folder / "token"))
    assert found.expected == "one of the two"


def test_tokens_that_were_swapped_are_noticed_and_not_shown(folder: Path) -> None:
    found = mistakes(folder, HOSTS, SLACK_BOT_TOKEN="xapp-secret", SLACK_APP_TOKEN="xoxb-secret")
    assert [each.where for each in found] == ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"]
    assert not any("secret" in str(each) for each in found)


def test_a_token_in_the_file_is_a_mistake_and_not_shown(folder: Path) -> None:
    found = mistake(folder, f"slack_bot_token: xoxb-secret{HOSTS}")
    assert "SLACK_BOT_TOKEN_FILE" in found.expected
    assert "secret" not in str(found)


def test_secrets_are_never_printed(folder: Path) -> None:
    settings = loaded(folder, f"store: postgresql://me:hidden@db/x{HOSTS}", SLACK_BOT_TOKEN="xoxb-hidden")
    assert "hidden" not in f"{settings!r}{settings}"


def test_the_password_in_a_url_is_not_shown(folder: Path) -> None:
    found = mistake(folder, service('{url: "http://me:hidden@10.0.0.11:5000/"}'))
    assert "hidden" not in str(found)
    assert "without a user name or password" in found.expected


def test_where_the_second_way_out_leads_is_a_secret_of_the_environment(folder: Path) -> None:
    (folder / "urls").write_text("mailto://user:pass@mail.example\njson://hook.example/x\n")
    settings = loaded(folder, HOSTS, DOCKERHEALTH_FALLBACK_URLS_FILE=str(folder / "urls"))
    assert settings.fallback_urls is not None
    assert settings.fallback_urls.get_secret_value().split()[1] == "json://hook.example/x"
    assert "hook" not in repr(settings)
    given = loaded(folder, HOSTS, DOCKERHEALTH_FALLBACK_URLS="json://hook.example/x")
    assert given.fallback_urls == SecretStr("json://hook.example/x")
    found = mistake(folder, f"fallback_urls: json://hook.example/x{HOSTS}")
    assert "DOCKERHEALTH_FALLBACK_URLS_FILE" in found.expected
    assert "hook" not in found.found
