"""One file, the environment over it, and every mistake reported at once."""

import json
import time
from datetime import timedelta
from pathlib import Path

import pytest

from bot.config import ConfigError, Mistake, Settings, find, load
from checks.model import ServiceKind

HOSTS = """
hosts:
  host1:
    address: 10.0.0.11
    services:
      registry: {url: "http://10.0.0.11:5000/v2/", container: registry}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def loaded(folder: Path, text: str, **environ: str) -> Settings:
    path = folder / "dockerhealth.yaml"
    path.write_text(text)
    return load(path, environ)


def mistakes(folder: Path, text: str, **environ: str) -> tuple[Mistake, ...]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, **environ)
    return caught.value.mistakes


def mistake(folder: Path, text: str, **environ: str) -> Mistake:
    [only] = mistakes(folder, text, **environ)
    return only


def service(settings: str) -> str:
    """A file whose only service has these settings, on line 6."""
    return HOSTS.replace('{url: "http://10.0.0.11:5000/v2/", container: registry}', settings)


# --- what is there --------------------------------------------------------------------------------------------


def test_everything_but_hosts_has_a_default(folder: Path) -> None:
    settings = loaded(folder, HOSTS)
    assert settings.slack.alert_channel == "#docker-health"
    assert settings.checks.reach_every == timedelta(seconds=5)
    assert settings.checks.look_every == timedelta(minutes=5)
    assert (settings.checks.open_after, settings.checks.resolve_after) == (2, 2)
    assert settings.approvals.expire_after == timedelta(minutes=30)
    assert settings.store == "sqlite:///dockerhealth.db"
    assert settings.slack_api_url == "https://slack.com/api/"


def test_nobody_may_approve_unless_the_file_says_who(folder: Path) -> None:
    assert loaded(folder, HOSTS).approvals.approvers == []


def test_what_is_left_out_of_ssh_is_left_to_the_users_own_configuration(folder: Path) -> None:
    [host] = loaded(folder, HOSTS).host_list()
    assert (host.login.user, host.login.port, host.login.identity_file, host.login.proxy_jump) == (None,) * 4


def test_known_hosts_is_the_users_own_by_default(folder: Path) -> None:
    [host] = loaded(folder, HOSTS).host_list()
    assert host.login.known_hosts == Path("~/.ssh/known_hosts").expanduser()


def test_a_host_overrides_the_ssh_settings_one_by_one(folder: Path) -> None:
    text = f"ssh: {{user: dockerhealth, port: 22, proxy_jump: bastion}}{HOSTS}    ssh: {{port: 2222}}\n"
    [host] = loaded(folder, text).host_list()
    assert (host.login.user, host.login.port, host.login.proxy_jump) == ("dockerhealth", 2222, "bastion")


def test_a_tilde_is_the_home_of_the_user_who_runs_it(folder: Path) -> None:
    [host] = loaded(folder, f"ssh: {{identity_file: ~/.ssh/dockerhealth}}{HOSTS}").host_list()
    assert host.login.identity_file == Path.home() / ".ssh/dockerhealth"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://h:5000", ServiceKind.REGISTRY),
        ("http://h:5000/", ServiceKind.REGISTRY),
        ("https://h/v2/", ServiceKind.REGISTRY),
        ("http://h:5000/v2", ServiceKind.REGISTRY),
        ("http://h/v2beta", ServiceKind.HTTP),
        ("http://h/healthz", ServiceKind.HTTP),
        ("tcp://h:6379", ServiceKind.TCP),
        ("tcp://[2001:db8::1]:6379", ServiceKind.TCP),
    ],
)
def test_the_url_says_what_kind_of_service_it_is(folder: Path, url: str, kind: ServiceKind) -> None:
    [host] = loaded(folder, service(f'{{url: "{url}"}}')).host_list()
    assert host.services[0].kind is kind


def test_a_registry_without_a_path_can_be_watched_as_http(folder: Path) -> None:
    [host] = loaded(folder, service('{url: "http://h:80", kind: http}')).host_list()
    assert host.services[0].kind is ServiceKind.HTTP


@pytest.mark.parametrize(
    ("written", "length"),
    [("5s", 5), ("5m", 300), ("1h30m", 5400), ("1h0m5s", 3605), ("24h", 86400)],
)
def test_durations_are_written_with_units(folder: Path, written: str, length: int) -> None:
    settings = loaded(folder, f"checks: {{look_every: {written}}}{HOSTS}")
    assert settings.checks.look_every == timedelta(seconds=length)


def test_anchors_and_merges_are_plain_yaml(folder: Path) -> None:
    text = """
hosts:
  host1: &host
    address: 10.0.0.11
    services: {registry: {url: "http://10.0.0.11:5000/"}}
  host2: {<<: *host, address: 10.0.0.12}
"""
    assert [host.address for host in loaded(folder, text).host_list()] == ["10.0.0.11", "10.0.0.12"]


def test_five_hundred_hosts_load_in_a_moment(folder: Path) -> None:
    one = '  host{0}: {{address: 10.0.0.1, services: {{registry: {{url: "http://10.0.0.1:5000/"}}}}}}\n'
    started = time.perf_counter()
    settings = loaded(folder, "hosts:\n" + "".join(one.format(number) for number in range(500)))
    assert len(settings.host_list()) == 500
    assert time.perf_counter() - started < 2


# --- mistakes -------------------------------------------------------------------------------------------------


def test_every_mistake_is_reported_at_once_with_its_path_and_line(folder: Path) -> None:
    text = """\
slack: {alert_channel: docker-health}
checks:
  reach_every: 5
  open_after: 0
hosts:
  host1:
    address: 10.0.0.11:22
    services:
      registry: {url: "ftp://10.0.0.11/", container: /registry}
"""
    name = folder / "dockerhealth.yaml"
    assert [(each.where, each.path) for each in mistakes(folder, text)] == [
        (f"{name}:1", "slack.alert_channel"),
        (f"{name}:3", "checks.reach_every"),
        (f"{name}:4", "checks.open_after"),
        (f"{name}:7", "hosts.host1.address"),
        (f"{name}:9", "hosts.host1.services.registry.url"),
        (f"{name}:9", "hosts.host1.services.registry.container"),
    ]


def test_a_mistake_says_what_was_found_and_what_was_expected(folder: Path) -> None:
    found = mistake(folder, f"checks: {{look_every: 5 min}}{HOSTS}")
    assert str(found).endswith(
        'checks.look_every: found "5 min", expected a duration with its unit, such as 5s, 5m or 1h30m'
    )


def test_an_unknown_key_is_a_mistake_and_the_nearest_one_is_named(folder: Path) -> None:
    found = mistake(folder, f"ssh: {{prt: 22}}{HOSTS}")
    assert (found.path, found.found) == ("ssh.prt", "an unknown key")
    assert found.expected.startswith("port")


def test_an_unknown_key_like_no_other_gets_the_list_of_what_may_stand_there(folder: Path) -> None:
    expected = mistake(folder, f"zzz: 1{HOSTS}").expected
    assert expected == "one of slack, fallback, ssh, checks, approvals, store, hosts"


def test_a_key_that_stands_there_twice_is_a_mistake(folder: Path) -> None:
    found = mistake(folder, f"checks:\n  open_after: 2\n  open_after: 3{HOSTS}")
    assert found.where.endswith(":3")
    assert "line 2" in found.expected


def test_a_host_that_stands_there_twice_is_a_mistake(folder: Path) -> None:
    assert mistake(folder, HOSTS + HOSTS.split("hosts:\n")[1]).path == "hosts.host1"


@pytest.mark.parametrize("name", ["no", "10", "1.5", "null"])
def test_a_name_that_yaml_does_not_read_as_text_wants_quotes(folder: Path, name: str) -> None:
    found = mistake(folder, HOSTS.replace("host1", name))
    assert found.expected == f'"{name}" in quotes'


@pytest.mark.parametrize("name", ["'../etc'", "'a b'", "'-x'", "'a/b'", "'<!here>'", "x" + "y" * 63])
def test_names_are_safe_in_messages_paths_and_commands(folder: Path, name: str) -> None:
    assert mistake(folder, HOSTS.replace("host1", name)).expected.startswith("a name of letters")


def test_without_hosts_there_is_nothing_to_watch(folder: Path) -> None:
    assert mistake(folder, "").path == "hosts"
    assert mistake(folder, "hosts: {}").expected == "at least one"


def test_a_host_needs_an_address_and_services(folder: Path) -> None:
    assert [each.path for each in mistakes(folder, "hosts:\n  h: {}")] == ["hosts.h.address", "hosts.h.services"]


@pytest.mark.parametrize("address", ["10.0.0.256", "http://h", "h:22", "a b", "-x", "''", "1.2.3"])
def test_an_address_is_a_name_or_an_ip_address(folder: Path, address: str) -> None:
    assert mistake(folder, HOSTS.replace("address: 10.0.0.11", f"address: {address}")).path == "hosts.host1.address"


@pytest.mark.parametrize("address", ["10.0.0.11", "'2001:db8::1'", "host1.example", "h1"])
def test_addresses_of_every_kind(folder: Path, address: str) -> None:
    loaded(folder, HOSTS.replace("address: 10.0.0.11", f"address: {address}"))


@pytest.mark.parametrize(
    "url",
    [
        "10.0.0.11:5000",
        "ftp://h/",
        "http://",
        "http://h:99999/",
        "http://h:x/",
        "http://h:0/",
        "http://a b/",
        "tcp://h",
        "tcp://h:1/x",
        "http://h/?q=1",
        "http://h/#x",
        "http://10.0.0.256/",
    ],
)
def test_a_url_that_cannot_be_asked_is_a_mistake(folder: Path, url: str) -> None:
    assert mistake(folder, service(f'{{url: "{url}"}}')).path == "hosts.host1.services.registry.url"


@pytest.mark.parametrize(
    ("url", "kind"), [("tcp://h:1", "http"), ("http://h:1", "tcp"), ("http://h/healthz", "registry"), ("http://h", "x")]
)
def test_a_kind_that_does_not_fit_the_url_is_a_mistake(folder: Path, url: str, kind: str) -> None:
    assert mistake(folder, service(f'{{url: "{url}", kind: {kind}}}')).path == "hosts.host1.services.registry.kind"


@pytest.mark.parametrize("name", ["/registry", "re gistry", "-registry", "a;b", "$(x)"])
def test_container_names_are_dockers(folder: Path, name: str) -> None:
    found = mistake(folder, service(f'{{url: "http://h/", container: "{name}"}}'))
    assert found.path == "hosts.host1.services.registry.container"


@pytest.mark.parametrize("approver", ["alice", "@alice", "u012abc", "B012ABCDEF", "U"])
def test_approvers_are_ids_not_names(folder: Path, approver: str) -> None:
    found = mistake(folder, f'approvals: {{approvers: ["{approver}"]}}{HOSTS}')
    assert found.path == "approvals.approvers.0"


@pytest.mark.parametrize("length", ["0s", "25h", "5", "1.5h", "5m5h", "-5s", "''", "99999999999999999999s"])
def test_a_duration_that_is_none_or_makes_no_sense(folder: Path, length: str) -> None:
    assert mistake(folder, f"approvals: {{expire_after: {length}}}{HOSTS}").path == "approvals.expire_after"


@pytest.mark.parametrize(
    "ssh", ["user: -oProxyCommand=x", "port: 70000", "port: ssh", "proxy_jump: 'a b'", "proxy_jump: '-x'", "user: 5"]
)
def test_ssh_settings_that_cannot_be(folder: Path, ssh: str) -> None:
    assert mistake(folder, f"ssh: {{{ssh}}}{HOSTS}").path == f"ssh.{ssh.partition(':')[0]}"


@pytest.mark.parametrize("text", ["hosts: [", "a: b: c", "\tx: 1", "- a\n- b", "text", "{a: !!python/object:os.x y}"])
def test_a_file_that_is_no_yaml_with_keys_is_one_mistake_with_its_line(folder: Path, text: str) -> None:
    assert mistake(folder, text).where.startswith(f"{folder / 'dockerhealth.yaml'}:")


def test_a_file_that_contains_itself_ends(folder: Path) -> None:
    assert mistakes(folder, "hosts: &a\n  h: *a\n")


def test_a_file_that_is_not_there_is_a_mistake(folder: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(folder / "none.yaml", {})


def test_the_slack_api_url_is_checked(folder: Path) -> None:
    assert mistake(folder, HOSTS, SLACK_API_URL="slack.com").where == "SLACK_API_URL"
    assert loaded(folder, HOSTS, SLACK_API_URL="http://127.0.0.1:1/api").slack_api_url == "http://127.0.0.1:1/api/"


# --- which file, and its schema -------------------------------------------------------------------------------


def test_the_file_that_was_asked_for_comes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "dockerhealth.yaml").touch()
    environ = {"DOCKERHEALTH_CONFIG": "from-environment.yaml"}
    assert find(Path("given.yaml"), environ) == Path("given.yaml")
    assert find(None, environ) == Path("from-environment.yaml")
    assert find(None, {}) == Path("dockerhealth.yaml")


def test_the_schema_is_that_of_the_file_without_secrets() -> None:
    schema = Settings.file_schema()
    assert list(schema["properties"]) == ["slack", "fallback", "ssh", "checks", "approvals", "store", "hosts"]
    assert schema["$defs"]["CheckSettings"]["properties"]["reach_every"]["default"] == "5s"
    assert json.dumps(schema)
