/*
 * Whether a stop would cut a request off, as far as the kernel knows: of all connections to the
 * ports that this network namespace listens on.
 *
 * BAD: some connection has been asked something that it has not answered.
 * FAIR: all are answered.
 * GOOD: all are answered, and either the last answer has just gone out, so that the next request
 * is as far away as can be, or there has been none for long. Also where the kernel does not tell.
 *
 * To be asked several times in a millisecond, with the time in seconds: what was received and sent
 * between two looks is what tells who owes an answer.
 */
enum moment { BAD, FAIR, GOOD };

enum moment moment_to_stop(double now);
