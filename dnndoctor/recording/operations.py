"""Names of operations, in the field's terms, as recordings have them; by what they do."""

ACTIVATIONS = frozenset(
    "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish softplus softsign tanh sigmoid logsigmoid "
    "hardtanh hardsigmoid hardswish softmax log_softmax softmin threshold tanhshrink softshrink hardshrink glu "
    "clamp_relu".split()
)
WEIGHTED = frozenset(
    "linear bilinear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d embedding embedding_bag "
    "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell multi_head_attention_forward "
    "matmul mm bmm addmm baddbmm einsum mv".split()
)
NORMS = frozenset("batch_norm layer_norm group_norm instance_norm local_response_norm rms_norm normalize".split())
MODE_DEPENDENT = frozenset("dropout dropout1d dropout2d dropout3d feature_dropout alpha_dropout batch_norm".split())
DROPOUTS = frozenset(
    "dropout dropout1d dropout2d dropout3d feature_dropout alpha_dropout feature_alpha_dropout".split()
)
LOSSES = frozenset(
    "cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits mse_loss l1_loss smooth_l1_loss "
    "huber_loss kl_div poisson_nll_loss gaussian_nll_loss hinge_embedding_loss margin_ranking_loss ctc_loss "
    "cosine_embedding_loss triplet_margin_loss triplet_margin_with_distance_loss multi_margin_loss soft_margin_loss "
    "multilabel_margin_loss multilabel_soft_margin_loss".split()
)
CONVOLUTIONS = frozenset(name for name in WEIGHTED if name.startswith("conv"))
# What changes a tensor's shape, place or precision, or only masks it, on the way from one layer to the next.
SHAPE_ONLY = frozenset(
    "view reshape flatten squeeze unsqueeze transpose permute contiguous getitem expand expand_as chunk split unbind "
    "t T mT movedim swapaxes to float double half clone type select narrow unflatten repeat view_as reshape_as "
    "pad_packed_sequence data requires_grad dropout dropout1d dropout2d dropout3d feature_dropout alpha_dropout cpu "
    "cuda detach tile ravel index_select roll flip".split()
)
COSINES = frozenset(("normalize", "cosine_similarity"))
COPYING = frozenset(("detach", "data"))  # of a parameter: as much the way into a checkpoint as out of the graph
# What has no gradient as its values are whole numbers or truths.
DISCRETE = frozenset("argmax argmin multinomial bucketize long int short bool gt ge lt le greater less eq ne".split())
PICKING = frozenset(("argmax", "argmin"))  # the nearest of some codes
GATING = frozenset("mul matmul bmm mm einsum addcmul lerp where".split())
