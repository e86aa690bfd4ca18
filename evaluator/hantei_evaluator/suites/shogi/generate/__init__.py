"""How the shipped openings and benchmark cases were made, so that anybody can make them again."""
