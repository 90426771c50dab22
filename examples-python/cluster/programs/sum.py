print(sum(int(line) for line in open(0)))
