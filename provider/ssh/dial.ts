import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, type ClientChannel } from "ssh2";
import type { Hop } from "./connection";
import { countHandshake, countTraffic } from "./counters";
import { type AuthenticationLog, authHandler, type Credentials, readCredentials } from "./credentials";
import type { ConnectionError, ConnectionErrorKind } from "./errors";
import { type ExpectedKey, expectKey, hostKeyAlgorithms, judgeKey, warnIgnored } from "./host-key";
import { limits } from "./limits";
import { failure, Link, type Target } from "./link";
import { printable } from "./redact";

/** Making a connection: attempts, their order, and what each failure means. */

/** How a hop is dialed. */
export interface DialOptions {
    hop: Hop;
    target: Target;
    /** Gives a live connection to the bastion; absent for a direct connection. */
    bastion?: () => Promise<Link>;
    /** Greatest number of attempts, or undefined for `dialErrorLimit`'s. */
    attempts?: number;
    signal: AbortSignal;
}

const remedies = {
    unreachable: "Check that the host is up, that its name and port are right, and that a firewall lets SSH through.",
    timeout: "The host answers but is stuck or overloaded; look at it, or raise `perDialTimeout`.",
    sessions:
        "Its sshd turns connections away: too many at once (MaxStartups), a penalty for this address " +
        "(PerSourcePenalties, fail2ban) or an access list; or the host is starting. Wait, or look at sshd's log there.",
    lost: "Look at sshd's log on the host.",
    protocol:
        "Check that an SSH server listens on that port, and that it is not too old or too strict for this client.",
};

/** Failures that pass by themselves. A wrong password is not one: repeated, it locks accounts. */
const passing = new Set<ConnectionErrorKind>(["unreachable", "timeout", "sessions", "lost"]);

/**
 * Connects and logs in, trying again with growing delays as often as `dialErrorLimit` says.
 *
 * @throws {ConnectionError} of any kind but `sudo`; `sent` is false.
 */
export async function dial(options: DialOptions): Promise<Link> {
    const { hop, target, signal } = options;
    const expected = await expectKey(hop);
    if ("reason" in expected) {
        throw failure(target, { kind: "host-key", doing: "connecting", ...expected, sent: false });
    }
    const credentials = await readCredentials(hop);
    if ("reason" in credentials) {
        throw failure(target, { kind: "authentication", doing: "logging in", ...credentials, sent: false });
    }
    if (hop.insecureIgnoreHostKey) {
        warnIgnored(hop);
    }
    const most = hop.dialErrorLimit < 0 ? Number.POSITIVE_INFINITY : Math.max(1, hop.dialErrorLimit);
    const limit = Math.min(most, options.attempts ?? most);
    for (let attempt = 1; ; attempt++) {
        const parent = await options.bastion?.();
        const release = parent?.hold();
        try {
            return await new Attempt(hop, target, expected, credentials, parent, signal).link;
        } catch (thrown) {
            const error = thrown as ConnectionError;
            if (!passing.has(error.kind) || signal.aborted) {
                throw error;
            }
            if (attempt >= limit) {
                throw attempt === 1
                    ? error
                    : error.with({ reason: `${error.reason} (the last of ${attempt} attempts)`, cause: error });
            }
        } finally {
            release?.();
        }
        const delay = Math.min(limits.longestDialDelay, limits.firstDialDelay * 2 ** Math.min(attempt - 1, 20));
        await sleep(delay * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
        if (signal.aborted) {
            throw closedByUs(target);
        }
    }
}

function closedByUs(target: Target): ConnectionError {
    return failure(target, {
        kind: "lost",
        doing: "connecting",
        reason: "this process is closing its connections",
        remedy: "Run the operation again.",
        sent: false,
    });
}

/** One attempt: TCP (or a channel through the bastion), handshake, host key, login; all within `perDialTimeout`. */
class Attempt {
    readonly link: Promise<Link>;
    private phase: "connecting" | "handshake" | "login" | "done" = "connecting";
    private readonly client = new Client();
    private socket?: Socket;
    private channel?: ClientChannel;
    private greeting = "";
    private agentTrouble = "";
    private lastError = "";
    private readonly log: AuthenticationLog = { offered: new Set(), tried: [] };
    private resolve!: (link: Link) => void;
    private reject!: (error: ConnectionError) => void;
    private live?: Link;
    private readonly cleanup: (() => void)[] = [];

    constructor(
        private readonly hop: Hop,
        private readonly target: Target,
        private readonly expected: ExpectedKey,
        private readonly credentials: Credentials,
        private readonly parent: Link | undefined,
        signal: AbortSignal,
    ) {
        this.link = new Promise((resolve, reject) => {
            this.resolve = resolve;
            this.reject = reject;
        });
        const timer = setTimeout(() => this.timedOut(), hop.perDialTimeout * 1000);
        const abort = () => this.fail(closedByUs(target));
        signal.addEventListener("abort", abort);
        this.cleanup.push(
            () => clearTimeout(timer),
            () => signal.removeEventListener("abort", abort),
        );
        if (signal.aborted) {
            abort();
            return;
        }
        this.listen();
        if (parent) {
            this.openThrough(parent);
        } else {
            this.openDirectly();
        }
    }

    private openDirectly(): void {
        const socket = connect({ host: this.hop.host, port: this.hop.port });
        this.socket = socket;
        countTraffic(socket);
        socket.setNoDelay(true);
        socket.on("error", (error) => {
            if (this.phase === "connecting") {
                this.failAs("unreachable", "connecting", describeSocketError(error));
            }
        });
        socket.once("connect", () => this.handshake(socket));
    }

    private openThrough(parent: Link): void {
        this.cleanup.push(
            parent.onLost((error) => this.fail(error.with({ host: this.target.name, doing: "connecting" }))),
        );
        try {
            parent.client.forwardOut("127.0.0.1", 0, this.hop.host, this.hop.port, (error, channel) => {
                if (error) {
                    if (!parent.lost) {
                        this.forwardingRefused(error as Error & { reason?: number });
                    }
                    return;
                }
                channel.on("error", (trouble: Error) => this.note(trouble));
                this.channel = channel;
                if (this.phase === "done") {
                    channel.destroy();
                } else {
                    this.handshake(channel);
                }
            });
        } catch {
            parent.lose("the connection was closed");
        }
    }

    private forwardingRefused(error: Error & { reason?: number }): void {
        const reason = `the bastion answered: ${printable(error.message.replace(/^\(SSH\) /, ""), 300)}`;
        if (error.reason === 1) {
            const remedy =
                "The bastion forbids forwarding there: see AllowTcpForwarding and PermitOpen in its sshd_config.";
            this.fail(failure(this.target, { kind: "protocol", doing: "connecting", reason, remedy, sent: false }));
        } else {
            this.failAs("unreachable", "connecting", reason);
        }
    }

    /** Errors of ssh2 may come at any time, also long after the attempt is over: none may be without a listener. */
    private listen(): void {
        this.client.on("error", (error) => this.clientError(error));
        this.client.on("close", () => this.closed());
        this.client.on("end", () => this.closed());
        this.client.on("greeting", (text) => {
            this.greeting = printable(text.trim(), 200);
        });
        this.client.on("handshake", () => {
            this.phase = this.phase === "handshake" ? "login" : this.phase;
        });
        this.client.on("change password", () =>
            this.refuse("the password has expired and must be changed", "Log in by hand once and change it."),
        );
        this.client.on("ready", () => this.ready());
    }

    private handshake(sock: Socket | ClientChannel): void {
        if (this.phase !== "connecting") {
            return;
        }
        this.phase = "handshake";
        try {
            this.client.connect({
                sock,
                username: this.hop.user,
                readyTimeout: 0,
                keepaliveInterval: 0,
                authHandler: authHandler(this.credentials, this.hop.user, this.log),
                // A compressed connection that breaks makes ssh2 throw where nobody can catch it.
                algorithms: { compress: ["none"], serverHostKey: hostKeyAlgorithms(this.expected) },
                hostVerifier: (key: Buffer) => this.verify(key),
            });
        } catch (error) {
            this.failAs("protocol", "connecting", (error as Error).message);
        }
    }

    /** Also called when the server renews the keys of a live connection. */
    private verify(key: Buffer): boolean {
        const refusal = judgeKey(this.expected, this.hop, key);
        if (refusal) {
            this.fail(failure(this.target, { kind: "host-key", doing: "verifying the host", ...refusal, sent: false }));
            this.live?.lose(refusal.reason);
        }
        return refusal === undefined;
    }

    private ready(): void {
        if (this.phase !== "login") {
            return;
        }
        this.settle();
        countHandshake();
        this.live = new Link(this.target, this.client, this.socket, this.parent);
        this.resolve(this.live);
    }

    private note(error: Error): void {
        this.lastError = printable(error.message, 300);
    }

    private clientError(error: Error & { level?: string; code?: unknown }): void {
        this.note(error);
        if (this.phase === "done") {
            this.live?.lose(this.lastError);
        } else if (error.level === "agent") {
            this.agentTrouble = this.lastError;
        } else if (error.level === "client-authentication" && /authentication methods failed/.test(error.message)) {
            this.refuse(this.describeRefusal());
        } else if (typeof error.code === "number" && error.level === undefined) {
            // The server said goodbye, with a reason.
            if (this.phase === "login") {
                this.refuse(`the host ended the login: ${this.lastError}`);
            } else {
                this.failAs("sessions", "connecting", `the host ended the handshake: ${this.lastError}`);
            }
        } else if (error.level === "client-socket") {
            this.closed();
        } else if (!/Connection lost before handshake/.test(error.message)) {
            this.failAs("protocol", "connecting", this.lastError);
        } else {
            this.closed();
        }
    }

    private closed(): void {
        const why = this.lastError ? ` (${this.lastError})` : "";
        if (this.phase === "done") {
            this.live?.lose(`the host closed the connection${why}`);
        } else if (this.phase === "handshake") {
            const said = this.greeting ? ` after it said: ${this.greeting}` : why;
            this.failAs(
                "sessions",
                "connecting",
                `the host closed the connection before the handshake was over${said}`,
            );
        } else if (this.phase === "login") {
            this.failAs("lost", "logging in", `the host closed the connection during the login${why}`);
        }
    }

    private timedOut(): void {
        const seconds = this.hop.perDialTimeout;
        if (this.phase === "connecting") {
            this.failAs("unreachable", "connecting", `no answer within ${seconds} seconds`);
        } else {
            const what = this.phase === "login" ? "login" : "handshake";
            this.failAs("timeout", "connecting", `the ${what} was not over within ${seconds} seconds`);
        }
    }

    private describeRefusal(): string {
        const offered = [...this.log.offered];
        return (
            `the host refused user ${this.hop.user} (have: ${this.credentials.summary}; ` +
            `tried: ${this.log.tried.join(", ") || "nothing"}; the host accepts: ${printable(offered.join(", "), 200) || "nothing"})` +
            (this.agentTrouble ? `; the agent failed: ${this.agentTrouble}` : "")
        );
    }

    private refuse(reason: string, remedy?: string): void {
        const help =
            remedy ??
            "Check user and credentials; a key must stand in the user's authorized_keys, and sshd's log says why it refused.";
        this.fail(
            failure(this.target, { kind: "authentication", doing: "logging in", reason, remedy: help, sent: false }),
        );
    }

    private failAs(kind: keyof typeof remedies, doing: string, reason: string): void {
        this.fail(failure(this.target, { kind, doing, reason, remedy: remedies[kind], sent: false }));
    }

    private fail(error: ConnectionError): void {
        if (this.phase === "done") {
            return;
        }
        this.settle();
        this.reject(error);
        this.client.destroy();
        this.channel?.destroy();
        this.socket?.destroy();
    }

    private settle(): void {
        this.phase = "done";
        for (const step of this.cleanup.splice(0)) {
            step();
        }
    }
}

function describeSocketError(error: Error & { code?: string; errors?: Error[] }): string {
    const parts = error.errors?.length ? error.errors : [error];
    return [...new Set(parts.map((part) => part.message))].join("; ") || error.code || "the connection failed";
}
