import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { type Connection, connectionKey, connectionSecrets, describeConnection, type Hop } from "./connection";
import { dial } from "./dial";
import { ConnectionError } from "./errors";
import { type Execution, execute, type ScriptResult, SessionRefused } from "./exec";
import { limits } from "./limits";
import { failure, type Link, type Target } from "./link";
import { redactor } from "./redact";

/** One SSH connection per host and process, and who may use it when. */

const hosts = new Map<string, Host>();
const links = new Set<Link>();
/** Ends attempts to connect, and waiting, when everything is closed. */
let closing = newClosing();

function newClosing(): AbortController {
    const controller = new AbortController();
    // Every host and every attempt listens; there is no leak to warn of.
    setMaxListeners(0, controller.signal);
    return controller;
}

/** The pool's entry for this connection, made when it is first asked for. */
export function hostOf(connection: Connection): Host {
    const key = connectionKey(connection);
    let host = hosts.get(key);
    if (!host) {
        host = new Host(connection, closing.signal);
        hosts.set(key, host);
    }
    return host;
}

/**
 * Ends every connection of this process, in good order where the hosts let us. Scripts that still run are rejected as
 * `lost`. May be called any number of times, and `runScript` may be called afterwards: it connects anew.
 */
export async function closeAll(): Promise<void> {
    closing.abort();
    closing = newClosing();
    hosts.clear();
    // The newest first: a bastion's connection is older than those that go through it.
    const reason = "this process closed its connections";
    await Promise.all([...links].reverse().map((link) => link.close(reason)));
}

/** A bastion is a host that is only passed through: its own connection, shared by all the hosts behind it. */
function bastionOf(connection: Connection): Host | undefined {
    const { proxy } = connection;
    if (!proxy) {
        return undefined;
    }
    return hostOf({ ...proxy, knownHosts: proxy.knownHosts ?? connection.knownHosts, sudo: false });
}

/** A host's connection, and the queue of those who want to use it. */
export class Host {
    private readonly target: Target;
    private connecting?: Promise<Link>;
    private active = 0;
    private limit = limits.sessionsPerHost;
    private readonly waiting: (() => void)[] = [];
    private unreachableUntil = 0;

    constructor(
        private readonly connection: Connection,
        private readonly signal: AbortSignal,
    ) {
        this.target = { name: describeConnection(connection), redact: redactor(connectionSecrets(connection)) };
        signal.addEventListener("abort", () => {
            for (const wake of this.waiting.splice(0)) {
                wake();
            }
        });
    }

    /** Runs a script as soon as there is a session for it. */
    async run(execution: Omit<Execution, "command" | "user" | "openTimeout">): Promise<ScriptResult> {
        const whole: Execution = {
            ...execution,
            command: this.connection.sudo ? "sudo -n sh" : "sh",
            user: this.connection.user,
            openTimeout: this.connection.perDialTimeout,
        };
        let delay = limits.firstSessionDelay;
        let losses = 0;
        for (;;) {
            await this.enter();
            let link: Link | undefined;
            try {
                link = await this.link();
                return await execute(link, whole);
            } catch (error) {
                if (error instanceof SessionRefused) {
                    if (this.active > 1) {
                        // Room for fewer than we thought: the others' sessions are what there is.
                        this.limit = Math.max(1, Math.min(this.limit, this.active - 1));
                    } else if (delay > limits.firstSessionDelay * 2 ** 8) {
                        throw this.noSession(error);
                    } else {
                        await sleep(delay * (0.5 + Math.random()), undefined, { signal: this.signal }).catch(() => {});
                        delay *= 2;
                    }
                } else if (!link || !this.nothingHappened(error) || losses++ >= 2) {
                    throw error;
                }
            } finally {
                this.leave();
            }
        }
    }

    /** A connection that died before the script was sent, most often while it was idle: nothing has happened yet. */
    private nothingHappened(error: unknown): boolean {
        return (
            error instanceof ConnectionError &&
            (error.kind === "lost" || error.kind === "timeout") &&
            !error.sent &&
            !this.signal.aborted
        );
    }

    /** The live connection, dialed when there is none. Concurrent callers share one attempt. */
    link(): Promise<Link> {
        if (!this.connecting) {
            const connecting = this.dial();
            this.connecting = connecting;
            const forget = () => {
                if (this.connecting === connecting) {
                    this.connecting = undefined;
                }
            };
            connecting.then((link) => link.onLost(forget), forget);
        }
        const current = this.connecting;
        return current.then((link) => {
            if (!link.lost && !link.retired) {
                return link;
            }
            if (this.connecting === current) {
                this.connecting = undefined;
            }
            return this.link();
        });
    }

    private async dial(): Promise<Link> {
        if (this.signal.aborted) {
            throw this.closed();
        }
        const bastion = bastionOf(this.connection);
        const hop: Hop = this.connection;
        try {
            const link = await dial({
                hop,
                target: this.target,
                signal: this.signal,
                ...(bastion ? { bastion: () => this.through(bastion) } : {}),
                ...(Date.now() < this.unreachableUntil ? { attempts: 1 } : {}),
            });
            this.unreachableUntil = 0;
            links.add(link);
            link.onLost(() => links.delete(link));
            return link;
        } catch (error) {
            if (error instanceof ConnectionError && error.kind === "unreachable") {
                this.unreachableUntil = Date.now() + limits.unreachableMemory;
            }
            throw error;
        }
    }

    private async through(bastion: Host): Promise<Link> {
        try {
            return await bastion.link();
        } catch (error) {
            throw error instanceof ConnectionError
                ? error.with({ doing: `on the way to ${this.target.name}, ${error.doing}` })
                : error;
        }
    }

    private async enter(): Promise<void> {
        while (this.active >= this.limit && !this.signal.aborted) {
            await new Promise<void>((resolve) => this.waiting.push(resolve));
        }
        if (this.signal.aborted) {
            this.active++;
            this.leave();
            throw this.closed();
        }
        this.active++;
    }

    private leave(): void {
        this.active--;
        this.waiting.shift()?.();
    }

    private noSession(error: Error): ConnectionError {
        return failure(this.target, {
            kind: "sessions",
            doing: "opening a session",
            reason: error.message,
            remedy: "Its sshd must allow sessions: see MaxSessions in sshd_config, and the number of processes the user may have.",
            sent: false,
        });
    }

    private closed(): ConnectionError {
        return failure(this.target, {
            kind: "lost",
            doing: "connecting",
            reason: "this process closed its connections",
            remedy: "Run the operation again.",
            sent: false,
        });
    }
}
