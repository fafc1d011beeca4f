"""Workers: processes of jobs that serve many requests, one at a time. Imported only for jobs that have them."""
