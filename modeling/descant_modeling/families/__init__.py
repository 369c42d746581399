"""What the recurrent, convolutional and variational families share: data, task, checkpoints, prompts on the grid."""
