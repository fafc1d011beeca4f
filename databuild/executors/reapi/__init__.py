"""The executor of engines with the Remote Execution API, version 2. Graphs that do not name it do not contain it."""
