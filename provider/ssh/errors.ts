/**
 * What went wrong between this process and a host, as one class of error that says all an operator needs:
 * which host, what was being done, what came back, and what to do about it.
 */

/**
 * The kinds of {@link ConnectionError}:
 *
 * - `unreachable`: nobody answers at that address (name not found, no route, refused, no answer in time), after all
 *   the attempts that `dialErrorLimit` allows. The only kind that can mean "this host is dead".
 * - `timeout`: the host answered and then fell silent: during the handshake, or a script ran over its time limit.
 * - `authentication`: the host refused our credentials, or they cannot be used (bad passphrase, no key at all).
 * - `host-key`: the host's key is not the expected one, is unknown, or is revoked.
 * - `sudo`: `sudo -n sh` was refused.
 * - `sessions`: the host answers, but has no room for another connection or session (MaxStartups, MaxSessions).
 * - `lost`: the connection died, or was closed, while in use.
 * - `protocol`: the other side does not speak SSH as it should, will not run commands, or sent too much.
 */
export type ConnectionErrorKind =
    | "unreachable"
    | "timeout"
    | "authentication"
    | "host-key"
    | "sudo"
    | "sessions"
    | "lost"
    | "protocol";

/** The parts of a {@link ConnectionError}; its message is made of them. */
export interface ConnectionFailure {
    kind: ConnectionErrorKind;
    /** The connection as `describeConnection` prints it. */
    host: string;
    /** What was being done, as a phrase: "connecting", "running a script". */
    doing: string;
    /** What came back, secrets redacted. */
    reason: string;
    /** What to do about it: whole sentences. */
    remedy: string;
    /** Whether the script may have begun to run on the host. */
    sent: boolean;
    cause?: unknown;
}

/** A failure to reach a host, to be let in, or to get a script's answer. See {@link ConnectionErrorKind}. */
export class ConnectionError extends Error {
    readonly kind: ConnectionErrorKind;
    readonly host: string;
    readonly doing: string;
    readonly reason: string;
    readonly remedy: string;
    /** Whether the script may have begun to run. When false, the host is as it was. */
    readonly sent: boolean;

    constructor(failure: ConnectionFailure) {
        super(
            `${failure.host}: ${failure.doing} failed: ${failure.reason.replace(/[.\s]+$/, "")}. ${failure.remedy}`,
            failure.cause === undefined ? undefined : { cause: failure.cause },
        );
        this.name = "ConnectionError";
        this.kind = failure.kind;
        this.host = failure.host;
        this.doing = failure.doing;
        this.reason = failure.reason;
        this.remedy = failure.remedy;
        this.sent = failure.sent;
    }

    /** The same failure with some parts said differently. */
    with(changes: Partial<ConnectionFailure>): ConnectionError {
        const { kind, host, doing, reason, remedy, sent, cause } = this;
        return new ConnectionError({ kind, host, doing, reason, remedy, sent, cause, ...changes });
    }
}
