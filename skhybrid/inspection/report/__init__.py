"""The identifiability report: evidence about each physics parameter, and a verdict."""
