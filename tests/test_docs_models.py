"""docs/models.md is what the tables say."""

import importlib.util
from pathlib import Path

from keras_se.applications import list_models, published_weights

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_of_the_models_is_current():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate_models.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    page = generate.page()
    message = "run `python docs/generate_models.py`"
    assert (DOCS / "models.md").read_text() == page, message
    for name in list_models():
        assert f"| `{name}` |" in page
        assert all(f"| `{row.tag}` | {row.top1:.3f} |" in page for row in published_weights(name))
