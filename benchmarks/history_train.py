"""Train the networks whose histories are judged: every task in turn, so that all grow alike; goes on where it ended.

python benchmarks/history_train.py WORK [--fresh] [--runs 105] [--part 0/1]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from history_fresh_tasks import FRESH
from history_tasks import TASKS
from history_training import draw, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="where a network's curve and history go")
    parser.add_argument("--runs", type=int, default=105, help="networks a task")
    parser.add_argument("--part", default="0/1", help="which part of how many, for several processes")
    parser.add_argument("--fresh", action="store_true", help="the tasks that no decision was made with in view")
    given = parser.parse_args()
    torch.set_num_threads(1)
    part, parts = map(int, given.part.split("/"))
    tasks = FRESH if given.fresh else TASKS
    data = {task.name: task.make() for task in tasks}
    for i in range(part, given.runs, parts):
        for task in tasks:
            file = given.work / f"{task.name}-{i:03d}.json"
            if not file.exists():
                given.work.mkdir(parents=True, exist_ok=True)
                found = train(data[task.name], draw(task, 0, i), file)
                print(file.stem, f"peak {max(found['accuracy']):.3f}", f"{found['seconds'][-1]:.2f} s", flush=True)


if __name__ == "__main__":
    main()
