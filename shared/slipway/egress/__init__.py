"""What workloads and builds may call outside of their networks: the policy, the rules that keep it,
and the network that leads out. Policy and rules build on nothing, so that the guard, which runs on
every node, stays small."""
