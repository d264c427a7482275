"""What a training run does: one frozen value, from flags, a TOML file and a preset."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from .checks import check_values, fractions, network_options, plain

NO_PART_OF_THE_RESULT = (
    "output",
    "overwrite",
    "verbose",
    "tensorboard",
    "devices",
    "checkpoint_steps",
)


@dataclass(frozen=True)
class FitSettings:
    """The settings of `fit`; the values that stand here are the preset "default".

    Attributes:
        data: a folder of pictures, PNG and JPEG (one folder per class; or train/ and one of
            val/, valid/, validation/ and test/, each with one folder per class; other files
            are passed over), "cifar10", "cifar100",
            "mnist", "fashion_mnist", "tfds:NAME" (TensorFlow Datasets: NAME/CONFIG:VERSION
            too, and #TRAINING,VALIDATION of its splits; else "train" with "validation" or
            "test"), or an .npz file with x_train, y_train and perhaps x_val, y_val, class_names
            (pixels as uint8, (n, h, w, 3)).
        output: folder for the checkpoint, the models, the log and the pictures.
        model: name in `keras_se.applications`, or a .keras file.
        weights: what the constructor of `model` takes: None, "imagenet", a file.
        model_options: further arguments of the constructor, such as depth or attention.
        image_size: height and width in pixels; None takes the network's own, for networks of
            small pictures that of the pictures themselves, from 32 to 64.
        epochs: None makes about 2,500 steps: at least 15 epochs, at most 60.
        batch_size: pictures in a step, on all devices together.
        head_epochs: of the epochs, those that train the classifier alone, at the start.
        frozen_epochs: of the epochs, those with frozen BatchNorm, at the end.
        optimizer: "sgd" (`L2SGD`), "adamw" or "lamb" (Keras').
        base_learning_rate: the highest learning rate of a batch of 256, scaled linearly.
        head_learning_rate: the same for the classifier alone.
        schedule: "cosine", or "step": times 0.1 at each of `decay_at`.
        decay_at: parts of the run, in (0, 1).
        warmup: part of the run in which the learning rate rises.
        momentum, nesterov: of "sgd".
        weight_decay: see `L2SGD`; with "adamw" and "lamb" the decoupled one of Keras.
        clip_norm: largest norm of all gradients together; 0 does not clip.
        ema: momentum of the moving average of the weights, which is validated and saved, over
            about the last 1 / (1 - ema) steps; 0 takes none. BatchNorm's statistics are the
            current ones, as with `keras.callbacks.SwapEMAWeights`.
        loss: "crossentropy", or "binary" for one sigmoid per class, of which those count as
            shown that MixUp or CutMix took more than a fifth of the picture from.
        label_smoothing: see `SmoothedCrossentropy` and `SmoothedBinaryCrossentropy`.
        crop: "padded": a shifted crop of the padded picture; "resized": a random part of
            the picture, enlarged; "none".
        crop_area: the smallest part of the area that "resized" takes.
        flip: whether pictures are mirrored at random.
        randaugment_ops: operations of RandAugment on every picture; 0 takes none.
        randaugment_strength: in [0, 1), a tenth of the papers' magnitude M.
        color_jitter: strength of `keras.layers.RandomColorJitter`, in [0, 1).
        mixup: alpha of `keras.layers.MixUp`, in [0, 1]; 0 mixes none.
        cutmix: alpha of CutMix's Beta distribution, in [0, 1]; 0 cuts none. With both, one per
            batch.
        validation: part of every class that is set aside, where there is no val/ folder.
        validation_crop: part of the picture's short side that validation sees.
        seed: of the split, the weights, the order and the augmentation.
        precision: what the network computes in; see `set_precision`.
        jit: "auto" (Keras' rule), "on", "off".
        checkpoint_steps: save the state every so many steps too; 0 at ends of epochs only.
        devices: of this machine, that share every batch; 0 takes all. See
            `keras_se.training.distributed`.
        tensorboard: whether to write event files for TensorBoard.
        overwrite: start anew where `output` holds a complete run, one with other settings or
            pictures, or files that no run has left there. One of the same settings that was
            interrupted is resumed.
        verbose: 0 silent, 1 a progress bar, 2 one line per epoch.

    Raises:
        ValueError: if a value is out of its range.

    >>> FitSettings("pictures", epochs=3).batch_size
    64
    """

    data: str
    output: Path = Path("train-output")
    model: str = "SEResNetCIFAR"
    weights: str | None = None
    model_options: Mapping = field(default_factory=dict)
    image_size: int | None = None
    epochs: int | None = None
    batch_size: int = 64
    head_epochs: int = 0
    frozen_epochs: int = 0
    optimizer: str = "sgd"
    base_learning_rate: float = 0.4  # 0.1 for a batch of 64
    head_learning_rate: float = 0.1
    schedule: str = "cosine"
    decay_at: tuple[float, ...] = (0.3, 0.6, 0.9)
    warmup: float = 0.05
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    clip_norm: float = 0.0
    ema: float = 0.0
    loss: str = "crossentropy"
    label_smoothing: float = 0.1
    crop: str = "padded"
    crop_area: float = 0.08
    flip: bool = True
    randaugment_ops: int = 0
    randaugment_strength: float = 0.5
    color_jitter: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    validation: float = 0.1
    validation_crop: float = 1.0
    seed: int = 0
    precision: str = "float32"
    jit: str = "auto"
    checkpoint_steps: int = 0
    devices: int = 1
    tensorboard: bool = False
    overwrite: bool = False
    verbose: int = 0

    def __post_init__(self):
        for one in fields(self):
            object.__setattr__(self, one.name, plain(one.name, getattr(self, one.name)))
        object.__setattr__(self, "output", Path(self.output))
        object.__setattr__(self, "decay_at", fractions(self.decay_at))
        object.__setattr__(self, "model_options", network_options(self.model_options))
        check_values(self)
        if self.epochs is not None:
            self.check_epochs(self.epochs)

    def check_epochs(self, epochs: int) -> None:
        """Raise unless the epochs of the head and the frozen ones leave some between them."""
        if self.head_epochs + self.frozen_epochs >= epochs:
            raise ValueError(
                "A run needs epochs besides those of the head and those with frozen BatchNorm. "
                f"Received: epochs={epochs}, head_epochs={self.head_epochs}, "
                f"frozen_epochs={self.frozen_epochs}"
            )

    @property
    def resolved_size(self) -> int:
        """`image_size`, which `fit` resolves before the first picture is read."""
        return _resolved("image_size", self.image_size)

    @property
    def resolved_epochs(self) -> int:
        """`epochs`, which `fit` resolves before the first picture is read."""
        return _resolved("epochs", self.epochs)

    def facts(self) -> dict:
        """What decides the weights at the end, for comparing two runs."""
        values = asdict(self) | {"decay_at": list(self.decay_at)}
        return {name: value for name, value in values.items() if name not in NO_PART_OF_THE_RESULT}


def _resolved(name: str, value: int | None) -> int:
    if value is None:
        raise ValueError(f"`{name}` is not resolved yet. Received: {name}=None")
    return value
