#!/bin/sh
# A job's program, for targets that are analysed and never run.
exit 1
