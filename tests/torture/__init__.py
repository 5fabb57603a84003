"""`make torture`: kills, faults and damaged or hostile input, to show that no command crashes, hangs or lies."""
