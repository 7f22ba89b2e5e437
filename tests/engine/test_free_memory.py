"""The memory that a store may take, from files as Linux writes them."""
import pytest

from mmfreeze.engine.free_memory import free_memory


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MACHINE = {'proc/meminfo': 'MemTotal:  9000 kB\nMemAvailable:  8000 kB\n'}
V2 = 'sys/fs/cgroup'
V1 = 'sys/fs/cgroup/memory'


@pytest.mark.parametrize('files, expected', [
    ({}, 8000 * 1024),
    # The inner group has no limit, the one around it has; its cache could be given back.
    ({'proc/self/cgroup': '0::/job/step\n', f'{V2}/job/step/memory.max': 'max\n',
      f'{V2}/job/memory.max': '5000\n', f'{V2}/job/memory.current': '3000\n',
      f'{V2}/job/memory.stat': 'anon 10\ninactive_file 700\n'}, 2700),
    ({'proc/self/cgroup': '4:memory:/job\n3:cpu:/job\n0::/\n',
      f'{V1}/job/memory.limit_in_bytes': '5000', f'{V1}/job/memory.usage_in_bytes': '4000',
      f'{V1}/job/memory.stat': 'total_inactive_file 5\n'}, 1005),
    # A container that sees its own group at the top, though its path is the host's.
    ({'proc/self/cgroup': '0::/docker/123\n', f'{V2}/memory.max': '900',
      f'{V2}/memory.current': '1000', f'{V2}/memory.stat': 'inactive_file 0\n'}, 0),
], ids=['none', 'v2', 'v1', 'container'])
def test_a_jobs_limit_counts(tmp_path, files, expected):
    assert free_memory(write(tmp_path, {**MACHINE, **files})) == expected


def test_processes_of_a_machine_share(tmp_path, monkeypatch):
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '4')
    assert free_memory(write(tmp_path, MACHINE)) == 2000 * 1024


def test_on_this_machine():
    assert free_memory() > 0
