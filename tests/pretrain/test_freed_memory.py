"""Memory that is freed and asked for again."""

import os
import subprocess
import sys

import pytest

TWENTY_ARRAYS = """
import resource
import numpy as np
from goodviews.pretrain.freed_memory import keep_freed_memory
keep_freed_memory()
for turn in range(25):
    if turn == 5:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.zeros(2**23, np.uint8).fill(1), np.empty(2**26, np.uint8).fill(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", {}), reason="only glibc has this setting")
def test_freed_arrays_cost_no_page_faults_when_asked_for_again():
    done = subprocess.run([sys.executable, "-c", TWENTY_ARRAYS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20 * 2**23 / 4096 / 10  # a tenth of the small arrays' pages alone
