"""What Atesta does, step by step, over ports: create, back up, restore, verify, mail."""
