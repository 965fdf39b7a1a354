"""The practices that dnndoctor stands for: one folder each, one rule per file."""

PRACTICES = {
    "training-data": "Training data",
    "activation-functions": "Activation functions",
    "capacity": "Hidden units and layers",
    "weight-initialization": "Weight initialization",
    "learning-rate": "Learning rate",
    "learning-method": "Learning method",
    "power-of-two-dimensions": "Power-of-two dimensions",
    "pretraining": "Unsupervised pretraining",
    "batch-size": "Mini-batch and batch size",
    "shuffling": "Shuffling",
    "regularization": "Dropout and regularization",
    "epochs": "Epochs, checkpoints, stopping",
    "visualisation": "Watching the run",
    "hardware": "Hardware",
    "gradients": "Gradients",
    "loss": "Losses",
    "numerics": "Numerics",
    "distributed": "Distributed training",
    "training-loop": "The training loop",
}
