"""Notebook 06: what is trained anew to be measured, from ablation to transfer."""
