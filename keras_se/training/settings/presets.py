"""Recipes by name: values of `FitSettings` that differ from its defaults.

Learning rates are those of a batch of 256; `fit` scales them linearly to the batch size, so
that the rate in the source is base_learning_rate * batch_size / 256.
"""

# What `keras-se train --data DIR` does, with SE-ResNet-20 (Hu et al., table 6): Nesterov SGD
# at 0.1 for a batch of 64, cosine, label smoothing 0.1 (bag of tricks,
# https://arxiv.org/abs/1812.01187), weight decay 5e-4, padded crops and flips.
# Measured: 5,000 pictures of CIFAR-10 (500 of a class; 500 set aside), 36 epochs, one seed,
# interrupted once: 71.5 % of 5,000 test pictures; 25 minutes on two busy cores.
DEFAULT: dict = {}

# Hu et al., section 5.1, https://arxiv.org/abs/1709.01507: momentum 0.9, batch 1024, learning
# rate 0.6 divided by 10 every 30 epochs, 100 epochs, random-size crops of 224 and flips;
# weight decay 1e-4 and no warm-up (the authors' training files).
# Expected: ImageNet top-1 error of SE-ResNet-50 23.29 % (table 2), ResNet-50 24.80 %.
PAPER = {
    "model": "SEResNet50",
    "image_size": 224,
    "epochs": 100,
    "batch_size": 1024,
    "base_learning_rate": 0.15,
    "schedule": "step",
    "decay_at": (0.3, 0.6, 0.9),
    "warmup": 0.0,
    "nesterov": False,
    "weight_decay": 1e-4,
    "label_smoothing": 0.0,
    "crop": "resized",
    "validation_crop": 0.875,
}

# Wightman et al., ResNet strikes back, table 2, https://arxiv.org/abs/2110.00476: LAMB, batch
# 2048, binary cross-entropy, cosine, 5 epochs of warm-up, RandAugment, MixUp and CutMix.
# Left out: stochastic depth 0.05 and repeated augmentation (A1, A2). RandAugment is timm's, its
# magnitudes 7 and 6 of 10 are strengths of 0.7 and 0.6. Keras' LAMB decays weights outside of the
# trust ratio.
# Expected, of the original: ImageNet top-1 of ResNet-50 80.4 %, 79.8 % and 78.1 %.
A1 = {
    "model": "SEResNet50",
    "image_size": 224,
    "epochs": 600,
    "batch_size": 2048,
    "optimizer": "lamb",
    "base_learning_rate": 6.25e-4,  # 5e-3
    "warmup": 5 / 600,
    "weight_decay": 0.01,
    "loss": "binary",
    "label_smoothing": 0.1,
    "crop": "resized",
    "randaugment_ops": 2,
    "randaugment_strength": 0.7,
    "mixup": 0.2,
    "cutmix": 1.0,
    "validation_crop": 0.95,
}
A2 = A1 | {
    "epochs": 300,
    "warmup": 5 / 300,
    "weight_decay": 0.02,
    "label_smoothing": 0.0,
    "mixup": 0.1,
}
A3 = A2 | {
    "image_size": 160,  # the original is validated at 224
    "epochs": 100,
    "base_learning_rate": 1e-3,  # 8e-3
    "warmup": 5 / 100,
    "randaugment_strength": 0.6,
}

# Two stages, as in https://keras.io/guides/transfer_learning/: the classifier on the frozen
# network, then all weights at a lower rate. The optimizer and the range of rates are those of
# Kornblith et al., https://arxiv.org/abs/1805.08974, appendix A.5.
# Expected: no published figure for this very recipe; it is meant for hundreds to some ten
# thousand pictures of one's own.
FINETUNE = {
    "model": "SEResNet50",
    "weights": "imagenet",
    "image_size": 224,
    "epochs": 15,
    "batch_size": 32,
    "head_epochs": 3,
    "frozen_epochs": 2,
    "base_learning_rate": 0.05,
    "head_learning_rate": 0.4,
    "weight_decay": 1e-4,
    "clip_norm": 1.0,
    "crop": "resized",
    "crop_area": 0.35,
    "color_jitter": 0.2,
    "validation_crop": 0.875,
}

# He et al., section 4.2, https://arxiv.org/abs/1512.03385, which Hu et al., table 6, follow:
# batch 128, learning rate 0.1 divided by 10 at half and three quarters of 64,000 steps (164
# epochs of 50,000 pictures), weight decay 1e-4, 4 pixels of padding and flips.
# Expected, test error on CIFAR-10: ResNet-20 8.75 %, ResNet-110 6.37 %, SE-ResNet-110 5.21 %.
CIFAR = {
    "model_options": {"depth": 20},
    "image_size": 32,
    "epochs": 164,
    "batch_size": 128,
    "base_learning_rate": 0.2,
    "schedule": "step",
    "decay_at": (0.5, 0.75),
    "warmup": 0.0,
    "nesterov": False,
    "weight_decay": 1e-4,
    "label_smoothing": 0.0,
}

PRESETS: dict[str, dict] = {
    "default": DEFAULT,
    "paper": PAPER,
    "a1": A1,
    "a2": A2,
    "a3": A3,
    "finetune": FINETUNE,
    "cifar": CIFAR,
}
