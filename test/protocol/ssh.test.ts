import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
    chmodSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    rmSync,
    writeFileSync,
} from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { transformFileSync } from "@swc/core";
import { type ConnectionInput, connectionSchema } from "../../provider/ssh/connection";
import { ConnectionError } from "../../provider/ssh/errors";
import { limits } from "../../provider/ssh/limits";
import { closeAll, counters, runScript, type ScriptOptions } from "../../provider/ssh/session";
import { type Account, makeAccount, mayMakeAccounts } from "./support/accounts";
import { freePort, haveSshd, type KeyPair, makeKey, type Sshd, type SshdOptions, startSshd } from "./support/sshd";

/** Our side against a real OpenSSH. What a dishonest server can do is in ssh-hostile.test.ts. */

if (!haveSshd) {
    throw new Error("These tests need OpenSSH's sshd (Debian: openssh-server)");
}

const me = userInfo().username;
const plain = { ...limits };
const running: Sshd[] = [];
const accounts: Account[] = [];
let directory: string;
let key: KeyPair;

beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "ssh-test-"));
    key = makeKey(directory, "id");
    delete process.env["SSH_AUTH_SOCK"];
});

beforeEach(() => {
    limits.firstDialDelay = 5;
    limits.longestDialDelay = 50;
});

afterEach(async () => {
    await closeAll();
    await Promise.all(running.splice(0).map((sshd) => sshd.stop()));
    for (const account of accounts.splice(0)) {
        account.remove();
    }
    Object.assign(limits, plain);
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function start(options: SshdOptions = {}): Promise<Sshd> {
    const sshd = await startSshd({ authorized: [key.publicKey], ...options });
    running.push(sshd);
    return sshd;
}

function account(shell?: string): Account {
    const made = makeAccount(shell);
    accounts.push(made);
    return made;
}

/** A connection to a test's sshd, with our key and the host's, and what the test says differently. */
function to(sshd: { port: number; hostKey?: Record<string, string> }, different: Partial<ConnectionInput> = {}) {
    const base = {
        host: "127.0.0.1",
        port: sshd.port,
        user: me,
        privateKey: key.privateKey,
        hostKey: sshd.hostKey?.["ed25519"],
        dialErrorLimit: 2,
        perDialTimeout: 20,
    };
    const entries = Object.entries({ ...base, ...different }).filter(([, value]) => value !== undefined);
    return connectionSchema.parse(Object.fromEntries(entries));
}

const run = (connection: ReturnType<typeof to>, script = "echo hello", options: Partial<ScriptOptions> = {}) =>
    runScript(connection, script, { timeout: 60, ...options });

/** The error that a call ends with. */
async function failureOf(call: Promise<unknown>): Promise<ConnectionError> {
    const error = await call.then(
        () => undefined,
        (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ConnectionError);
    return error as ConnectionError;
}

const hello = { status: 0, stdout: "hello\n", stderr: "", truncated: false };

/** Waits for something that another process is about to do. */
async function until(condition: () => boolean): Promise<void> {
    while (!condition()) {
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

const asRoot = mayMakeAccounts ? test : test.skip;

describe("a script", () => {
    test("gives back status, output and standard error", async () => {
        const sshd = await start();
        const result = await run(to(sshd), "printf 'a\\nb'; printf 'e\\n' >&2; exit 3");
        expect(result).toEqual({ status: 3, stdout: "a\nb", stderr: "e\n", truncated: false });
        expect(await run(to(sshd), "kill -KILL $$")).toMatchObject({ status: null, signal: "SIGKILL" });
        expect(await run(to(sshd), "")).toMatchObject({ status: 0, stdout: "" });
    });

    test("is never in an argument list, and may be large", async () => {
        const sshd = await start();
        const script = `: 'needle-in-argv ${"x".repeat(3_000_000)}'\ntr '\\0' '\\n' < /proc/$$/cmdline; ps -ef; echo end`;
        const result = await run(to(sshd), script);
        expect(result.stdout).toContain("end");
        expect(result.stdout).not.toContain("needle-in-argv");
        expect(result.stdout.split("\n")[0]).toBe("sh");
    });

    test("is bounded in what it prints", async () => {
        const sshd = await start();
        const error = await failureOf(run(to(sshd), "cat /dev/zero", { maxBytes: 1_000_000 }));
        expect(error).toMatchObject({ kind: "protocol", sent: true });
        expect(error.message).toContain("1000000 bytes");
        const noisy = await failureOf(run(to(sshd), "cat /dev/zero >&2", { maxBytes: 1_000_000 }));
        expect(noisy.kind).toBe("protocol");
        const exact = await run(to(sshd), "head -c 900000 /dev/zero", { maxBytes: 1_000_000 });
        expect(exact.stdout).toHaveLength(900_000);
    });

    test("keeps the tail of much standard error", async () => {
        limits.errorBytes = 1000;
        const sshd = await start();
        const result = await run(to(sshd), "i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done");
        expect(result.truncated).toBe(true);
        expect(result.stderr.length).toBeLessThanOrEqual(1000);
        expect(result.stderr).toMatch(/line 1999\n$/);
    });

    test("that hangs is given up after its time, and the next one gets a connection of its own", async () => {
        const sshd = await start();
        const connection = to(sshd);
        const error = await failureOf(run(connection, "echo waiting for godot >&2; sleep 60", { timeout: 1 }));
        expect(error).toMatchObject({ kind: "timeout", sent: true });
        expect(error.message).toContain("waiting for godot");
        const before = counters.handshakes;
        expect(await run(connection)).toEqual(hello);
        expect(counters.handshakes).toBe(before + 1);
    });

    test("that hangs does not take others on the same connection down", async () => {
        const sshd = await start();
        const connection = to(sshd);
        const marker = join(directory, "go");
        const other = run(connection, `while ! [ -e ${marker} ]; do sleep 0.05; done; echo hello`);
        await failureOf(run(connection, "sleep 60", { timeout: 1 }));
        writeFileSync(marker, "");
        expect(await other).toEqual(hello);
        rmSync(marker);
    });

    test("whose child keeps the output open ends all the same", async () => {
        limits.lingering = 300;
        const sshd = await start();
        const result = await run(to(sshd), "sleep 30 & echo hello");
        expect(result).toEqual({ ...hello, truncated: true });
    });
});

describe("one connection per host", () => {
    test("serves ten scripts at once, four at a time, after one handshake", async () => {
        const sshd = await start();
        const connection = to(sshd);
        const before = { handshakes: counters.handshakes, scripts: counters.scripts };
        const sent = counters.bytesSent;
        const received = counters.bytesReceived;
        const count = join(directory, "count");
        execFileSync("mkdir", ["-p", count]);
        const script = `: > ${count}/$$; ls ${count} | wc -l; sleep 0.2; rm ${count}/$$`;
        const results = await Promise.all(Array.from({ length: 10 }, () => run(connection, script)));
        const atOnce = results.map((result) => Number(result.stdout));
        expect(Math.max(...atOnce)).toBeLessThanOrEqual(4);
        expect(Math.max(...atOnce)).toBeGreaterThan(1);
        expect(counters.handshakes - before.handshakes).toBe(1);
        expect(counters.scripts - before.scripts).toBe(10);
        expect(counters.bytesSent - sent).toBeGreaterThan(10 * script.length);
        expect(counters.bytesReceived).toBeGreaterThan(received);
        expect(sshd.log().match(/Accepted publickey/g)).toHaveLength(1);
    });

    test("is not shared between different credentials", async () => {
        const sshd = await start();
        const before = counters.handshakes;
        await run(to(sshd));
        await run(to(sshd, { perDialTimeout: 19 }));
        expect(counters.handshakes - before).toBe(2);
    });

    test("does not keep the process alive, and neither does one to a bastion", async () => {
        const sshd = await start();
        const hops = [to(sshd), { ...to(sshd), proxy: { ...to(sshd), proxy: undefined, sudo: undefined } }];
        const program = `
            const { runScript } = require(${JSON.stringify(join(directory, "out/session.js"))});
            const { connectionSchema } = require(${JSON.stringify(join(directory, "out/connection.js"))});
            (async () => {
                for (const hop of ${JSON.stringify(hops)}) {
                    console.log((await runScript(connectionSchema.parse(hop), "echo hello", { timeout: 60 })).stdout);
                }
            })();`;
        const root = join(__dirname, "../..");
        const built = join(directory, "out");
        mkdirSync(built);
        for (const file of readdirSync(join(root, "provider/ssh"))) {
            const { code } = transformFileSync(join(root, "provider/ssh", file), {
                jsc: { parser: { syntax: "typescript" }, target: "es2022" },
                module: { type: "commonjs" },
            });
            writeFileSync(join(built, file.replace(/ts$/, "js")), code);
        }
        const env = { ...process.env, NODE_PATH: join(root, "node_modules") };
        const output = execFileSync("node", ["-e", program], { encoding: "utf8", env, timeout: 120_000 });
        expect(output).toBe("hello\n\nhello\n\n");
    });

    test("can be closed any number of times, and opened again", async () => {
        const sshd = await start();
        const connection = to(sshd);
        await closeAll();
        const scripts = Array.from({ length: 6 }, () => failureOf(run(connection, "sleep 60")));
        await until(() => sshd.sessions().length > 4);
        await Promise.all([closeAll(), closeAll()]);
        for (const error of await Promise.all(scripts)) {
            expect(error.kind).toBe("lost");
        }
        expect(await run(connection)).toEqual(hello);
    });
});

describe("logging in", () => {
    test("by a key on disk", async () => {
        const sshd = await start();
        expect(await run(to(sshd, { privateKey: undefined, privateKeyPath: key.path }))).toEqual(hello);
        const error = await failureOf(run(to(sshd, { privateKey: undefined, privateKeyPath: `${key.path}-missing` })));
        expect(error).toMatchObject({ kind: "authentication", sent: false });
        expect(error.message).toContain("cannot be read");
    });

    test.each(["ed25519", "rsa", "ecdsa"])("by an %s key with a passphrase", async (type) => {
        const locked = makeKey(directory, `locked-${type}`, "open sesame", type);
        const sshd = await start({ authorized: [locked.publicKey] });
        const privateKey = locked.privateKey;
        expect(await run(to(sshd, { privateKey, privateKeyPassword: "open sesame" }))).toEqual(hello);
        for (const privateKeyPassword of [undefined, "wrong-passphrase"]) {
            const error = await failureOf(run(to(sshd, { privateKey, privateKeyPassword })));
            expect(error).toMatchObject({ kind: "authentication", sent: false });
            expect(error.remedy).toContain("privateKeyPassword");
            expect(error.message).not.toContain("wrong-passphrase");
        }
    });

    test("by an agent, named or of the environment", async () => {
        const sshd = await start();
        const socket = join(directory, "agent");
        const agent: ChildProcess = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
        try {
            await until(() => existsSync(socket));
            const none = await failureOf(run(to(sshd, { privateKey: undefined, agentSocketPath: socket })));
            expect(none.kind).toBe("authentication");
            execFileSync("ssh-add", ["-q", key.path], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
            expect(await run(to(sshd, { privateKey: undefined, agentSocketPath: socket }))).toEqual(hello);
            process.env["SSH_AUTH_SOCK"] = socket;
            expect(await run(to(sshd, { privateKey: undefined }))).toEqual(hello);
        } finally {
            delete process.env["SSH_AUTH_SOCK"];
            agent.kill();
        }
        const dead = await failureOf(run(to(sshd, { privateKey: undefined, agentSocketPath: `${socket}-dead` })));
        expect(dead).toMatchObject({ kind: "authentication" });
        expect(dead.message).toContain("the agent failed");
    });

    test("with no credentials at all says so", async () => {
        const error = await failureOf(run(to(await start(), { privateKey: undefined })));
        expect(error.kind).toBe("authentication");
        expect(error.message).toContain("no credentials");
    });

    test("with a wrong key is refused once, not again and again", async () => {
        const sshd = await start({ authorized: [] });
        const error = await failureOf(run(to(sshd, { dialErrorLimit: 10 })));
        expect(error).toMatchObject({ kind: "authentication", sent: false, host: `127.0.0.1:${sshd.port}` });
        expect(error.message).toContain(`refused user ${me}`);
        expect(error.message).toContain("publickey");
        expect(error.message).not.toContain(key.privateKey.split("\n")[1]);
        expect(sshd.log().match(/Failed publickey|Connection closed by auth/g)?.length).toBeLessThanOrEqual(2);
    });

    asRoot("by a password, and by keyboard-interactive where that is all there is", async () => {
        const { user, password } = account();
        const byPassword = await start({ config: ["PasswordAuthentication yes"] });
        const connection = to(byPassword, { user, password, privateKey: undefined });
        expect(await run(connection, "id -un")).toMatchObject({ stdout: `${user}\n` });
        const wrong = await failureOf(run(to(byPassword, { user, password: "hunter2000", privateKey: undefined })));
        expect(wrong.kind).toBe("authentication");
        expect(wrong.message).not.toContain("hunter2000");
        const byPrompt = await start({ config: ["KbdInteractiveAuthentication yes", "UsePAM yes"] });
        const prompted = to(byPrompt, { user, password, privateKey: undefined });
        expect(await run(prompted, "id -un")).toMatchObject({ stdout: `${user}\n` });
        expect(byPrompt.log()).toContain("Accepted keyboard-interactive/pam");
    });

    asRoot("by key and password where the host wants both", async () => {
        const { user, password } = account();
        for (const both of ["publickey,password", "password,publickey"]) {
            const sshd = await start({ config: ["PasswordAuthentication yes", `AuthenticationMethods ${both}`] });
            expect(await run(to(sshd, { user, password }))).toEqual(hello);
            expect((await failureOf(run(to(sshd, { user })))).kind).toBe("authentication");
        }
    });
});

describe("the host's key", () => {
    test("is taken from known_hosts, plain or hashed, and unknown hosts are refused", async () => {
        const sshd = await start({ hostKeys: ["rsa", "ecdsa", "ed25519"] });
        for (const type of ["ed25519", "rsa", "ecdsa"]) {
            const file = join(directory, `known-${type}`);
            writeFileSync(file, `[127.0.0.1]:${sshd.port} ${sshd.hostKey[type]}\n`);
            expect(await run(to(sshd, { hostKey: undefined, knownHosts: file }))).toEqual(hello);
            execFileSync("ssh-keygen", ["-q", "-H", "-f", file], { stdio: "ignore" });
            expect(readFileSync(file, "utf8")).not.toContain("127.0.0.1");
            await closeAll();
            expect(await run(to(sshd, { hostKey: undefined, knownHosts: [file] }))).toEqual(hello);
        }
        const empty = join(directory, "known-none");
        writeFileSync(empty, "");
        const error = await failureOf(run(to(sshd, { hostKey: undefined, knownHosts: empty, dialErrorLimit: 10 })));
        expect(error).toMatchObject({ kind: "host-key", sent: false });
        const shown = execFileSync("ssh-keygen", ["-lf", join(sshd.directory, "host_ed25519.pub")], {
            encoding: "utf8",
        });
        expect(error.message).toContain(shown.split(" ")[1]);
        expect(error.remedy).toContain(sshd.hostKey["ed25519"]);
        expect(sshd.log()).not.toContain("Failed");
    });

    test("that changed is refused with both fingerprints, before any credential is sent", async () => {
        const first = await start();
        expect(await run(to(first))).toEqual(hello);
        await closeAll();
        await first.stop();
        const second = await start({ port: first.port, config: ["PasswordAuthentication yes"] });
        const error = await failureOf(run(to(first, { password: "hunter2000" })));
        expect(error).toMatchObject({ kind: "host-key", sent: false });
        expect(error.message.match(/SHA256:[A-Za-z0-9+/]{43}/g)).toHaveLength(2);
        expect(error.remedy).toContain("hostKey");
        await until(() => /Connection (closed|reset)|Received disconnect/.test(second.log()));
        expect(second.log()).not.toMatch(/userauth|Failed|Accepted/);
    });

    test("is ignored only when told so, with one warning", async () => {
        const sshd = await start();
        const warn = jest.spyOn(console, "warn").mockImplementation(() => {});
        try {
            const connection = to(sshd, { hostKey: undefined, insecureIgnoreHostKey: true });
            expect(await run(connection)).toEqual(hello);
            await closeAll();
            expect(await run(connection)).toEqual(hello);
            expect(warn).toHaveBeenCalledTimes(1);
            expect(warn.mock.calls[0]?.[0]).toContain("not verified");
        } finally {
            warn.mockRestore();
        }
    });
});

describe("a bastion", () => {
    const hop = (sshd: Sshd, different: object = {}) => ({
        host: "127.0.0.1",
        port: sshd.port,
        user: me,
        privateKey: key.privateKey,
        hostKey: sshd.hostKey["ed25519"],
        dialErrorLimit: 2,
        ...different,
    });

    test("is passed through, once for all the hosts behind it", async () => {
        const [bastion, one, two] = await Promise.all([start(), start(), start()]);
        const before = counters.handshakes;
        const scripts = [one, two, one, two].map((sshd) => run(to(sshd, { proxy: hop(bastion) })));
        expect(await Promise.all(scripts)).toEqual([hello, hello, hello, hello]);
        expect(counters.handshakes - before).toBe(3);
        expect(bastion.log().match(/Accepted publickey/g)).toHaveLength(1);
    });

    test("has its own host key verified, and so has the host behind it", async () => {
        const [bastion, host] = await Promise.all([start(), start()]);
        const wrong = { hostKey: host.hostKey["ed25519"] };
        const first = await failureOf(run(to(host, { proxy: hop(bastion, wrong) })));
        expect(first).toMatchObject({ kind: "host-key", host: `127.0.0.1:${bastion.port}` });
        expect(first.message).toContain(`on the way to 127.0.0.1:${host.port} via`);
        const second = await failureOf(run(to(host, { proxy: hop(bastion), hostKey: bastion.hostKey["ed25519"] })));
        expect(second).toMatchObject({ kind: "host-key" });
        expect(second.host).toBe(`127.0.0.1:${host.port} via 127.0.0.1:${bastion.port}`);
    });

    test("that cannot reach the host, or must not, says so", async () => {
        const bastion = await start();
        const nobody = { port: await freePort(), hostKey: bastion.hostKey };
        const error = await failureOf(run(to(nobody, { proxy: hop(bastion) })));
        expect(error).toMatchObject({ kind: "unreachable", sent: false });
        expect(error.message).toContain("the bastion answered");
        const strict = await start({ config: ["AllowTcpForwarding no"] });
        const refused = await failureOf(run(to(bastion, { proxy: hop(strict) })));
        expect(refused.kind).toBe("protocol");
        expect(refused.remedy).toContain("AllowTcpForwarding");
    });

    test("that dies takes its hosts' connections with it, and the next call makes new ones", async () => {
        const [bastion, host] = await Promise.all([start(), start()]);
        const connection = to(host, { proxy: hop(bastion) });
        const script = failureOf(run(connection, "sleep 60"));
        await until(() => host.sessions().length > 2);
        for (const pid of bastion.sessions()) {
            process.kill(pid, "SIGKILL");
        }
        expect(await script).toMatchObject({ kind: "lost", sent: true });
        expect(await run(connection)).toEqual(hello);
    });
});

describe("a host that is short of something", () => {
    test("two sessions at once are enough for ten scripts", async () => {
        const sshd = await start({ config: ["MaxSessions 2"] });
        const results = await Promise.all(Array.from({ length: 10 }, () => run(to(sshd), "sleep 0.1; echo hello")));
        expect(results).toEqual(results.map(() => hello));
        expect(sshd.log()).toContain("no more sessions");
        expect(sshd.log().match(/Accepted publickey/g)).toHaveLength(1);
    });

    test("no session at all is an error that says so", async () => {
        limits.firstSessionDelay = 2;
        const sshd = await start({ config: ["MaxSessions 0"] });
        const error = await failureOf(run(to(sshd)));
        expect(error).toMatchObject({ kind: "sessions", sent: false });
        expect(error.remedy).toContain("MaxSessions");
    });

    test("connections that it turns away are made again (MaxStartups 2)", async () => {
        limits.firstDialDelay = 50;
        const sshd = await start({ config: ["MaxStartups 2"] });
        const many = Array.from({ length: 12 }, (_, index) =>
            run(to(sshd, { dialErrorLimit: -1, perDialTimeout: 30 + index })),
        );
        expect(await Promise.all(many)).toEqual(many.map(() => hello));
        expect(sshd.log()).toMatch(/drop connection|past MaxStartups/);
    });

    test("nobody listening is `unreachable`, after as many attempts as allowed, and one when asked again", async () => {
        const port = await freePort();
        const error = await failureOf(run(to({ port }, { dialErrorLimit: 4 })));
        expect(error).toMatchObject({ kind: "unreachable", sent: false, host: `127.0.0.1:${port}` });
        expect(error.message).toContain("ECONNREFUSED");
        expect(error.message).toContain("the last of 4 attempts");
        const again = await failureOf(run(to({ port }, { dialErrorLimit: 4 })));
        expect(again.kind).toBe("unreachable");
        expect(again.message).not.toContain("attempts");
        const nowhere = await failureOf(run(to({ port }, { host: "no-such-host.invalid", dialErrorLimit: 1 })));
        expect(nowhere.kind).toBe("unreachable");
    });

    test("a host that comes up later is waited for", async () => {
        const port = await freePort();
        limits.unreachableMemory = 0;
        const early = await start();
        const warn = jest.spyOn(console, "warn").mockImplementation(() => {});
        try {
            const waiting = run(to({ port }, { dialErrorLimit: -1, hostKey: undefined, insecureIgnoreHostKey: true }));
            await run(to(early));
            await start({ port });
            expect(await waiting).toEqual(hello);
        } finally {
            warn.mockRestore();
        }
    });
});

describe("a connection that dies", () => {
    test("in the middle of a script is `lost`; the next call dials anew", async () => {
        const sshd = await start();
        const connection = to(sshd);
        const marker = join(directory, "begun");
        const script = failureOf(run(connection, `: > ${marker}; sleep 60`));
        await until(() => existsSync(marker));
        for (const pid of sshd.sessions()) {
            process.kill(pid, "SIGKILL");
        }
        expect(await script).toMatchObject({ kind: "lost", sent: true });
        expect(await run(connection)).toEqual(hello);
    });

    test("while it was idle is replaced without a word", async () => {
        const sshd = await start();
        const connection = to(sshd);
        expect(await run(connection)).toEqual(hello);
        const before = counters.handshakes;
        for (const pid of sshd.sessions()) {
            process.kill(pid, "SIGKILL");
        }
        expect(await run(connection)).toEqual(hello);
        expect(counters.handshakes).toBe(before + 1);
    });

    test("without a word (the host froze) is noticed by its silence", async () => {
        limits.keepaliveInterval = 50;
        limits.keepaliveMisses = 4;
        const sshd = await start();
        const connection = to(sshd);
        const marker = join(directory, "frozen");
        const script = failureOf(run(connection, `: > ${marker}; sleep 60`));
        await until(() => existsSync(marker));
        const frozen = sshd.sessions();
        for (const pid of frozen) {
            process.kill(pid, "SIGSTOP");
        }
        const error = await script;
        expect(error).toMatchObject({ kind: "lost", sent: true });
        expect(error.message).toContain("no sign of life");
    });

    test("for good, with its sshd, is `unreachable` next", async () => {
        const sshd = await start();
        const connection = to(sshd);
        const script = failureOf(run(connection, "sleep 60"));
        await until(() => sshd.sessions().length > 2);
        await sshd.stop();
        expect((await script).kind).toBe("lost");
        expect((await failureOf(run(connection))).kind).toBe("unreachable");
    });
});

describe("other users", () => {
    asRoot("become root by sudo, or are told what to change", async () => {
        const operator = account();
        const sshd = await start();
        const connection = to(sshd, { user: operator.user, sudo: true });
        const refused = await failureOf(run(connection, `: > ${join(directory, "ran")}`));
        expect(refused).toMatchObject({ kind: "sudo", sent: false });
        expect(refused.remedy).toContain(`${operator.user} ALL=(root) NOPASSWD: ALL`);
        expect(existsSync(join(directory, "ran"))).toBe(false);
        operator.allowSudo();
        expect(await run(connection, "id -u; echo oops >&2; exit 4")).toEqual({
            status: 4,
            stdout: "0\n",
            stderr: "oops\n",
            truncated: false,
        });
        expect(await run(to(sshd, { user: operator.user }), "id -un")).toMatchObject({ stdout: `${operator.user}\n` });
    });

    asRoot("without any sudo on the host are told the same", async () => {
        // A login shell that finds no command but sh: sudo is as good as absent.
        const shell = join(directory, "shell");
        writeFileSync(shell, '#!/bin/sh\nPATH=/nonexistent exec /bin/sh "$@"\n');
        chmodSync(shell, 0o755);
        chmodSync(directory, 0o755);
        const { user } = account(shell);
        const error = await failureOf(run(to(await start(), { user, sudo: true })));
        expect(error).toMatchObject({ kind: "sudo", sent: false });
        expect(error.message).toContain("127");
    });

    asRoot("may have a login shell that talks, is none of ours, or refuses", async () => {
        const sshd = await start();
        chmodSync(directory, 0o755);
        const noisy = join(directory, "noisy");
        writeFileSync(noisy, '#!/bin/sh\necho welcome; echo "motd" >&2\nexec /bin/sh "$@"\n');
        chmodSync(noisy, 0o755);
        const talks = await run(to(sshd, { user: account(noisy).user }));
        expect(talks).toMatchObject({ status: 0, stdout: "welcome\nhello\n", stderr: "" });
        for (const shell of ["/usr/bin/fish", "/bin/csh", "/usr/bin/zsh"].filter(existsSync)) {
            expect(await run(to(sshd, { user: account(shell).user }))).toEqual(hello);
        }
        const refuses = await failureOf(run(to(sshd, { user: account("/usr/sbin/nologin").user })));
        expect(refuses.kind).toBe("protocol");
        expect(refuses.message).toContain("not available");
    });
});
