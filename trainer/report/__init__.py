"""What a person sees of an evaluation: `findings` collects it, `page` draws it."""
