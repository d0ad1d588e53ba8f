import type { Socket } from "node:net";
import type { Client } from "ssh2";
import { traffic } from "./counters";
import { ConnectionError, type ConnectionFailure } from "./errors";
import { limits } from "./limits";

/** Whom a link leads to, as far as messages need it. */
export interface Target {
    /** As `describeConnection` prints it. */
    name: string;
    redact: (text: string) => string;
}

/** A {@link ConnectionError} about a target, secrets taken out of what came back. */
export function failure(target: Target, parts: Omit<ConnectionFailure, "host">): ConnectionError {
    return new ConnectionError({ ...parts, host: target.name, reason: target.redact(parts.reason) });
}

/**
 * One live, authenticated SSH connection. It knows whether it is in use: unused, it does not keep the process alive.
 * Once lost it stays lost; whoever waits on it is told, once.
 */
export class Link {
    /** Why the link is no longer usable. */
    lost?: ConnectionError;
    /** No new work is to begin on it; it ends when its last user has left. */
    retired = false;
    private holds = 0;
    private readonly listeners = new Set<(error: ConnectionError) => void>();
    private readonly keepalive: NodeJS.Timeout;
    private readonly leaveParent?: () => void;

    /**
     * @param socket - the TCP connection; undefined when the link goes through `parent`, its bastion.
     */
    constructor(
        readonly target: Target,
        readonly client: Client,
        private readonly socket: Socket | undefined,
        private readonly parent: Link | undefined,
    ) {
        socket?.unref();
        this.leaveParent = parent?.onLost((error) =>
            this.lose(`the connection to the bastion was lost: ${error.reason}`),
        );
        this.keepalive = this.startKeepalive();
    }

    /** Says that the link is in use, until the returned function is called. */
    hold(): () => void {
        if (this.holds++ === 0) {
            this.socket?.ref();
        }
        const releaseParent = this.parent?.hold();
        let held = true;
        return () => {
            if (!held) {
                return;
            }
            held = false;
            releaseParent?.();
            if (--this.holds === 0) {
                this.socket?.unref();
                if (this.retired) {
                    void this.close("it was replaced by a new one");
                }
            }
        };
    }

    /** Calls back once when the link is lost, at once if it already is. Returns the way to unsubscribe. */
    onLost(listener: (error: ConnectionError) => void): () => void {
        if (this.lost) {
            const error = this.lost;
            queueMicrotask(() => listener(error));
            return () => {};
        }
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
    }

    /** Lets no new work begin, and ends the link when nobody uses it any more. */
    retire(): void {
        this.retired = true;
        if (this.holds === 0) {
            void this.close("it was replaced by a new one");
        }
    }

    /** Gives the link up at once. */
    lose(reason: string): void {
        if (this.lost) {
            return;
        }
        this.markLost(reason);
        this.destroy();
    }

    /** Ends the link in good order, within a second. Whoever still waits on it is told that it is lost. */
    async close(reason: string): Promise<void> {
        this.markLost(reason);
        await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, limits.goodbye);
            this.client.once("close", () => {
                clearTimeout(timer);
                resolve();
            });
            if (this.socket?.destroyed) {
                clearTimeout(timer);
                resolve();
            } else {
                this.client.end();
            }
        });
        this.destroy();
    }

    private markLost(reason: string): void {
        if (this.lost) {
            return;
        }
        clearInterval(this.keepalive);
        this.leaveParent?.();
        this.lost = failure(this.target, {
            kind: "lost",
            doing: "keeping the connection",
            reason,
            remedy: "Run the operation again; the next call connects anew.",
            sent: false,
        });
        const listeners = [...this.listeners];
        this.listeners.clear();
        for (const listener of listeners) {
            listener(this.lost);
        }
    }

    private destroy(): void {
        this.client.destroy();
        this.socket?.destroy();
    }

    /**
     * ssh2's own keepalive timer would keep the process alive. This one asks for the end of a forwarding that never
     * began: any server answers that, with yes or no.
     */
    private startKeepalive(): NodeJS.Timeout {
        let misses = 0;
        let heard = -1;
        const timer = setInterval(() => {
            const bytes = this.socket ? traffic(this.socket) : 0;
            misses = bytes === heard ? misses : 0;
            heard = bytes;
            if (misses >= limits.keepaliveMisses) {
                this.lose(`no sign of life for ${(misses * limits.keepaliveInterval) / 1000} seconds`);
                return;
            }
            if ((this.socket?.writableLength ?? 0) > limits.unsentBytes) {
                this.lose("the host does not read what it is sent");
                return;
            }
            misses++;
            try {
                this.client.unforwardIn("127.0.0.1", 0, () => {
                    misses = 0;
                });
            } catch {
                this.lose("the connection was closed");
            }
        }, limits.keepaliveInterval);
        return timer.unref();
    }
}
