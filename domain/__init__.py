"""The rules of Atesta: values, events, formats, ports and workflows. No clock, no files, no network."""
