"""What a sound is and how it is classified: names, headers, features, models, bundles.

Pure functions and estimators. No queue, no database, no settings: everything a function needs
comes in as an argument, so that a worker, the training task and a notebook share one truth.
"""
