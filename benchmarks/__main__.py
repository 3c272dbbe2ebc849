from benchmarks import command, reads, storyboard

command.run(storyboard.benchmark, reads.benchmark)
