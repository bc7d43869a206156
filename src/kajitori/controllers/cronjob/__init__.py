"""CronJob: Jobs at moments that a schedule names. `schedule` reads the schedule, `plan` decides, `controller` acts."""
