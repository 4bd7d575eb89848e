"""What words for operations are made of, and what each part says: the tables behind `metalcx.graphs.describe`."""

from __future__ import annotations

# What a part of a word says, by column. An operation may be of several kinds: `conv1x1-bn-relu` is three, and graph
# layers are what they do with their neighbours' messages (gat weighs them by attention, gin sums them for an MLP).
KINDS: dict[str, str] = {
    "input": "input",
    "output": "output",
    "identity": "identity id skip connect connection shortcut noop",
    "absent": "none zero zeroize absent",
    "conv": "conv convolution mbconv dwconv deconv lcn tcn",
    "linear": "linear fc dense mlp gin projection proj",
    "pool": "pool pooling",
    "norm": "norm bn ln gn rms normalize normalization lrn gcn",
    "activation": "activation act relu prelu rrelu crelu elu selu celu sigmoid sigm logistic tanh gelu silu swish mish "
    "softmax softmin softplus softsign logsigmoid glu hardtanh lif plif spike spiking",
    "attention": "attention attn mha gat transformer attend",
    "recurrent": "lstm gru rnn irnn vrnn ugrnn indrnn recurrent arma",
    "message": "gat gcn gin sage cheb arma graph message",
    "embedding": "embedding embed lookup",
    "dropout": "dropout drop droppath",
    "arithmetic": "elementwise add sum plus sub subtract mul prod product multiply div divide pow sqrt rsqrt square "
    "exp log abs sin cos tan sinh cosh atan erf sign round floor ceil clamp clip maximum minimum reciprocal cumsum "
    "gate",
    "concat": "concat concatenate cat stack",
    "blend": "blend lerp mix where select",
    "matmul": "matmul mm bmm einsum dot",
    "reduce": "reduce amax amin argmax argmin std var median any all",
    "resize": "interpolate upsample upsampling downsample resize unpool",
    "other": "other",
}
TRAITS: dict[str, str] = {
    "sum": "add sum plus sub subtract gin graph",
    "product": "mul prod product multiply div divide gate",
    "inverse": "sub subtract div divide",
    "average": "avg average mean sage",
    "extreme": "max maximum amax min minimum amin",
    "global": "global adaptive",
    "separable": "sep separable mbconv",
    "depthwise": "depthwise dw dwconv",
    "transposed": "transpose transposed deconv",
    "dilated": "dil dilated atrous",
    "squeeze": "se squeeze excitation",
    "spectral": "gcn cheb arma",
    "batch": "batch bn",
    "layer": "layer ln",
    "group": "group grouped gn",
    "instance": "instance",
    "rms": "rms",
    "relu": "relu prelu rrelu crelu",
    "leaky": "leaky prelu rrelu",
    "elu": "elu selu celu",
    "sigmoid": "sigmoid sigm logistic logsigmoid",
    "tanh": "tanh hardtanh",
    "gelu": "gelu",
    "swish": "silu swish",
    "softmax": "softmax softmin",
    "softplus": "softplus",
    "hard": "hard hardtanh",
    "logarithm": "log logsigmoid",
    "spiking": "lif plif spike spiking",
    "gated": "lstm gru ugrnn glu gate",
    "memory": "lstm",
}

# Parts that say nothing by themselves, such as what layers, operations and libraries are called in general.
FILLERS = "nor normal op layers block cell module nn functional multi head scaled self cross relative reduction"

# Parts whose columns fit others as well, so that the part itself is hashed too.
NAMED = (
    "mish softmin softsign selu celu rrelu crelu irnn vrnn ugrnn indrnn lrn tcn lcn pow sqrt rsqrt square exp abs sin "
    "cos tan sinh cosh atan erf sign round floor ceil clamp clip reciprocal cumsum min minimum amin argmax argmin std "
    "var median any all where einsum stack plif"
)

# Sizes: the attributes that give one, and the number of doublings that counts as 1.
SIZES: dict[str, tuple[str, float]] = {
    "kernel": ("kernel kernel_size filter_size pool_size", 3),
    "kernel_width": ("kernel_width", 3),
    "stride": ("stride strides", 2),
    "dilation": ("dilation dilations", 2),
    "groups": ("groups num_groups", 8),
    "expansion": ("expansion expand_ratio expand", 3),
    "heads": ("heads num_heads n_heads", 4),
    "layers": ("layers num_layers n_layers", 3),
    "directions": ("directions", 2),
    "in": ("in in_channels in_features", 10),
    "out": ("out out_channels out_features channels filters units hidden hidden_size features", 10),
    "depth": ("depth", 8),
    "height": ("height", 8),
    "width": ("width", 8),
    "level": ("level p rate threshold slope alpha", 2),
    "params": ("params", 20),
    "macs": ("macs", 30),
}

# Attributes whose text is read as the word is.
TEXTS = ("name", "activation", "act", "nonlinearity", "norm", "normalization", "aggregator", "mode", "type", "cell")

# A letter and a number in a word, such as the e6 of mbconv5x5_e6.
LETTERS = {
    "k": "kernel",
    "s": "stride",
    "d": "dilation",
    "g": "groups",
    "e": "expansion",
    "h": "heads",
    "l": "layers",
    "c": "out",
    "f": "out",
    "u": "out",
}
