"""From what was asked to what runs: a plan is made step by step, and each step is one module."""
