"""The recipes that come with the trainer. What a recipe is: `trainer.recipe`."""
