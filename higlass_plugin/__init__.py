"""HiGlass tiles of predicted maps. Holds nothing yet; imports orca_cool, never the other way round."""
