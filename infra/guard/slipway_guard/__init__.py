"""The guard: on every node it keeps the rules that say what workloads and builds may call outside
of their networks. In the machine's own network, with the right to change its rules and with nothing
else: no engine socket, no user of the log, no volume.
"""
