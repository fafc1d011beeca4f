SELECT * FROM carrier_report
