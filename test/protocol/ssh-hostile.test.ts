import { createServer, connect as dialTcp, type Socket, type Server as TcpServer } from "node:net";
import { type Connection, Server, type ServerChannel, utils } from "ssh2";
import { type ConnectionInput, connectionSchema } from "../../provider/ssh/connection";
import { ConnectionError } from "../../provider/ssh/errors";
import { limits } from "../../provider/ssh/limits";
import { closeAll, runScript, type ScriptOptions } from "../../provider/ssh/session";

/** Whatever answers on the other side, this process gets an error in bounded time and memory, and lives on. */

const hostKey = utils.generateKeyPairSync("ed25519");
const plain = { ...limits };
const servers: { close(): void }[] = [];
const sockets = new Set<Socket>();

beforeEach(() => {
    limits.firstDialDelay = 1;
    limits.longestDialDelay = 5;
    limits.firstSessionDelay = 1;
    limits.goodbye = 100;
});

afterEach(async () => {
    await closeAll();
    for (const socket of sockets) {
        socket.destroy();
    }
    sockets.clear();
    for (const server of servers.splice(0)) {
        server.close();
    }
    Object.assign(limits, plain);
});

/** Lets a server listen; returns its port. */
function listen(server: Server | TcpServer): Promise<number> {
    servers.push(server);
    return new Promise((resolve) => {
        server.listen(0, "127.0.0.1", () => {
            const address = server.address();
            resolve(address !== null && typeof address === "object" ? address.port : 0);
        });
    });
}

/** A server that speaks no SSH of its own. */
const raw = (serve: (socket: Socket) => void) =>
    listen(
        createServer((socket) => {
            sockets.add(socket);
            socket.on("error", () => {});
            serve(socket);
        }),
    );

/** A server that speaks SSH and lets anybody in, and then does what the test wants. */
const speaking = (serve: (connection: Connection) => void) =>
    listen(
        new Server({ hostKeys: [hostKey.private] }, (connection) => {
            connection.on("error", () => {});
            connection.on("authentication", (context) => context.accept());
            serve(connection);
        }),
    );

/** A server that runs no command but answers each with what the test wants. */
const answering = (answer: (channel: ServerChannel) => void) =>
    speaking((connection) =>
        connection.on("session", (accept) => {
            accept().on("exec", (agree) => {
                const channel = agree();
                channel.on("error", () => {});
                answer(channel);
            });
        }),
    );

function run(port: number, different: Partial<ConnectionInput> = {}, options: Partial<ScriptOptions> = {}) {
    const connection = {
        host: "127.0.0.1",
        port,
        password: "hunter2000",
        hostKey: hostKey.public,
        dialErrorLimit: 2,
        perDialTimeout: 20,
    };
    return runScript(connectionSchema.parse({ ...connection, ...different }), "true\n", { timeout: 20, ...options });
}

/** The error that a call ends with; no part of it holds the password. */
async function failureOf(call: Promise<unknown>): Promise<ConnectionError> {
    const error = await call.then(
        () => undefined,
        (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ConnectionError);
    expect(JSON.stringify(error) + (error as Error).message).not.toContain("hunter2000");
    return error as ConnectionError;
}

const brief = { perDialTimeout: 0.5 };

describe("before the login", () => {
    test("a server that never says a word", async () => {
        expect(await failureOf(run(await raw(() => {}), brief))).toMatchObject({ kind: "timeout", sent: false });
    });

    test("a server that names itself and then falls silent", async () => {
        const port = await raw((socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n"));
        expect(await failureOf(run(port, brief))).toMatchObject({ kind: "timeout", sent: false });
    });

    test("a server that hangs up at once, with and without a word", async () => {
        const mute = await failureOf(run(await raw((socket) => socket.destroy()), { dialErrorLimit: 3 }));
        expect(mute).toMatchObject({ kind: "sessions", sent: false });
        expect(mute.message).toContain("the last of 3 attempts");
        const error = await failureOf(run(await raw((socket) => socket.end("Exceeded MaxStartups\r\n"))));
        expect(error.kind).toBe("sessions");
        expect(error.message).toContain("MaxStartups");
    });

    test("a web server", async () => {
        const port = await raw((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
        expect(["sessions", "protocol"]).toContain((await failureOf(run(port))).kind);
    });

    test.each([
        ["endless lines", () => Buffer.from("hello\r\n".repeat(1000))],
        ["an endless line", () => Buffer.alloc(10_000, "x")],
        ["noise after its name", () => Buffer.from("SSH-2.0-x\r\n" + "\u0000\u00ff\u0012".repeat(1000), "latin1")],
        ["a huge packet", () => Buffer.from("SSH-2.0-x\r\n\u007f\u00ff\u00ff\u00ff" + "x".repeat(1000), "latin1")],
        ["terminal codes", () => Buffer.from("\x1b[2J\x1b]0;gotcha\x07\r\n".repeat(1000))],
    ])("a server that sends %s", async (_name, bytes) => {
        const port = await raw((socket) => {
            const pour = () => {
                while (!socket.destroyed && socket.write(bytes()));
            };
            socket.on("drain", pour);
            pour();
        });
        const error = await failureOf(run(port, brief));
        expect(["protocol", "sessions", "timeout"]).toContain(error.kind);
        expect(error.message).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
    });

    test("a server that has another key gets no credential", async () => {
        const other = utils.generateKeyPairSync("ed25519");
        let asked = 0;
        const port = await speaking((connection) => connection.on("authentication", () => asked++));
        const error = await failureOf(run(port, { hostKey: other.public }));
        expect(error.kind).toBe("host-key");
        expect(asked).toBe(0);
    });

    test("a server that never answers the login", async () => {
        const port = await listen(
            new Server({ hostKeys: [hostKey.private] }, (connection) => {
                connection.on("error", () => {});
                connection.on("authentication", () => {});
            }),
        );
        expect(await failureOf(run(port, { perDialTimeout: 1 }))).toMatchObject({ kind: "timeout", sent: false });
    });

    test("a server that asks and asks", async () => {
        let rounds = 0;
        const port = await listen(
            new Server({ hostKeys: [hostKey.private] }, (connection) => {
                connection.on("error", () => {});
                connection.on("authentication", (context) => {
                    if (context.method !== "keyboard-interactive") {
                        context.reject(["keyboard-interactive"]);
                        return;
                    }
                    const ask = () => {
                        rounds++;
                        setImmediate(() => context.prompt([{ prompt: "Password: ", echo: false }], ask));
                    };
                    ask();
                });
            }),
        );
        const error = await failureOf(run(port, { perDialTimeout: 1 }));
        expect(["authentication", "timeout"]).toContain(error.kind);
        expect(rounds).toBeGreaterThan(0);
    });
});

describe("after the login", () => {
    test("a server that opens no session", async () => {
        const port = await speaking((connection) => connection.on("session", () => {}));
        expect(await failureOf(run(port, brief))).toMatchObject({ kind: "timeout", sent: false });
    });

    test("a server that refuses every session", async () => {
        const port = await speaking((connection) => connection.on("session", (_accept, reject) => reject()));
        expect(await failureOf(run(port))).toMatchObject({ kind: "sessions", sent: false });
    });

    test("a server that refuses every command, or never agrees to one", async () => {
        const refusing = await speaking((connection) =>
            connection.on("session", (accept) => {
                accept().on("exec", (_accept, reject) => reject());
            }),
        );
        expect(await failureOf(run(refusing))).toMatchObject({ kind: "protocol", sent: false });
        const mute = await speaking((connection) =>
            connection.on("session", (accept) => {
                accept().on("exec", () => {});
            }),
        );
        expect(await failureOf(run(mute, brief))).toMatchObject({ kind: "timeout", sent: false });
    });

    test.each(["stdout", "stderr"] as const)("a server that prints without end on %s", async (name) => {
        const port = await answering((channel) => {
            const stream = name === "stdout" ? channel : channel.stderr;
            const block = Buffer.alloc(32_768, "x");
            const pour = () => {
                while (stream.write(block));
                stream.once("drain", pour);
            };
            pour();
        });
        const error = await failureOf(run(port, {}, { maxBytes: 5_000_000 }));
        expect(error).toMatchObject({ kind: "protocol", sent: true });
    });

    test("a server that never ends a script", async () => {
        const port = await answering(() => {});
        expect(await failureOf(run(port, {}, { timeout: 0.3 }))).toMatchObject({ kind: "timeout", sent: true });
    });

    test("a server that ends a session without a status", async () => {
        const port = await answering((channel) => channel.close());
        expect(await failureOf(run(port))).toMatchObject({ kind: "lost", sent: true });
    });

    test("a server that cuts the connection in the middle of a script", async () => {
        const port = await speaking((connection) =>
            connection.on("session", (accept) => {
                accept().on("exec", (agree) => {
                    agree();
                    connection.end();
                });
            }),
        );
        expect(await failureOf(run(port))).toMatchObject({ kind: "lost" });
    });

    test("a server whose answer is full of terminal codes", async () => {
        const port = await answering((channel) => {
            channel.stderr.write("\x1b]0;gotcha\x07 hunter2000 \u202e");
            channel.exit(9);
            channel.end();
        });
        const error = await failureOf(run(port));
        expect(error.kind).toBe("protocol");
        expect(error.message).toContain("\\x1b]0;gotcha\\x07 [secret] \\u202e");
    });

    test("a server that sends its status twice, and a strange signal", async () => {
        const port = await answering((channel) => {
            channel.exit("\x1b[31mKILL" as never, false, "x");
            channel.exit(0);
            channel.end();
        });
        const error = await failureOf(run(port));
        expect(error.message).not.toContain("\x1b");
    });
});

describe("a line that cuts or spoils what passes", () => {
    /** A server behind a line that does something to the byte at `offset`, in one direction. */
    async function through(target: number, offset: number, toClient: boolean, spoil: (byte: number) => number | "cut") {
        return raw((near) => {
            const far = dialTcp(target, "127.0.0.1");
            sockets.add(far);
            far.on("error", () => near.destroy());
            const pass = (from: Socket, to: Socket, harmful: boolean) => {
                let seen = 0;
                from.on("data", (chunk: Buffer) => {
                    const at = offset - seen;
                    seen += chunk.length;
                    if (harmful && at >= 0 && at < chunk.length) {
                        const byte = spoil(chunk[at] ?? 0);
                        if (byte === "cut") {
                            to.write(chunk.subarray(0, at));
                            near.destroy();
                            far.destroy();
                            return;
                        }
                        chunk[at] = byte;
                    }
                    to.write(chunk);
                });
                from.on("close", () => to.destroy());
            };
            pass(near, far, !toClient);
            pass(far, near, toClient);
        });
    }

    const good = () =>
        answering((channel) => {
            channel.once("data", () => {
                channel.stderr.write("said\n");
                channel.write("x".repeat(500));
                channel.exit(0);
                channel.end();
            });
        });

    const offsets = [
        ...Array.from({ length: 20 }, (_, index) => index),
        ...Array.from({ length: 25 }, (_, index) => 50 + index * 97),
    ];

    test.each([
        ["cut", "towards us", true],
        ["cut", "towards the host", false],
        ["spoiled", "towards us", true],
        ["spoiled", "towards the host", false],
    ] as const)("%s at any byte, %s: an answer or an error, never a crash", async (what, _direction, toClient) => {
        const target = await good();
        const tally = { answers: 0, errors: 0 };
        for (const offset of offsets) {
            const spoil = (byte: number) => (what === "cut" ? ("cut" as const) : byte ^ 0x55);
            const port = await through(target, offset, toClient, spoil);
            try {
                // What was spoiled may have been a length: then the rest is waited for in vain.
                const call = run(port, { dialErrorLimit: 1, perDialTimeout: 0.5 }, { timeout: 0.5 });
                expect(await call).toMatchObject({ status: 0, stdout: "x".repeat(500) });
                tally.answers++;
            } catch (error) {
                expect(error).toBeInstanceOf(ConnectionError);
                tally.errors++;
            }
            await closeAll();
        }
        expect(tally.errors).toBeGreaterThan(offsets.length / 2);
        expect(tally.answers + tally.errors).toBe(offsets.length);
    });
});
