"""The command ``atesta``: one file a command, over the composition root."""
