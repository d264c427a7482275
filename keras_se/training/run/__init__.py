"""A run of `fit`: what it resumes, its stages, what it shows and keeps, and what it leaves."""

from .finite import NotFiniteError
from .fit import fit
from .folder import read_record
from .results import read_results

__all__ = ["NotFiniteError", "fit", "read_record", "read_results"]
