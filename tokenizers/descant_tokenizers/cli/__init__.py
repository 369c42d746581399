"""Commands of the tokenizer toolkit."""
