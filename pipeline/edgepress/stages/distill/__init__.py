"""What a student learns from: teachers' answers (`teachers`), how several are weighed (`weighing`), the losses, and
`features`, what lies between."""
