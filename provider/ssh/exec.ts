import { randomBytes } from "node:crypto";
import type { ClientChannel } from "ssh2";
import { countScript } from "./counters";
import type { ConnectionError, ConnectionFailure } from "./errors";
import { limits } from "./limits";
import { failure, type Link } from "./link";
import { printable } from "./redact";

/** Running one script over a live connection. */

/** What a script left behind. */
export interface ScriptResult {
    /** Exit status of the shell; null when a signal ended it. */
    status: number | null;
    /** Name of that signal, such as `SIGKILL`. */
    signal?: string;
    /** Standard output, whole. May begin with what the login profile prints: frame what matters. */
    stdout: string;
    /** Standard error from the moment the script began; of very much of it, the tail. */
    stderr: string;
    /** Whether standard error was more than was kept, or output was cut because a child kept it open. */
    truncated: boolean;
}

/** What {@link execute} is to run. */
export interface Execution {
    /** `sh`, or `sudo -n sh`: the only words that the login shell, whichever it is, ever sees. */
    command: "sh" | "sudo -n sh";
    user: string;
    script: string;
    /** Seconds the script may take. */
    timeout: number;
    /** Bytes of output, both streams together, above which the script's answer is refused. */
    maxBytes: number;
    /** Seconds that opening a session may take. */
    openTimeout: number;
}

/** The host refused to open one more session on a live connection. */
export class SessionRefused extends Error {}

/**
 * Sends the script to a shell's standard input and collects its answer.
 *
 * @throws {SessionRefused} when there is no room for a session; the caller decides when to try again.
 * @throws {ConnectionError} of the kinds `timeout`, `lost`, `sudo`, `protocol`.
 */
export async function execute(link: Link, execution: Execution): Promise<ScriptResult> {
    const release = link.hold();
    try {
        const run = await begin(link, execution);
        return await run.result;
    } finally {
        release();
    }
}

function begin(link: Link, execution: Execution): Promise<Run> {
    const { command, openTimeout } = execution;
    return new Promise((resolve, reject) => {
        let settled = false;
        const settle = (act: () => void) => {
            if (!settled) {
                settled = true;
                clearTimeout(timer);
                unsubscribe();
                act();
            }
        };
        const fail = (parts: Pick<ConnectionFailure, "kind" | "reason" | "remedy">) =>
            settle(() => reject(failure(link.target, { doing: "opening a session", sent: false, ...parts })));
        const timer = setTimeout(() => {
            fail({
                kind: "timeout",
                reason: `no answer within ${openTimeout} seconds`,
                remedy: "The host is stuck, overloaded or gone; look at it and run the operation again.",
            });
            link.lose("the host did not open a session in time");
        }, openTimeout * 1000);
        const unsubscribe = link.onLost((error) => settle(() => reject(error.with({ doing: "opening a session" }))));
        try {
            link.client.exec(command, (error: (Error & { reason?: unknown }) | undefined, channel) => {
                if (error) {
                    // When the connection dies, ssh2 calls back here first, and says so only afterwards.
                    setImmediate(() => {
                        if (error.reason !== undefined) {
                            settle(() => reject(new SessionRefused(printable(error.message, 300))));
                        } else {
                            fail({
                                kind: "protocol",
                                reason: `the host would not run \`${command}\`: ${printable(error.message, 300)}`,
                                remedy: "The account must be allowed to run commands.",
                            });
                        }
                    });
                    return;
                }
                channel.on("error", () => {});
                channel.stderr.on("error", () => {});
                if (settled) {
                    channel.close();
                }
                // At once: a shell's last words may stand in the same packet as the answer to our request.
                settle(() => resolve(new Run(link, channel, execution)));
            });
        } catch {
            link.lose("the connection was closed");
        }
    });
}

/** Keeps the last bytes of a stream. */
class Tail {
    private chunks: Buffer[] = [];
    private size = 0;
    dropped = false;

    constructor(private readonly most: number) {}

    push(chunk: Buffer): void {
        this.chunks.push(chunk);
        this.size += chunk.length;
        while (this.size - (this.chunks[0]?.length ?? 0) >= this.most) {
            this.size -= this.chunks.shift()?.length ?? 0;
            this.dropped = true;
        }
    }

    /** Forgets everything so far and starts with `chunk`. */
    restart(chunk: Buffer): void {
        this.chunks = [chunk];
        this.size = chunk.length;
        this.dropped = false;
    }

    toBuffer(): Buffer {
        return Buffer.concat(this.chunks).subarray(-this.most);
    }

    toString(): string {
        return this.toBuffer().toString("utf8");
    }
}

/** One script on one open channel. */
class Run {
    readonly result: Promise<ScriptResult>;
    private resolve!: (result: ScriptResult) => void;
    private reject!: (error: ConnectionError) => void;
    private settled = false;
    /** First line of the script's standard error: tells a shell that began from one that never did. */
    private readonly mark = `began-${randomBytes(12).toString("hex")}\n`;
    private began = false;
    private seam = Buffer.alloc(0);
    private readonly stdout: Buffer[] = [];
    private readonly stderr = new Tail(limits.errorBytes);
    private received = 0;
    private exit?: { status: number | null; signal?: string };
    private linger?: NodeJS.Timeout;
    private readonly timer: NodeJS.Timeout;
    private readonly unsubscribe: () => void;

    constructor(
        private readonly link: Link,
        private readonly channel: ClientChannel,
        private readonly execution: Execution,
    ) {
        this.result = new Promise((resolve, reject) => {
            this.resolve = resolve;
            this.reject = reject;
        });
        this.timer = setTimeout(() => this.timedOut(), Math.min(execution.timeout * 1000, 0x7fffffff));
        this.unsubscribe = link.onLost((error) => this.fail("lost", error.reason, error.remedy));
        channel.on("data", (chunk: Buffer) => {
            this.stdout.push(chunk);
            this.count(chunk.length);
        });
        channel.stderr.on("data", (chunk: Buffer) => {
            this.hear(chunk);
            this.count(chunk.length);
        });
        channel.on("exit", (status: number | null, signal?: string) => {
            this.exit = status === null ? { status, signal: printable(String(signal ?? "unknown"), 40) } : { status };
            this.lingering();
        });
        channel.on("close", () => this.finish(false));
        countScript();
        // The mark is printed by the shell itself; `exec sh` in a login shell's place, and sudo, come before it.
        channel.end(Buffer.from(`printf '%s' '${this.mark}' >&2\n${execution.script}`, "utf8"));
    }

    private hear(chunk: Buffer): void {
        if (!this.began) {
            const text = Buffer.concat([this.seam, chunk]);
            const at = text.indexOf(this.mark);
            if (at >= 0) {
                this.began = true;
                this.stderr.restart(text.subarray(at + this.mark.length));
                return;
            }
            this.seam = text.subarray(-this.mark.length);
        }
        this.stderr.push(chunk);
    }

    private count(bytes: number): void {
        if (this.settled) {
            return;
        }
        this.received += bytes;
        if (this.received > this.execution.maxBytes) {
            this.fail(
                "protocol",
                `the script's output is more than ${this.execution.maxBytes} bytes`,
                "Nothing that this package runs prints so much: look at what the host runs in its place.",
            );
            this.abandon();
        } else if (this.exit) {
            this.lingering();
        }
    }

    /** The shell is gone, but a child may hold its output open for ever. */
    private lingering(): void {
        clearTimeout(this.linger);
        if (!this.settled) {
            this.linger = setTimeout(() => {
                this.finish(true);
                this.abandon();
            }, limits.lingering);
        }
    }

    private timedOut(): void {
        const said = printable(this.stderr.toString(), 500).trim();
        this.fail(
            "timeout",
            `the script was not over within ${this.execution.timeout} seconds${said ? `; it had said: ${said}` : ""}`,
            "It may still be running on the host. Look there for what hangs, or allow it more time.",
        );
        this.abandon();
    }

    /**
     * sshd keeps a session until its shell ends, whatever we do; so the connection gets no new work and ends when the
     * other scripts on it are done.
     */
    private abandon(): void {
        this.channel.close();
        this.link.retire();
    }

    private finish(cut: boolean): void {
        if (this.settled) {
            return;
        }
        if (!this.exit) {
            this.fail("lost", "the session ended without an exit status", "Run the operation again.");
            return;
        }
        const said = printable(this.stderr.toString(), 800).trim();
        if (!this.began && this.exit.status !== 0) {
            this.neverBegan(this.exit, said);
            return;
        }
        this.settle();
        this.resolve({
            ...this.exit,
            stdout: Buffer.concat(this.stdout).toString("utf8"),
            stderr: this.stderr.toString(),
            truncated: cut || this.stderr.dropped,
        });
    }

    private neverBegan(exit: { status: number | null; signal?: string }, said: string): void {
        const { command, user } = this.execution;
        const how = exit.status === null ? `signal ${exit.signal}` : `status ${exit.status}`;
        // nologin(8) explains itself on standard output.
        const words = said || printable(Buffer.concat(this.stdout).subarray(-800).toString("utf8"), 800).trim();
        const reason = `\`${command}\` ended with ${how} before it ran the script: ${words || "it said nothing"}`;
        // An empty standard error may be one that the host throws away, while the script ran all the same.
        const sent = said === "";
        if (command === "sh") {
            const remedy = `User ${user} must be able to run \`sh\`: look at the login shell, and at ForceCommand in sshd_config.`;
            this.fail("protocol", reason, remedy, sent);
        } else {
            const remedy =
                `Let ${user} use sudo without a password (in /etc/sudoers.d: \`${user} ALL=(root) NOPASSWD: ALL\`), ` +
                "or connect as root without `sudo`.";
            this.fail("sudo", reason, remedy, sent);
        }
    }

    private fail(kind: ConnectionError["kind"], reason: string, remedy: string, sent = true): void {
        if (this.settled) {
            return;
        }
        this.settle();
        this.reject(failure(this.link.target, { kind, doing: "running a script", reason, remedy, sent }));
    }

    private settle(): void {
        this.settled = true;
        clearTimeout(this.timer);
        clearTimeout(this.linger);
        this.unsubscribe();
        // What still comes is thrown away, and does not fill memory.
        this.channel.removeAllListeners("data");
        this.channel.stderr.removeAllListeners("data");
        this.channel.resume();
        this.channel.stderr.resume();
    }
}
