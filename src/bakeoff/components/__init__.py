"""What a study chooses from: optimizers, schedules, models, data, augmentations, metrics."""
