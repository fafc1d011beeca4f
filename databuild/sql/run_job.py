"""The main file of SQL jobs."""

from databuild.job import main
from databuild.sql.job import run

if __name__ == "__main__":
    main(run)
