"""The diagrams of the layer pages, in the notation of `figure_notation`."""

from itertools import pairwise

from figure_notation import figure


def _channel_gate(title, layers, last):
    """x times a gate from its spatial mean: `layers` under the mean, then `last`."""
    nodes = {"x": "0.2 0 tensor x|h x w x c", "mean": "1.7 0.9 op mean|over h, w"}
    names = ["mean"]
    for i, text in enumerate(layers):
        nodes[f"layer{i}"] = f"1.7 {1.9 + i} learned {text}"
        names.append(f"layer{i}")
    end = 1.9 + len(layers)
    nodes |= {
        "gate": f"1.7 {end} gate {last}",
        "times": f"0.2 {end} sign *",
        "y": f"0.2 {end + 1} tensor y|h x w x c",
    }
    names.append("gate")
    widths = ["1 x 1 x c", *(["1 x 1 x c/r"] if len(layers) == 2 else []), "1 x 1 x c"]
    flow = "; ".join(
        f"{a} -- {b}: {width}" for (a, b), width in zip(pairwise(names), widths, strict=True)
    )
    return figure(
        title, nodes, f"x -| mean; {flow}; x -- times; gate -- times: s [channel]; times -- y"
    )


FIGURES = {
    "squeeze-excite": _channel_gate(
        "Squeeze-and-Excitation", ["W₁, ReLU|c → c/r", "W₂|c/r → c"], "sigmoid"
    ),
    "eca": _channel_gate("Efficient Channel Attention", ["conv1d, k|along channels"], "sigmoid"),
    "effective-squeeze-excite": _channel_gate(
        "Effective Squeeze-and-Excitation", ["W|c → c"], "hard sigmoid"
    ),
    "cbam": figure(
        "CBAM: a channel gate, then a spatial gate",
        {
            "x": "0 0 tensor x|h x w x c",
            "mean": "1.05 0.95 op mean|over h, w",
            "max": "2.02 0.95 op maximum|over h, w",
            "mlp": "1.535 2 learned:290 W₁, ReLU, W₂, shared|c → c/r → c",
            "out": "1.05 2 none",
            "out2": "2.02 2 none",
            "plus": "1.535 2.85 sign +",
            "gate": "1.535 3.6 gate sigmoid",
            "times": "0 3.6 sign *",
            "pool": "1.535 4.6 op maximum, mean|over c",
            "conv": "1.535 5.6 learned conv 7 x 7, BN|2 → 1",
            "gate2": "1.535 6.6 gate sigmoid",
            "times2": "0 6.6 sign *",
            "y": "0 7.55 tensor y|h x w x c",
        },
        "x -| mean; x -| max; mean || mlp; max || mlp; out |- plus; out2 |- plus; plus -- gate;"
        "x -- times; gate -- times: m [channel]; times -- times2; times |- pool;"
        "pool -- conv: h x w x 2; conv -- gate2: h x w x 1; gate2 -- times2: m' [pixels];"
        "times2 -- y",
    ),
    "selective-kernel": figure(
        "Selective Kernel convolution with two branches",
        {
            "x": "1 0 tensor x|h x w x c",
            "conv1": "0 1.2 learned 3 x 3, BN, ReLU|groups",
            "conv2": "2 1.2 learned 3 x 3, BN, ReLU|groups, dilation 2",
            "plus": "1 1.95 sign +",
            "mean": "1 2.75 op mean|over h, w",
            "reduce": "1 3.7 learned W, BN, ReLU|c → d",
            "select": "1 4.65 learned A₁, A₂|d → 2c",
            "softmax": "1 5.6 gate softmax|over the branches",
            "times1": "0 5.6 sign *",
            "times2": "2 5.6 sign *",
            "sum": "1 6.55 sign +",
            "y": "1 7.4 tensor y|h x w x c",
        },
        "x -| conv1; x -| conv2; conv1 |- plus; conv2 |- plus; plus -- mean;"
        "mean -- reduce: 1 x 1 x c; reduce -- select: 1 x 1 x d; select -- softmax;"
        "conv1 -- times1: u₁; conv2 -- times2: u₂; softmax -- times1: a₁; softmax -- times2: a₂;"
        "times1 |- sum; times2 |- sum; sum -- y",
    ),
    "grouped-conv": figure(
        "A convolution in groups of channels, three of them drawn",
        {
            "x": "1 0 tensor x|h x w x c",
            "split": "1 1 op split|into groups",
            "a": "0 2.1 learned k x k|c/G → f/G",
            "b": "1 2.1 learned k x k|c/G → f/G",
            "c": "2 2.1 learned k x k|c/G → f/G",
            "join": "1 3.2 op concatenate",
            "y": "1 4.15 tensor y|h x w x f",
        },
        "x -- split; split -| a; split -- b; split -| c; a |- join; b -- join; c |- join;join -- y",
    ),
    "spatial-squeeze-excite": figure(
        "Spatial squeeze and excitation, sSE",
        {
            "x": "0.2 0 tensor x|h x w x c",
            "conv": "1.7 0.9 learned W|c → 1, at each pixel",
            "gate": "1.7 1.9 gate sigmoid",
            "times": "0.2 1.9 sign *",
            "y": "0.2 2.9 tensor y|h x w x c",
        },
        "x -| conv; conv -- gate: h x w x 1; x -- times; gate -- times: m [pixels]; times -- y",
    ),
    "concurrent-squeeze-excite": figure(
        "Concurrent spatial and channel squeeze and excitation, scSE",
        {
            "x": "1 0 tensor x|h x w x c",
            "se": "0 1.1 learned SE|a gate per channel",
            "sse": "2 1.1 learned sSE|a gate per pixel",
            "plus": "1 2.2 sign +",
            "y": "1 3.1 tensor y|h x w x c",
        },
        "x -| se; x -| sse; se |- plus: [channel]; sse |- plus: [pixels]; plus -- y",
    ),
    "gather-excite": figure(
        "Gather-Excite with parameters",
        {
            "x": "0.2 0 tensor x|h x w x c",
            "gather": "1.7 0.9 learned gather|log₂ e convs, stride 2",
            "excite": "1.7 2 learned W₁, ReLU, W₂|only in theta+",
            "gate": "1.7 3 gate sigmoid",
            "repeat": "1.7 4 op nearest|back to h x w",
            "times": "0.2 4 sign *",
            "y": "0.2 5 tensor y|h x w x c",
        },
        "x -| gather; gather -- excite: h/e x w/e x c; excite -- gate; gate -- repeat;"
        "x -- times; repeat -- times: [pixels]; times -- y",
    ),
    "global-context": figure(
        "Global Context",
        {
            "x": "0.2 0 tensor x|h x w x c",
            "mask": "1.7 0.9 learned Wₖ|c → 1, at each pixel",
            "softmax": "1.7 1.9 gate softmax|over h, w",
            "pool": "1.7 2.9 op weighted mean|of x, over h, w",
            "reduce": "1.7 3.9 learned W₁, LN, ReLU|c → c/r",
            "expand": "1.7 4.9 learned W₂|c/r → c",
            "plus": "0.2 4.9 sign +",
            "y": "0.2 5.9 tensor y|h x w x c",
        },
        "x -| mask; mask -- softmax: h x w x 1; softmax -- pool: a; x |- pool;"
        "pool -- reduce: 1 x 1 x c; reduce -- expand; x -- plus; expand -- plus; plus -- y",
    ),
    "coordinate-attention": figure(
        "Coordinate Attention",
        {
            "x": "0 0 tensor x|h x w x c",
            "mean_w": "1.05 0.95 op mean|over w",
            "mean_h": "2.02 0.95 op mean|over h",
            "reduce": "1.535 2 learned:290 W₁, BN, h-swish, shared|c → d",
            "rows": "1.05 3.05 learned Wₕ for rows|d → c",
            "columns": "2.02 3.05 learned W for columns|d → c",
            "gate": "1.05 4.1 gate sigmoid",
            "gate2": "2.02 5.2 gate sigmoid",
            "times": "0 4.1 sign *",
            "times2": "0 5.2 sign *",
            "y": "0 6.15 tensor y|h x w x c",
        },
        "x -| mean_w; x -| mean_h; mean_w || reduce; mean_h || reduce; reduce || rows;"
        "reduce || columns; rows -- gate: h x 1 x c; columns -- gate2: 1 x w x c; x -- times;"
        "gate -- times: [rows]; times -- times2; gate2 -- times2: [columns]; times2 -- y",
    ),
    "bam": figure(
        "Bottleneck Attention Module",
        {
            "x": "0 0 tensor x|h x w x c",
            "mean": "1.05 0.95 op mean|over h, w",
            "conv": "2.02 0.95 learned 1 x 1, BN, ReLU|c → c/r",
            "reduce": "1.05 2 learned W₀, BN, ReLU|c → c/r",
            "dilated": "2.02 2 learned two of 3 x 3|dilation d",
            "expand": "1.05 3.05 learned W₁, BN|c/r → c",
            "point": "2.02 3.05 learned 1 x 1, BN|c/r → 1",
            "plus": "1.535 3.9 sign +",
            "gate": "1.535 4.85 gate 1 + sigmoid",
            "times": "0 4.85 sign *",
            "y": "0 5.8 tensor y|h x w x c",
        },
        "x -| mean; x -| conv; mean -- reduce; conv -- dilated; reduce -- expand;"
        "dilated -- point; expand |- plus; point |- plus; plus -- gate: h x w x c; x -- times;"
        "gate -- times: [pixels]; times -- y",
    ),
    "spatial-transformer": figure(
        "Spatial Transformer",
        {
            "x": "0.2 0 tensor x|h x w x c",
            "net": "1.7 0.9 learned localisation|a small network",
            "theta": "1.7 1.9 learned W, b|n → 6",
            "grid": "1.7 2.9 op grid|θ (xₜ, yₜ, 1)",
            "sample": "0.2 2.9 op bilinear|sampling",
            "y": "0.2 3.9 tensor y|h' x w' x c",
        },
        "x -| net; net -- theta: n; theta -- grid: θ, 2 x 3; x -- sample; grid -- sample;"
        "sample -- y",
    ),
    "residual-tail": figure(
        "ResidualTail",
        {
            "u": "0 0 tensor u|h x w x c",
            "shortcut": "1.75 3 tensor shortcut|",
            "norm": "0 1 learned BatchNorm",
            "gate": "0 2 gate gate|se, eca, cbam, …",
            "plus": "0 3 sign +",
            "act": "0 3.9 op ReLU",
            "y": "0 4.9 tensor y|h x w x c",
        },
        "u -- norm; norm -- gate; gate -- plus; shortcut -- plus; plus -- act; act -- y",
    ),
}
