"""How the outputs of a .tflite file differ from those of its Keras model."""

import math
from dataclasses import asdict, dataclass

from ...names import counted
from ..inputs.normalisation import RAW_PIXELS

LOW_SNR_DB = 10.0  # below it, a comparison warns


@dataclass(frozen=True)
class Comparison:
    """How a file's outputs differ from the Keras model's on the same images.

    Attributes:
        images: number of images.
        agreement: share of images with the same top-1 class; None unless the output is one
            row of at least two classes, or one sigmoid, of which there are two.
        float_accuracy, file_accuracy: top-1 accuracy of the Keras model and of the file;
            None without labels.
        snr_db: 10 log10(sum ref^2 / sum (ref - file)^2) over the dequantized outputs of all
            images, in dB; infinite when they are equal.
        max_abs_error, mean_abs_error: of the same values.
        measured_on: "logits" where the model ends in a softmax or sigmoid, else "outputs":
            what the three figures above are about.
        latency_ms: median time of one image in the file, batch 1.
        keras_latency_ms: median time of one call of the Keras model, batch 1, all threads,
            with the overhead of the call.
        runs: invocations behind `latency_ms`.
        num_threads: threads behind `latency_ms`.
        size_bytes: size of the file.
        only_class: the class that the Keras model gives to all images, where it is one for
            several: its name, or its number.
        no_accuracy: why images in folders have no accuracy; or None.
        unnormalised: whether pictures of a directory reached as raw pixels a model in which no
            layer is known to normalise them.
    """

    images: int
    agreement: float | None
    float_accuracy: float | None
    file_accuracy: float | None
    snr_db: float
    max_abs_error: float
    mean_abs_error: float
    measured_on: str
    latency_ms: float
    keras_latency_ms: float
    runs: int
    num_threads: int
    size_bytes: int
    only_class: str | None = None
    no_accuracy: str | None = None
    unnormalised: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against relying on the figures, a sentence each."""
        found = []
        if self.unnormalised:
            found.append(RAW_PIXELS)
        if self.only_class is not None:
            found.append(
                f"the model answers {self.only_class!r} for all {self.images} images: agreement "
                "says little"
            )
        if self.snr_db < LOW_SNR_DB:
            found.append(
                f"an SNR below {LOW_SNR_DB:.0f} dB: the error has more than a tenth of the power "
                f"of the {self.measured_on}"
            )
        return tuple(found)

    def to_dict(self) -> dict:
        """The fields as a JSON-able dictionary; an infinite or undefined number as a string."""
        return {
            key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(self).items()
        } | {"warnings": list(self.warnings)}

    def __str__(self) -> str:
        lines = [f"{counted(self.images, 'image')}, {self.measured_on} compared"]
        if self.agreement is not None:
            lines.append(f"top-1 agreement  {self.agreement:.2%}")
        if self.file_accuracy is not None:
            lines.append(
                f"top-1 accuracy   {self.file_accuracy:.2%} (Keras {self.float_accuracy:.2%})"
            )
        if self.no_accuracy is not None:
            lines.append(f"top-1 accuracy   left out: {self.no_accuracy}")
        lines += [
            f"SNR              {self.snr_db:.1f} dB",
            f"absolute error   {self.max_abs_error:.3g} max, {self.mean_abs_error:.3g} mean",
            f"latency          {self.latency_ms:.3f} ms (median of {counted(self.runs, 'run')}, "
            f"{counted(self.num_threads, 'thread')}; "
            f"Keras {self.keras_latency_ms:.3f} ms)",
            f"size             {self.size_bytes} bytes",
            *(f"warning: {warning}" for warning in self.warnings),
        ]
        return "\n".join(lines)
