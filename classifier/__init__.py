"""Reading and classifying sounds: names, headers, features, models, bundles.

Pure functions and estimators: no queue, no database, no settings.
"""
