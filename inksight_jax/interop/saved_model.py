"""TensorFlow SavedModels that take picture files and prompts.

Signatures: `serving_default`, that of InkSight's published model, and `ink`,
whose answers need no parsing. See docs/export.md.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from inksight_jax.inference.decoder import compiled_size
from inksight_jax.interop import graph_pictures, graph_text
from inksight_jax.interop.lowering import Lowered, lower
from inksight_jax.text.codecs import EOS_ID, PAD_ID

if TYPE_CHECKING:
  from inksight_jax.inference.predictor import Predictor

Tensor = Any

TEXT_INPUT = "input_text"
IMAGE_INPUT = "image/encoded"
OUTPUT = "output_0"


def save_saved_model(
  predictor: Predictor,
  directory: str | os.PathLike[str],
  weights: str = "float32",
) -> None:
  """Writes saved_model.pb and variables/.

  Args:
    predictor: what to export; its `batch_size` is the largest batch that the
      graph decodes together.
    directory: made if absent.
    weights: "float32" or "bfloat16", how parameters are stored.

  Raises:
    ValueError: TensorFlow is absent, or see `lower`.
  """
  try:
    import tensorflow as tf
  except ImportError as error:
    raise ValueError(
      "Writing a SavedModel needs TensorFlow: "
      "pip install 'inksight-jax[tensorflow]'."
    ) from error

  inputs = [
    tf.TensorSpec([None], tf.string, name=TEXT_INPUT),
    tf.TensorSpec([None, 1], tf.string, name=IMAGE_INPUT),
  ]
  graph = _Graph(predictor, lower(predictor, weights), inputs)
  module: Any = tf.Module()
  # The module owns what the signatures use.
  module.weights = graph.weights
  module.text = graph.text_resources
  serve = tf.function(graph.serve, input_signature=inputs, autograph=False)
  ink = tf.function(graph.ink, input_signature=inputs, autograph=False)
  tf.saved_model.save(
    module,
    os.fspath(directory),
    signatures={"serving_default": serve, "ink": ink},
  )


class _Graph:
  """What the signatures do."""

  def __init__(
    self, predictor: Predictor, lowered: Lowered, inputs: list[Any]
  ) -> None:
    import tensorflow as tf

    self._tasks = predictor.tasks
    self._eos_id = predictor.decoder.config.eos_id
    self._batch_size = predictor.batch_size
    self._lowered = lowered
    # One function, which both signatures call: a file holds it once.
    self._answers = tf.function(
      self._answer, input_signature=inputs, autograph=False
    )
    self._text = graph_text.graph_text(self._tasks.vocabulary.text)
    self.text_resources = self._text.resources
    make_variable: Any = tf.Variable
    self.weights = [
      # TensorFlow takes no "+" in names, as joined kernels have.
      make_variable(array, trainable=False, name=name.replace("+", "-"))
      for name, array in zip(lowered.names, lowered.weights, strict=True)
    ]

  def serve(self, input_text: Tensor, image_encoded: Tensor) -> dict[str, Any]:
    """InkSight's signature: one string for each picture."""
    import tensorflow as tf

    answers, _ = self._answers(input_text, image_encoded)
    written = self._written_text(answers)
    ink = self._tasks.vocabulary.ink
    if ink is not None:
      tokens = graph_text.write_ink(
        answers["points"],
        answers["strokes"],
        answers["point_count"],
        ink.canvas,
      )
      written = tf.strings.join([written, tokens])
    return {OUTPUT: written[:, tf.newaxis]}

  def ink(self, input_text: Tensor, image_encoded: Tensor) -> dict[str, Any]:
    """Everything known about each answer."""
    import tensorflow as tf

    answers, placement = self._answers(input_text, image_encoded)
    lengths = answers["lengths"]
    total = tf.reduce_sum(answers["log_probs"], axis=1)
    mean = total / tf.cast(tf.maximum(lengths, 1), tf.float32)
    outputs = {
      "text": self._written_text(answers),
      "confidence": tf.where(lengths > 0, tf.exp(mean), 0.0),
      "ended": tf.reduce_any(answers["tokens"] == self._eos_id, axis=1),
      "tokens": answers["tokens"],
      "log_probs": answers["log_probs"],
      "token_count": lengths,
    }
    if self._tasks.vocabulary.ink is None:
      return outputs
    strokes, count = answers["strokes"], answers["point_count"]
    points = tf.cast(answers["points"], tf.float64)
    points *= max(self._tasks.image_shape) / self._tasks.canvas
    points = points - placement[:, tf.newaxis, 1:]
    points = tf.cast(points / placement[:, tf.newaxis, :1], tf.float32)
    written = (strokes >= 0)[:, :, tf.newaxis]
    return outputs | {
      "points": tf.where(written, points, 0.0),
      "point_count": count,
      "strokes": strokes,
      "stroke_count": tf.reduce_max(strokes, axis=1) + 1,
    }

  def _answer(
    self, texts: Tensor, encoded: Tensor
  ) -> tuple[dict[str, Tensor], Tensor]:
    """Outputs of the program, and float64[batch, 3] scale and offset."""
    import tensorflow as tf

    same = tf.debugging.assert_equal(
      tf.shape(texts)[0],
      tf.shape(encoded)[0],
      "Each picture needs its prompt: the batches differ.",
    )
    with tf.control_dependencies([same] if same is not None else []):
      texts = tf.identity(texts)
    images, placement = self._pictures(encoded[:, 0])
    inputs = {"image": images}
    if self._tasks.prompt_length:
      inputs["prompt"] = self._prompts(texts)
    inputs["writes_text"], inputs["writes_ink"] = self._form(texts)
    inputs = {name: inputs[name] for name in self._lowered.inputs}
    return self._in_batches(inputs, tf.shape(texts)[0]), placement

  def _pictures(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
    import tensorflow as tf

    tasks = self._tasks
    size = tasks.image_shape

    def fit(data: Tensor) -> tuple[Tensor, Tensor]:
      frame = graph_pictures.letterbox(
        graph_pictures.read_picture(data), size, *tasks.fitting
      )
      place = tf.concat([frame.scale[tf.newaxis], frame.offset], axis=0)
      return frame.image, tf.ensure_shape(place, [3])

    return tf.map_fn(
      fit,
      encoded,
      fn_output_signature=(
        tf.TensorSpec((*size, 3), tf.uint8),
        tf.TensorSpec((3,), tf.float64),
      ),
    )

  def _prompts(self, texts: Tensor) -> Tensor:
    import tensorflow as tf

    room = self._tasks.prompt_length
    ids = self._text.encode(texts)
    longest = tf.reduce_max(
      tf.concat([tf.cast(ids.row_lengths(), tf.int32), [0]], axis=0)
    )
    fits = tf.debugging.Assert(
      longest <= room,
      [f"A prompt is too long; this model takes {room} tokens. Got:", longest],
    )
    with tf.control_dependencies([fits]):
      return ids.to_tensor(PAD_ID, shape=[None, room])

  def _form(self, texts: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each answer begins with text and ends with ink.

    A prompt of no task leaves both open.
    """
    import tensorflow as tf

    tasks = self._tasks
    infos = [tasks.info(task) for task in tasks.tasks]
    if not tasks.prompt_length:
      # No prompt tells the tasks apart: what any of them writes.
      text = tf.fill(tf.shape(texts), any(i.writes_text for i in infos))
      ink = tf.fill(tf.shape(texts), any(i.writes_ink for i in infos))
      return text, ink
    text = tf.ones_like(texts, tf.bool)
    ink = tf.ones_like(texts, tf.bool)
    for info in infos:
      known = texts == info.prompt
      if info.text_in_prompt:
        start = tf.strings.substr(texts, 0, len(info.prompt.encode()))
        known = start == info.prompt
      text = tf.where(known, info.writes_text, text)
      ink = tf.where(known, info.writes_ink, ink)
    return text, ink

  def _in_batches(
    self, inputs: dict[str, Tensor], count: Tensor
  ) -> dict[str, Tensor]:
    """Runs the program on rows filled up as the predictor fills them."""
    import tensorflow as tf

    largest = self._batch_size
    sizes = tf.constant(
      [0, *(compiled_size(n, largest) for n in range(1, largest + 1))]
    )
    shapes = self._lowered.exported.out_avals
    arrays = [
      tf.TensorArray(
        tf.as_dtype(a.dtype),
        size=0,
        dynamic_size=True,
        infer_shape=False,
        element_shape=[None, *a.shape[1:]],
      )
      for a in shapes
    ]

    def run(first: Tensor, turn: Tensor, arrays: list[Any]) -> Any:
      rows = tf.minimum(largest, count - first)
      places = tf.range(sizes[rows])
      places = first + tf.where(places < rows, places, 0)
      batch = [tf.gather(inputs[name], places) for name in self._lowered.inputs]
      outputs = self._call(batch)
      arrays = [
        array.write(turn, output[:rows])
        for array, output in zip(arrays, outputs, strict=True)
      ]
      return first + rows, turn + 1, arrays

    _, _, arrays = tf.while_loop(
      lambda first, *_: first < count,
      run,
      (tf.constant(0), tf.constant(0), arrays),
      parallel_iterations=1,
    )
    outputs = [array.concat() for array in arrays]
    for output, shape in zip(outputs, shapes, strict=True):
      output.set_shape([None, *shape.shape[1:]])
    return dict(zip(self._lowered.outputs, outputs, strict=True))

  def _call(self, batch: list[Tensor]) -> list[Tensor]:
    """The JAX program as one TensorFlow operation."""
    import tensorflow as tf
    from tensorflow.compiler.tf2xla.ops import gen_xla_ops

    exported = self._lowered.exported
    flat = [*self.weights, *batch]
    call: Any = gen_xla_ops.xla_call_module
    return call(
      [tf.convert_to_tensor(flat[i]) for i in exported.module_kept_var_idx],
      version=exported.calling_convention_version,
      module=exported.mlir_module_serialized,
      Sout=[tf.TensorShape([None, *a.shape[1:]]) for a in exported.out_avals],
      Tout=[tf.as_dtype(a.dtype) for a in exported.out_avals],
      platforms=[p.upper() for p in exported.platforms],
    )

  def _written_text(self, answers: dict[str, Tensor]) -> Tensor:
    """string[batch]; the text ids before EOS, decoded together."""
    import tensorflow as tf

    tokens = answers["tokens"]
    vocabulary = self._tasks.vocabulary
    is_end = tf.cast(tokens == EOS_ID, tf.int32)
    before_end = tf.cumsum(is_end, axis=1) == 0
    is_text = (tokens > PAD_ID) & (tokens < vocabulary.ink_offset)
    return self._text.decode(
      tf.ragged.boolean_mask(tokens, before_end & is_text)
    )
