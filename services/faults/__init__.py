"""Faults that the example services can be asked to have, switched by OpenFeature flags."""
