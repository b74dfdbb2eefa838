"""Where files lie, what a study's folder holds, what keys results, how work is spread."""
