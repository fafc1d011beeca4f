#!/bin/sh
# A program for targets that are analysed and never run.
exit 1
