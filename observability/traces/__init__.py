"""Spans: how they are made, sampled, kept, encoded and exported, and how a trace travels."""
