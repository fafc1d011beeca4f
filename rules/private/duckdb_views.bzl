"""Checks of the attributes of SQL jobs, and the views that these have."""

visibility(["//rules/..."])

# Attributes of `databuild_job` that SQL jobs do not have, with what to do instead.
UNSUPPORTED = {
    "args": "the fields of the output are variables of the query: write getvariable('month')",
    "batch_by": "a run of a SQL job produces one partition",
    "batch_size": "a run of a SQL job produces one partition",
    "binary": "the program of a SQL job is its SQL file, `sql`",
    "env": "the fields of the output are variables of the query: write getvariable('month')",
}

# The name of the result in checks.
_RESULT = "result"

_VIEW_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"

def check_output(label, outputs):
    """Checks the outputs of a SQL job. Fails if there is not one, or if its refs are not paths below a directory.

    Args:
        label: Label of the job, for messages.
        outputs: Partition patterns of the job.

    Returns:
        The only output.
    """
    if len(outputs) != 1:
        fail("{} has {} outputs, but a SQL job has one, because a SELECT has one result".format(label, len(outputs)))
    for segment in outputs[0].split("{")[0].split("/")[:-1]:
        if segment in ["", ".", ".."] or segment.endswith(":"):
            fail(("outputs of {}: {} has the segment {}. The result is a file at this path below the data root, so write " +
                  "a relative path, such as 'carrier_report/month={{month:month}}'").format(label, repr(outputs[0]), repr(segment)))
    return outputs[0]

def _is_view_name(text):
    return text != "" and all([character in _VIEW_CHARACTERS for character in text.lower().elems()])

def _check_view_name(label, attribute, view):
    if not _is_view_name(view):
        fail("{} of {}: the view {} must have a name of letters, digits, _ and -".format(attribute, label, repr(view)))

def _is_of(template, dataset):
    return template == dataset or template.startswith(dataset + "/")

def datasets_of(label, inputs, views):
    """Finds the views of inputs. Fails if a name is not valid.

    Args:
        label: Label of the job, for messages.
        inputs: Templates of the inputs.
        views: First segments of refs by the name of a view.

    Returns:
        First segments of the refs of each view, by its name.
    """
    datasets = dict(views)
    for view, dataset in views.items():
        _check_view_name(label, "views", view)
        if not any([_is_of(template, dataset) for template in inputs]):
            fail("views of {}: no input begins with {}, the segments of the view {}".format(label, repr(dataset), repr(view)))
    for template in inputs:
        if any([_is_of(template, dataset) for dataset in views.values()]):
            continue
        segment = template.split("/")[0]
        if not _is_view_name(segment):
            fail(("the input {} of {} is a view named after its first segment, but {} cannot be the name of one. " +
                  "Name it: views = {{\"NAME\": \"FIRST/SEGMENTS\"}}").format(repr(template), label, repr(segment)))
        if segment in views:
            fail("views of {}: {} is the view of {} and also of the input {}".format(
                label,
                repr(segment),
                repr(views[segment]),
                repr(template),
            ))
        datasets[segment] = segment
    return datasets

def check_views(label, datasets, sources, columns):
    """Checks the views of a SQL job together. Fails if two have one name for DuckDB, or `columns` has an unknown one.

    Args:
        label: Label of the job, for messages.
        datasets: Views of inputs.
        sources: Views of `srcs`.
        columns: Names and types of columns, by view.
    """
    for view in sources:
        _check_view_name(label, "srcs", view)
    views = list(datasets) + list(sources)
    view_of_name = {}
    for view in views:
        name = view.lower()
        if name == _RESULT:
            fail("{} has the view {}, but that is the name of the result in checks; give it another name in `views` or `srcs`".format(label, repr(view)))
        if name in view_of_name:
            fail("{} has the views {} and {}, which are one name for DuckDB; give one another name in `views` or `srcs`".format(
                label,
                repr(view_of_name[name]),
                repr(view),
            ))
        view_of_name[name] = view
    for view in columns:
        if view not in views:
            fail("columns of {}: {} is not a view; the views are: {}".format(label, repr(view), ", ".join(views) or "none"))
        if not columns[view]:
            fail("columns of {}: the view {} has none; write all of its columns, or leave it out".format(label, repr(view)))

def labels_of_views(label_of_view):
    """Inverts a dictionary for an attribute whose keys are labels.

    Args:
        label_of_view: Labels by the name of a view.

    Returns:
        The names of views, separated by commas, by label.
    """
    views_of_label = {}
    for view, label in label_of_view.items():
        views_of_label[label] = views_of_label[label] + "," + view if label in views_of_label else view
    return views_of_label

def files_of_views(attribute):
    """Reads an attribute that labels_of_views returned.

    Args:
        attribute: The value of the attribute.

    Returns:
        A list of files for each view, by its name.
    """
    files = {}
    for target, views in attribute.items():
        for view in views.split(","):
            files[view] = files.get(view, []) + target[DefaultInfo].files.to_list()
    return files
