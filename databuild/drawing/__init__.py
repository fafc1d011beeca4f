"""Pictures of builds as SVG: functions from data to text, without files, processes or network."""
