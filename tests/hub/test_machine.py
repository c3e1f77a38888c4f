import pytest

from goodviews.hub import machine

CPUINFO = """processor\t: 0
model name\t: An Abacus 8
flags\t\t: fpu avx2 avx512f avx512_bf16

processor\t: 1
model name\t: An Abacus 8
flags\t\t: fpu avx2 avx512f avx512_bf16
"""


@pytest.fixture
def box(tmp_path, monkeypatch):
    """A machine of 8 cores with 64 GB free, whose files lie in a temporary folder."""
    for name in ("_CPUINFO", "_OWN_GROUPS", "_GROUPS"):
        monkeypatch.setattr(machine, name, tmp_path / name)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 64 * 10**9}))
    machine.processor_name.cache_clear()
    machine.processor_flags.cache_clear()
    yield tmp_path
    machine.processor_name.cache_clear()
    machine.processor_flags.cache_clear()


def put(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_without_limits_all_cores_and_all_free_memory_count(box):
    put(box, _OWN_GROUPS="0::/user.slice\n")
    put(box / "_GROUPS" / "user.slice", cpu__max="max 100000\n", memory__max="max\n", memory__current="5\n")
    assert (machine.cores(), machine.free_memory_bytes()) == (8, 64 * 10**9)


def test_the_tightest_group_of_version_2_limits_cores_and_memory(box):
    put(box, _OWN_GROUPS="0::/job/step\n")
    put(box / "_GROUPS" / "job", cpu__max="250000 100000\n", memory__max="4000000000\n", memory__current="3000000000\n")
    put(box / "_GROUPS" / "job" / "step", cpu__max="max 100000\n", memory__max="max\n", memory__current="1\n")
    put(box / "_GROUPS" / "job", memory__stat="anon 9\ninactive_file 500000000\n")
    assert machine.cores() == 3
    assert machine.free_memory_bytes() == 1_500_000_000


def test_groups_of_version_1_limit_too(box):
    put(box, _OWN_GROUPS="5:cpu,cpuacct:/\n4:memory:/job\n2:pids:/job\n")
    put(box / "_GROUPS" / "cpu", cpu__cfs_quota_us="50000\n", cpu__cfs_period_us="100000\n")
    put(box / "_GROUPS" / "memory" / "job", memory__limit_in_bytes="2000\n", memory__usage_in_bytes="500\n")
    assert (machine.cores(), machine.free_memory_bytes()) == (1, 1500)
    put(box / "_GROUPS" / "cpu", cpu__cfs_quota_us="-1\n")
    assert machine.cores() == 8


def test_a_group_that_is_over_its_limit_leaves_nothing(box):
    put(box, _OWN_GROUPS="0::/\n")
    put(box / "_GROUPS", memory__max="10\n", memory__current="12\n")
    assert machine.free_memory_bytes() == 0


def test_the_processor_is_named_with_its_bf16_instructions(box):
    put(box, _CPUINFO=CPUINFO)
    assert machine.processor_name() == "An Abacus 8"
    assert machine.bf16_instructions() == ["avx512_bf16"]


def test_a_machine_without_cpuinfo_still_has_a_name_and_a_core(box, monkeypatch):
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert machine.processor_name()
    assert machine.processor_flags() == frozenset()
    assert machine.bf16_instructions() == []
    assert machine.cores() == 1
