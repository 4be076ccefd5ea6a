"""Many clients at once against `inksight-jax serve` on loopback.

  python benchmarks/serve_load.py --model_dir=runs/mine [--clients=200]

Starts the server, sends rounds of concurrent requests, reads its memory after
each, then stops it with SIGTERM in the middle of a last round.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import http.client
import io
import json
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
from PIL import Image


def picture(seed: int) -> bytes:
  """A noisy JPEG of a size that words have."""
  rng = np.random.default_rng(seed)
  height, width = rng.integers(40, 400, 2)
  pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
  stream = io.BytesIO()
  Image.fromarray(pixels).save(stream, "JPEG")
  return stream.getvalue()


def ask(port: int, data: bytes) -> tuple[int, float]:
  """Status and seconds of one request; -1 if the connection was lost."""
  start = time.perf_counter()
  client = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
  try:
    client.request("POST", "/v1/predict", data)
    response = client.getresponse()
    json.loads(response.read())
    status = response.status
  except ConnectionRefusedError:
    status = 0
  except (OSError, http.client.HTTPException, ValueError):
    status = -1
  finally:
    client.close()
  return status, time.perf_counter() - start


def resident(pid: int) -> float:
  """MiB of memory of a process."""
  for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
    if line.startswith("VmRSS"):
      return int(line.split()[1]) / 1024
  return 0.0


def main() -> None:
  """Runs the test and prints what happened."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--model_dir", required=True)
  parser.add_argument("--clients", type=int, default=200)
  parser.add_argument("--rounds", type=int, default=5)
  args = parser.parse_args()
  words = ["serve", f"--model_dir={args.model_dir}", "--port=0"]
  server = subprocess.Popen(
    [sys.executable, "-m", "inksight_jax", *words, "--timeout=300"],
    stdout=subprocess.PIPE,
    text=True,
  )
  assert server.stdout is not None
  port = int(server.stdout.readline().rsplit(":", 1)[1])
  files = [picture(seed) for seed in range(args.clients)]
  ask(port, files[0])
  with concurrent.futures.ThreadPoolExecutor(args.clients) as pool:
    for number in range(args.rounds):
      start = time.perf_counter()
      done = list(pool.map(lambda data: ask(port, data), files))
      seconds = time.perf_counter() - start
      times = sorted(t for _, t in done)
      print(
        f"round {number}: {sum(s == 200 for s, _ in done)} of {len(done)} "
        f"answered in {seconds:.1f} s, median {times[len(times) // 2]:.2f} s, "
        f"longest {times[-1]:.2f} s, server {resident(server.pid):.0f} MiB",
        flush=True,
      )
    asked = [pool.submit(ask, port, data) for data in files]
    concurrent.futures.wait(
      asked, return_when=concurrent.futures.FIRST_COMPLETED
    )
    server.send_signal(signal.SIGTERM)
    statuses = [future.result()[0] for future in asked]
  print(
    f"stopped in mid-round: {statuses.count(200)} answered, "
    f"{statuses.count(0)} refused at the door, {statuses.count(-1)} lost; "
    f"exit code {server.wait(60)}"
  )


if __name__ == "__main__":
  main()
