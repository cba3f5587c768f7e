"""`core.worker` on a machine with a gigabyte of memory."""

import sys
from pathlib import Path

from core import head, worker

head.memory_bytes = lambda: 1 << 30
sys.exit(worker.main(Path(sys.argv[1]), sys.argv[2]))
