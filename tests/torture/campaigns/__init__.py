"""The campaigns: what each does to an input, and what it judges beside the end of the command."""
