#pragma once

/*
 * Whether the rules stand which say what this container may call outside of its networks. The
 * machine is asked at a UDP port at which nothing but these rules answers with `net-prohibited`.
 * Waits at most SECONDS for an answer.
 */
enum guarded { GUARDED, UNGUARDED, NO_WAY_OUT /* there is nothing to keep */ };
enum guarded guarded(double seconds);
