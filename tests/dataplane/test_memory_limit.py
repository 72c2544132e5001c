"""How much memory there is: limits of both cgroup versions, of the own group or one above, and what is in use."""

from pathlib import Path

import pytest

from canaryproxy.dataplane.memory_limit import cgroup_memory, physical

MIB = 2**20
MACHINE = 8192 * MIB


def lay(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("files", "own", "expected"),
    [
        ({}, "", None),
        ({"memory.max": "max"}, "0::/\n", None),
        ({"memory.max": f"{512 * MIB}"}, "0::/\n", 512),
        ({"memory.max": f"{MACHINE}"}, "0::/\n", None),
        ({"memory.max": "nonsense"}, "0::/\n", None),
        ({"memory.max": f"{512 * MIB}", "memory.high": "max"}, "0::/\n", 512),
        ({"memory.max": f"{512 * MIB}", "memory.high": f"{448 * MIB}"}, "0::/\n", 448),
        ({"memory.max": "max", "memory.high": f"{448 * MIB}"}, "0::/\n", 448),
        ({"a/b/memory.max": f"{256 * MIB}", "a/memory.max": "max"}, "0::/a/b\n", 256),
        ({"a/b/memory.max": "max", "a/memory.max": f"{128 * MIB}"}, "0::/a/b\n", 128),
        ({"memory.max": f"{64 * MIB}"}, "0::/kubepods/not/visible/here\n", 64),
        ({"memory/x/memory.limit_in_bytes": f"{512 * MIB}"}, "5:cpu,cpuacct:/y\n4:memory:/x\n", 512),
        ({"memory/memory.limit_in_bytes": f"{512 * MIB}"}, "4:memory:/docker/1234\n", 512),
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, "4:memory:/\n", None),
        ({"memory.max": f"{512 * MIB}"}, "not a line\n", 512),
        ({"memory.max": f"{512 * MIB}"}, "0::/../..\n", 512),
    ],
)
def test_the_tightest_limit_counts(files: dict[str, str], own: str, expected: int | None, tmp_path: Path) -> None:
    lay(tmp_path / "cgroup", files)
    (tmp_path / "own").write_text(own)
    found = cgroup_memory(tmp_path / "cgroup", tmp_path / "own", MACHINE)
    assert (None if found is None else found.limit) == (None if expected is None else expected * MIB)


@pytest.mark.parametrize(
    ("files", "own"),
    [
        (
            {
                "memory.max": "1000",
                "memory.current": "900\n",
                "memory.stat": "anon 1\ninactive_file 250\nactive_file 150\nfile 999\n",
            },
            "0::/\n",
        ),
        (
            {
                "memory/memory.limit_in_bytes": "1000",
                "memory/memory.usage_in_bytes": "900\n",
                "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 250\nactive_file 1\ntotal_active_file 150\n",
            },
            "4:memory:/\n",
        ),
    ],
)
def test_what_is_in_use_is_without_what_the_kernel_would_give_back(
    files: dict[str, str], own: str, tmp_path: Path
) -> None:
    lay(tmp_path, files)
    (tmp_path / "own").write_text(own)
    found = cgroup_memory(tmp_path, tmp_path / "own", MACHINE)
    assert found is not None
    assert found.share() == 0.5
    found.stat.unlink()
    assert found.share() == 0.0


def test_a_limit_that_is_changed_counts_at_once(tmp_path: Path) -> None:
    """`docker update`, a resize of a pod in place, `systemctl set-property`."""
    lay(tmp_path, {"memory.max": "1000", "memory.current": "960", "memory.stat": "anon 960\n", "own": "0::/\n"})
    found = cgroup_memory(tmp_path, tmp_path / "own", MACHINE)
    assert found is not None
    assert found.share() == 0.96
    lay(tmp_path, {"memory.max": "2000"})
    assert found.share() == 0.48
    lay(tmp_path, {"memory.max": "max"})
    assert found.share() == 0.0


def test_a_machine_without_cgroups_has_no_limit_but_its_own(tmp_path: Path) -> None:
    assert cgroup_memory(tmp_path / "none", tmp_path / "none") is None
    assert physical() > 64 * MIB
