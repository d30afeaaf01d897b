"""Values that every part of Atesta shares."""
