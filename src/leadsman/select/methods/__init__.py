"""The selectors, one file a method, and what some of them share."""
