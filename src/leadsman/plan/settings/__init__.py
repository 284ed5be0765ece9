"""Settings beside mixture and size: tried by small runs, and chosen for the big one.

vary      what a project tries
axes      where a recipe stands on each setting; recipes moved from the reference
runs      the design of the runs that try them
reads     what a point draws from each token set
believe   joint draws over size, tokens, mixture and settings
settle    the optimum over all that was tried, and which data to buy
"""
