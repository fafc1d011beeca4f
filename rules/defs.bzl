"""The public rules and providers of DataBuild."""

load("//rules/private:databuild_graph.bzl", _databuild_graph = "databuild_graph")
load("//rules/private:databuild_graph_test.bzl", _databuild_graph_test = "databuild_graph_test")
load("//rules/private:databuild_job.bzl", _databuild_job = "databuild_job")
load("//rules/private:providers.bzl", _DataBuildGraphInfo = "DataBuildGraphInfo", _DataBuildJobInfo = "DataBuildJobInfo")

visibility("public")

databuild_job = _databuild_job
databuild_graph = _databuild_graph
databuild_graph_test = _databuild_graph_test

DataBuildJobInfo = _DataBuildJobInfo
DataBuildGraphInfo = _DataBuildGraphInfo
