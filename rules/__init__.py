"""The practices that dnndoctor stands for: one folder each, one rule per file."""

PRACTICES = {
    "training-data": "Training data",
    "activation-functions": "Activation functions",
    "weight-initialization": "Weight initialization",
    "learning-rate": "Learning rate",
    "learning-method": "Learning method",
    "power-of-two-dimensions": "Power-of-two dimensions",
    "batch-size": "Mini-batch and batch size",
    "shuffling": "Shuffling",
    "regularization": "Dropout and regularization",
    "hardware": "Hardware",
    "gradients": "Gradients",
    "loss": "Losses",
    "numerics": "Numerics",
    "training-loop": "The training loop",
}
