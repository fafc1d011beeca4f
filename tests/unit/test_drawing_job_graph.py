"""Pictures of job graphs: by task, or by job if there are too many tasks."""

from __future__ import annotations

from databuild.drawing.job_graph import DrawnTask, draw_job_graph
from databuild.drawing.layout import MAX_NODES
from tests.support.drawn import SVG, of_class, parse, texts, titles
from tests.support.present import present


def task(
    number: int,
    job: str,
    *upstream: int,
    state: str = "planned",
    outputs: tuple[str, ...] | None = None,
    link: str = "",
) -> DrawnTask:
    return DrawnTask(number, f"//x:{job}", outputs or (f"{job}/{number}",), upstream, state, link)


def test_each_task_is_a_node_with_its_state_and_what_it_produces() -> None:
    root = parse(
        draw_job_graph(
            [
                task(1, "raw", state="completed"),
                task(2, "clean", 1, state="failed", outputs=("clean/a", "clean/b", "clean/c")),
            ]
        )
    )

    assert titles(of_class(root, "node")) == ["//x:raw: raw/1 (done)", "//x:clean: clean/a and 2 more (failed)"]
    assert [node.get("class") for node in of_class(root, "node")] == ["node state-completed", "node state-failed"]
    assert texts(root) == ["Job graph", "2 tasks: 1 failed, 1 done", "raw", "raw/1", "clean", "clean/a +2"]
    assert len(of_class(root, "glyph")) == 2
    assert len(of_class(root, "edge")) == 1


def test_a_plan_has_no_states_to_tell() -> None:
    root = parse(draw_job_graph([task(1, "raw")]))

    assert texts(root)[:2] == ["Job graph", "1 task"]
    assert not of_class(root, "glyph")


def test_a_graph_without_tasks_says_so() -> None:
    root = parse(draw_job_graph([]))

    assert texts(root) == ["Job graph", "0 tasks"]


def test_nodes_lead_to_where_the_caller_says() -> None:
    root = parse(draw_job_graph([task(1, "raw", link="/job_runs/a?b=1&c=2"), task(2, "raw")]))

    assert [link.get("href") for link in root.iter(f"{SVG}a")] == ["/job_runs/a?b=1&c=2"]


def test_hostile_names_stay_text() -> None:
    hostile = "<script>alert(1)</script>\x00\"'&"
    root = parse(draw_job_graph([DrawnTask(1, f"//x:{hostile}", (hostile,), ())], title=hostile))

    assert root[0].text == "<script>alert(1)</script>\ufffd\"'&"


def test_long_names_are_shortened_and_told_in_full() -> None:
    ref = "very_long/" + "x" * 100
    root = parse(draw_job_graph([task(1, "job_with_a_name_that_is_too_long_to_be_shown", outputs=(ref, "b"))]))

    assert ref in titles(of_class(root, "node"))[0]
    assert all(len(text) <= 30 for text in texts(root)[2:])
    assert texts(root)[3].endswith(" +1")


def test_upstream_tasks_that_are_not_there_are_left_out() -> None:
    root = parse(draw_job_graph([task(1, "raw", 7)]))

    assert not of_class(root, "edge")


def test_as_many_tasks_as_are_laid_out_are_drawn_one_by_one() -> None:
    root = parse(draw_job_graph([task(number, "raw") for number in range(1, MAX_NODES + 1)]))

    assert len(of_class(root, "node")) == MAX_NODES


def test_a_large_graph_is_drawn_by_job() -> None:
    days = 2500
    states = {1: "failed", 2: "failed", 3: "failed", 4: "running"}
    tasks = []
    for day in range(days):
        first = 4 * day + 1
        tasks += [
            task(first, "raw", state="completed"),
            task(first + 1, "clean", first, state=states.get(day, "completed" if day < 1000 else "pending")),
            task(first + 2, "sum", first + 1, *([first - 2] if day else []), state="pending"),
            task(first + 3, "report", first + 2, state="pending"),
        ]

    root = parse(draw_job_graph(tasks, job_links={"//x:raw": "/job?label=raw"}))

    assert titles(of_class(root, "node")) == [
        "//x:raw: 2,500 tasks (2,500 done)",
        "//x:clean: 2,500 tasks (3 failed, 1 running, 1,500 pending, 996 done)",
        "//x:sum: 2,500 tasks (2,500 pending); some depend on others of the same job",
        "//x:report: 2,500 tasks (2,500 pending)",
    ]
    assert [present(node.get("class")).split()[1] for node in of_class(root, "node")] == [
        "state-completed",
        "state-failed",
        "state-pending",
        "state-pending",
    ]
    assert {"996 of 2,500 done", "3 failed, 1 running, …", "drawn by job"} <= set(texts(root))
    assert [link.get("href") for link in root.iter(f"{SVG}a")] == ["/job?label=raw"]
    assert len(of_class(root, "edge")) == 4  # one of them from a job to itself


def test_jobs_that_wait_for_each_other_are_drawn_with_an_edge_back() -> None:
    tasks = [
        task(number, "even" if number % 2 == 0 else "odd", *([number - 1] if number > 1 else []))
        for number in range(1, MAX_NODES + 2)
    ]

    root = parse(draw_job_graph(tasks))

    assert len(of_class(root, "node")) == 2
    arrows = of_class(root, "arrow")
    assert present(arrows[0].get("d")).count("M") == 2


def test_of_too_many_jobs_those_that_failed_and_the_largest_are_drawn() -> None:
    tasks = [task(number, f"job{number}") for number in range(1, 400)]
    tasks += [task(400, "large"), task(401, "large"), task(402, "broken", state="failed")]

    root = parse(draw_job_graph(tasks))

    assert len(of_class(root, "node")) == MAX_NODES
    assert {"large", "broken"} <= set(texts(root))
    assert "drawn by job; 101 more jobs are not shown" in texts(root)


def test_the_same_graph_is_drawn_the_same() -> None:
    tasks = [task(number, f"job{number % 7}", *range(max(1, number - 3), number)) for number in range(1, 60)]

    assert draw_job_graph(tasks) == draw_job_graph(tasks)
