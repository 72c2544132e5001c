"""What other processes see of the supervisor."""

import subprocess
import sys

import pytest

from canaryproxy.processes.spawn import environment

GET_DUMPABLE = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"


@pytest.mark.parametrize(
    "name",
    [
        "CI_TOKEN",
        "CANARYPROXY_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "NOTIFY_SOCKET",
        "PYTHONPATH",
        "HOME",
        "STATE_DIRECTORY",
        "LISTEN_FDS",
        "HTTPS_PROXY",
        "LCD_TOKEN",
        "SSLKEYLOGFILE",
        "",
    ],
)
def test_workers_inherit_no_variable_that_they_have_no_use_for(name: str) -> None:
    assert environment({name: "x"}) == {}


@pytest.mark.parametrize(
    "name",
    [
        "CANARYPROXY_LOG",
        "CANARYPROXY_PLAIN",
        "LANG",
        "LC_ALL",
        "TZ",
        "SSL_CERT_FILE",
        "OPENSSL_CONF",
        "LD_LIBRARY_PATH",
        "MALLOC_ARENA_MAX",
    ],
)
def test_workers_inherit_what_they_need(name: str) -> None:
    assert environment({name: "x", "TOKEN": "y"}) == {name: "x"}


def test_a_process_that_has_shut_itself_can_be_read_by_no_other_one_of_its_user() -> None:
    before = f"from canaryproxy.processes.spawn import deny_dumps; {GET_DUMPABLE}"
    for code, dumpable in ((before, "1"), (f"{before.partition(';')[0]}; deny_dumps(); {GET_DUMPABLE}", "0")):
        assert (
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
            == f"{dumpable}\n"
        )
