"""What an auditor trusts: the stored tree over the history, and the key that signs its heads."""
