/**
 * The figures that bound what this process asks of a host, and what a host can do to this process. Mutable only so
 * that tests need not wait.
 */
export const limits = {
    /** Scripts at once on one host; sshd's MaxSessions is 10, and an operator wants to log in meanwhile. */
    sessionsPerHost: 4,
    /** Milliseconds before the second attempt to connect; doubles with each further one, with jitter. */
    firstDialDelay: 250,
    /** Longest delay between two attempts to connect, in milliseconds. */
    longestDialDelay: 5_000,
    /** After a host was found unreachable, for so many milliseconds a further call makes one attempt, not all. */
    unreachableMemory: 60_000,
    /** Milliseconds between two signs of life asked of a host. */
    keepaliveInterval: 10_000,
    /** Unanswered signs of life after which a connection counts as lost. */
    keepaliveMisses: 3,
    /** Milliseconds to wait for a session when the host refuses one and none of ours is open; doubles, eight times. */
    firstSessionDelay: 100,
    /** Once a script has ended: milliseconds of silence after which output that stays open (a child's) is cut. */
    lingering: 5_000,
    /** Milliseconds that an orderly end of a connection may take. */
    goodbye: 1_000,
    /** Default for the output of one script, in bytes. */
    outputBytes: 32 * 1024 * 1024,
    /** How much of a script's standard error is kept, in bytes: its tail. */
    errorBytes: 256 * 1024,
    /** Bytes waiting to be sent to a host that does not read, above which the connection is given up. */
    unsentBytes: 64 * 1024 * 1024,
};
