"""The logs of job runs: their files on this machine, and their pieces in a store that other machines reach."""
