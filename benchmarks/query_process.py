"""Run one query with one peer in a separate process, whose memory the parent measures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .data import Calls
from .peers import PEERS

if __name__ == "__main__":
    folder, rows, name, question = json.loads(sys.argv[1])
    peer = PEERS[name](Calls(Path(folder), rows))
    peer.start()
    peer.questions()[question]()
    peer.close()
