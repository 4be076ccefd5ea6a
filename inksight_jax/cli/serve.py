"""`inksight-jax serve`: a trained model behind HTTP."""

from __future__ import annotations

import argparse

from inksight_jax.cli.options import step_option, weights_option

HELP = "answer pictures over HTTP"
DESCRIPTION = """\
Serve a trained model: POST a picture to /v1/predict, ask /healthz whether the
server is well. Requests are answered in batches. SIGTERM or Ctrl-C stops it,
after what was accepted is answered. It knows neither users nor TLS: put it
behind a proxy that does. See docs/export.md.
"""
EPILOG = """\
examples:
  inksight-jax serve --model_dir=runs/mine --port=8080
  curl --data-binary @word.jpg 'http://127.0.0.1:8080/v1/predict?task=derender'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `serve`."""
  parser.add_argument(
    "--model_dir", required=True, metavar="DIR", help="a trained model"
  )
  parser.add_argument(
    "--host",
    default="127.0.0.1",
    help="address to listen at; 0.0.0.0 for all (default: %(default)s)",
  )
  parser.add_argument(
    "--port", type=int, default=8080, help="(default: %(default)s; 0: any)"
  )
  parser.add_argument(
    "--task", default="", help="of requests that name none (default: the first)"
  )
  parser.add_argument(
    "--batch_size",
    type=int,
    default=16,
    metavar="N",
    help="images decoded together (default: %(default)s)",
  )
  for name, kind, default, text in (
    ("max_megabytes", float, 10.0, "largest picture file"),
    ("max_megapixels", float, 20.0, "largest decoded picture"),
    ("timeout", float, 60.0, "seconds until a request is given up"),
    ("queue_size", int, 512, "requests that may wait; more get 503"),
  ):
    parser.add_argument(
      f"--{name}",
      type=kind,
      default=default,
      metavar="N",
      help=f"{text} (default: %(default)s)",
    )
  weights_option(parser)
  step_option(parser)
  parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
  """Serves until it is told to stop; returns the exit code."""
  from inksight_jax.inference import predictor
  from inksight_jax.serving.server import Limits, Server

  limits = Limits(
    max_bytes=int(args.max_megabytes * 1e6),
    max_pixels=int(args.max_megapixels * 1e6),
    timeout=args.timeout,
    queue_size=args.queue_size,
  )
  model = predictor.load(
    args.model_dir, args.step, args.batch_size, weights=args.weights
  )
  server = Server(model, args.host, args.port, limits, args.task)
  host, port = server.server_address[:2]
  print(f"serving on http://{host!s}:{port}", flush=True)
  server.run()
  print("stopped; every accepted request was answered", flush=True)
  return 0
