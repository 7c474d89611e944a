"""The plainest way from the demo source into DuckDB, to compare with: no sandbox, no types of its own, no checkpoints.

Saves every page as it comes, lets DuckDB read all of them in one statement, and adds the primary key.

usage: floor.py URL API_KEY PAGE_SIZE
"""

import sys
import tempfile
from pathlib import Path

import duckdb
import requests


def fetch(url: str, api_key: str, page_size: str, folder: Path) -> None:
    """Writes one file a page until a page names no next one."""
    session = requests.Session()
    session.headers["api_key"] = api_key
    query = {"page_size": page_size}
    number = 0
    while True:
        answer = session.get(f"{url}/cds_data", params=query)
        answer.raise_for_status()
        (folder / f"page-{number:06}.json").write_bytes(answer.content)
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return
        query["cursor"] = cursor
        number += 1


def load(folder: Path) -> int:
    """Reads all pages into a table with a key and returns how many rows it has."""
    warehouse = duckdb.connect(str(folder / "warehouse.db"))
    warehouse.execute(
        f"""CREATE TABLE cds_records AS SELECT record.* FROM (
            SELECT unnest(cds_records) AS record
            FROM read_json('{folder}/page-*.json', maximum_object_size = 64000000))"""
    )
    warehouse.execute("ALTER TABLE cds_records ADD PRIMARY KEY (record_id)")
    (rows,) = warehouse.execute("SELECT count(*) FROM cds_records").fetchone()
    warehouse.close()
    return rows


def main() -> None:
    url, api_key, page_size = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        fetch(url, api_key, page_size, Path(folder))
        print(f"{load(Path(folder))} rows")


if __name__ == "__main__":
    main()
