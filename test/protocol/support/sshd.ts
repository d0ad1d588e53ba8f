import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

/** A real OpenSSH sshd on loopback, with a configuration and keys of its own. */

const binary = "/usr/sbin/sshd";

export const haveSshd = existsSync(binary);

/** How a test's sshd differs from the plain one. */
export interface SshdOptions {
    /** Lines of sshd_config, put first: the first value of an option wins. */
    config?: string[];
    /** Public keys that may log in. */
    authorized?: string[];
    /** Types of host keys. Default: ed25519 alone. */
    hostKeys?: ("ed25519" | "rsa" | "ecdsa")[];
    port?: number;
}

/** A running sshd. */
export interface Sshd {
    port: number;
    pid: number;
    directory: string;
    /** Its host keys' public lines, by type. */
    hostKey: Record<string, string>;
    /** What it logged so far. */
    log(): string;
    /** Process IDs of the sessions it has forked. */
    sessions(): number[];
    /** Ends it and the sessions it forked. */
    stop(): Promise<void>;
}

/** Makes a key pair with ssh-keygen; returns private text and public line. */
export function makeKey(directory: string, name: string, passphrase = "", type = "ed25519"): KeyPair {
    const path = join(directory, name);
    execFileSync("ssh-keygen", ["-q", "-t", type, "-N", passphrase, "-C", "test", "-f", path]);
    return { path, privateKey: readFileSync(path, "utf8"), publicKey: readFileSync(`${path}.pub`, "utf8").trim() };
}

/** A key pair on disk and in memory. */
export interface KeyPair {
    path: string;
    privateKey: string;
    publicKey: string;
}

/** A port on which nobody listens at the moment. */
export function freePort(): Promise<number> {
    return new Promise((resolve, reject) => {
        const server = createServer();
        server.once("error", reject);
        server.listen(0, "127.0.0.1", () => {
            const address = server.address();
            server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
        });
    });
}

function accepts(port: number): Promise<boolean> {
    return new Promise((resolve) => {
        const socket = connect(port, "127.0.0.1");
        socket.once("data", () => {
            socket.destroy();
            resolve(true);
        });
        socket.once("error", () => resolve(false));
        socket.once("close", () => resolve(false));
    });
}

function descendants(pid: number): number[] {
    let children: number[] = [];
    try {
        children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
    } catch {
        // It has ended meanwhile.
    }
    return children.flatMap((child) => [child, ...descendants(child)]);
}

function kill(pid: number): void {
    try {
        process.kill(pid, "SIGKILL");
    } catch {
        // It has ended meanwhile.
    }
}

/** Starts an sshd and waits until it answers. */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
    const directory = mkdtempSync(join(tmpdir(), "sshd-"));
    // sshd reads authorized_keys as the user who logs in.
    chmodSync(directory, 0o755);
    const port = options.port ?? (await freePort());
    const hostKey: Record<string, string> = {};
    const lines = [...(options.config ?? [])];
    for (const type of options.hostKeys ?? ["ed25519"]) {
        const key = makeKey(directory, `host_${type}`, "", type);
        hostKey[type] = key.publicKey.split(" ").slice(0, 2).join(" ");
        lines.push(`HostKey ${key.path}`);
    }
    const authorized = join(directory, "authorized_keys");
    writeFileSync(authorized, (options.authorized ?? []).map((line) => `${line}\n`).join(""), { mode: 0o644 });
    lines.push(
        `Port ${port}`,
        "ListenAddress 127.0.0.1",
        `AuthorizedKeysFile ${authorized}`,
        `PidFile ${directory}/pid`,
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin yes",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PrintMotd no",
        "LogLevel VERBOSE",
    );
    const file = join(directory, "sshd_config");
    writeFileSync(file, `${lines.join("\n")}\n`);
    if (userInfo().uid === 0) {
        execFileSync("mkdir", ["-p", "/run/sshd"]);
    }
    const child: ChildProcess = spawn(binary, ["-D", "-e", "-f", file], { stdio: ["ignore", "ignore", "pipe"] });
    let log = "";
    child.stderr?.on("data", (chunk: Buffer) => {
        log += chunk.toString();
    });
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const pid = child.pid ?? 0;
    while (!(await accepts(port))) {
        if (child.exitCode !== null) {
            throw new Error(`sshd did not start: ${log}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return {
        port,
        pid,
        directory,
        hostKey,
        log: () => log,
        sessions: () => descendants(pid),
        stop: async () => {
            // Its children are killed with it: a session would outlive the listener.
            for (const one of [pid, ...descendants(pid)]) {
                kill(one);
            }
            await ended;
            rmSync(directory, { recursive: true, force: true });
        },
    };
}
