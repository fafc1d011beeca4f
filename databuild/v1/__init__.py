"""The messages of DataBuild, generated from proto/databuild/v1."""
