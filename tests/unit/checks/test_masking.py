"""Secrets that hosts print are masked, whatever way they are written down in, and nothing else is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.masking import MASK, masked, without_secrets
from checks.model import Evidence, Finding, Output, Verdict
from tests.unit.bot.samples import broken, healthy, plan

PLANTED = "s3cr3t-Pl4nted+value"


@pytest.mark.parametrize(
    "text",
    [
        f"DB_PASSWORD={PLANTED}",
        f"POSTGRES_PASSWORD='{PLANTED}' and more",
        f'{{"registry_token": "{PLANTED}"}}',
        f"mysqldump --user=backup --password={PLANTED} shop",
        f"/usr/bin/mysql -u root -p{PLANTED} shop",
        f"/usr/bin/docker login -u ci -p {PLANTED} registry.example",
        f"docker login --username ci --password {PLANTED}",
        f"sshpass -p {PLANTED} ssh host2",
        f"curl -fsS -u admin:{PLANTED} https://10.0.0.1/",
        f'curl -H "Authorization: Bearer {PLANTED}" http://10.0.0.1/health',
        f"Proxy-Authorization: Basic {PLANTED}",
        f"postgres://shop:{PLANTED}@db:5432/shop",
        f"--http-proxy http://proxy:{PLANTED}@10.0.0.1:3128",
        f"vault: X-Vault-Token: {PLANTED}",
        f"aws_secret_access_key = {PLANTED}",
    ],
)
def test_a_secret_is_masked_and_what_it_is_of_stays(text: str) -> None:
    shown = masked(text)
    assert PLANTED not in shown
    assert shown.count(MASK) == 1
    assert shown == text.replace(PLANTED, MASK)
    assert masked(shown) == shown


@pytest.mark.parametrize(
    "token",
    [
        "xoxb-123456789012-abcdefABCDEF",
        "xapp-1-A0123456789-abcdef012345",
        "ghp_abcdefghijklmnopqrstuvwxyz012345",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    ],
)
def test_a_token_that_is_known_by_its_form_is_masked_wherever_it_stands(token: str) -> None:
    assert masked(f"it printed {token} and ended") == f"it printed {MASK} and ended"


def test_a_private_key_is_masked() -> None:
    key = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{PLANTED}\n{PLANTED}\n-----END OPENSSH PRIVATE KEY-----"
    assert PLANTED not in masked(f"a log has {key}")


@pytest.mark.parametrize(
    "text",
    [
        "sudo-refused: a password is required",
        "net.ipv4.ip_forward = 0",
        "-A DOCKER ! -i docker0 -o docker0 -p tcp -m tcp --dport 5000 -j ACCEPT",
        'www-authenticate: Bearer realm="https://auth.example/token",service="registry"',
        "host1: its SSH host key is NOT the one in /root/.ssh/known_hosts.",
        "iptables -t nat -p tcp; docker run -p 5000:5000 registry:2",
        "http://10.0.0.11:5000/v2/ timed out",
        "refused the login of dockerhealth; is the key in its authorized_keys? (Permission denied)",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert masked(text) == text


@given(st.text(max_size=300))
def test_masking_twice_is_masking_once_and_never_fails(text: str) -> None:
    assert masked(masked(text)) == masked(text)


def test_a_line_of_json_stays_one() -> None:
    line = json.dumps({"event": f'it said "password={PLANTED}"', "token": PLANTED, "why": f"postgres://u:{PLANTED}@db"})
    shown = masked(line)
    assert PLANTED not in shown
    assert set(json.loads(shown)) == {"event", "token", "why"}


def test_all_texts_of_a_value_are_masked_but_those_of_plans() -> None:
    evidence = (Evidence("container", f"PASSWORD={PLANTED}"),)
    assert without_secrets({"it": [Output(f"token={PLANTED}")]}) == {"it": [Output(f"token={MASK}")]}
    shown = without_secrets(Finding("cause", "registry", Verdict.FAIL, "title", evidence))
    assert shown.evidence[0].says == f"PASSWORD={MASK}"
    assert without_secrets(broken(plan())) == broken(plan())
    well = healthy()
    assert without_secrets(well) is well
