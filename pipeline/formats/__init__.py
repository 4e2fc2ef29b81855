"""How dates and times look to people: the setting `FORMAT_MODULE_PATH`, a package per language."""
