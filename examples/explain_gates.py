"""See what the gates of an SE network do on pictures: figures and a table.

    python examples/explain_gates.py --data pictures/ --model trained.keras
    python examples/explain_gates.py                 # trains on digits first, half a minute

--output gets excitations.png (figure 5 of the SENet paper), grad_cam.png and
sensitivity.png; the table says what accuracy is lost where the gates of a stage are replaced
by their mean. `keras-se explain` draws the same without a line of code.
"""

import keras
from small_network import load_pictures, parse_arguments, train

from keras_se import explain
from keras_se.explain import figures
from keras_se.training import split


def main() -> None:
    options = parse_arguments("See what the gates of a network do.", "explain-output")
    model = keras.saving.load_model(options.model) if options.model else None
    pictures = load_pictures(options.data, model.input_shape[1:3] if model else options.size)
    training, validation = split(pictures)  # the same split as in training, by its seed
    if model is None:
        model = train(training, options.epochs)
    some = slice(None, None, max(1, len(validation) // options.limit))
    pixels, labels, names = validation.images[some], validation.labels[some], pictures.class_names
    images = model.preprocess(pixels)

    # The values themselves: arrays of (pictures, channels).
    gates = explain.gates(model, images)
    for gate in gates.values():
        mean, spread = gate.values.mean(), gate.values.std(axis=0).mean()
        print(f"{gate.layer:28} mean {mean:.3f}, standard deviation over pictures {spread:.3f}")
    found = explain.sensitivity(model, images, labels)
    print(found)

    heat = {"Grad-CAM": explain.grad_cam(model, images[:4])}
    titles = [names[label] for label in labels[:4]]
    drawn = {
        "excitations": figures.excitations(gates, labels, names),
        "grad_cam": figures.overlays(pixels[:4], heat, titles, "share of the highest"),
        "sensitivity": figures.sensitivity_bars(found),
    }
    options.output.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        figure.savefig(options.output / f"{name}.png")
    print(f"the figures are in {options.output}")


if __name__ == "__main__":
    main()
