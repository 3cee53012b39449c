"""What workloads and builds may call outside of their networks: the policy, and the rules that keep
it. Builds on nothing, so that the guard, which runs on every node, stays small."""
