"""Convert a network by several recipes, compare the files on pictures, keep one for the phone.

    python examples/quantize.py --data pictures/ --model trained.keras
    python examples/quantize.py                      # trains on digits first, half a minute

Every file is run in the LiteRT interpreter on pictures that were not trained on. --output
gets the int8 file, which takes raw pixels and carries its labels: MediaPipe, the code in
examples/android and examples/ios, and examples/label_image.py run it as it is.
"""

import keras
from small_network import load_pictures, parse_arguments, train

from keras_se import tflite
from keras_se.training import split

RECIPES = ("float32", "float16", "dynamic_int8", "static_int8")


def main() -> None:
    options = parse_arguments("Compare converted files of a network.", "quantize-output")
    model = keras.saving.load_model(options.model) if options.model else None
    pictures = load_pictures(options.data, model.input_shape[1:3] if model else options.size)
    training, validation = split(pictures)  # the same split as in training, by its seed
    if model is None:
        model = train(training, options.epochs)
    # Every n-th picture: they are sorted by class.
    calibration = training.images[:: max(1, len(training) // options.limit)]
    some = slice(None, None, max(1, len(validation) // options.limit))
    pixels, labels = validation.images[some], validation.labels[some]

    print(f"{'recipe':14} {'bytes':>10} {'accuracy':>9} {'agreement':>10} {'SNR dB':>7} {'ms':>7}")
    for recipe in RECIPES:
        file = tflite.convert(
            model,
            recipe,
            calibration,
            preprocess=model.preprocess,  # the normalisation goes into the file
            labels=pictures.class_names,
        )
        found = tflite.compare(model, file.model, pixels, labels, preprocess=model.preprocess)
        print(
            f"{recipe:14} {found.size_bytes:10,} {found.file_accuracy:9.1%} "
            f"{found.agreement:10.1%} {found.snr_db:7.1f} {found.latency_ms:7.3f}"
        )
    print(f"the Keras model: {found.float_accuracy:.1%} of {found.images} pictures\n")

    print(f"{file.recipe.name}, on the pictures of the calibration:\n{file.report}\n")
    options.output.mkdir(parents=True, exist_ok=True)
    path = file.save(options.output / "model_int8.tflite", overwrite=True)
    print(f"{path} takes {file.report.io} pixels and names {', '.join(tflite.read_labels(path))}")


if __name__ == "__main__":
    main()
