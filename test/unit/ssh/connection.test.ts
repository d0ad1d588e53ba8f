import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
    type ConnectionInput,
    connectionKey,
    connectionSchema,
    connectionSecrets,
    describeConnection,
} from "../../../provider/ssh/connection";

const privateKey = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN4C8sFHSDPlV+kLnA3EIOAwqlL+2zF5KUyxpQ2hGyCk";

const parse = (input: ConnectionInput) => connectionSchema.parse(input);

/** Paths and messages of what is wrong with an input. */
function complaints(input: unknown): string[] {
    const result = connectionSchema.safeParse(input);
    return result.success ? [] : result.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
}

test("defaults are those of @pulumi/command, with host keys verified and no sudo", () => {
    expect(parse({ host: "lb1" })).toEqual({
        host: "lb1",
        port: 22,
        user: "root",
        dialErrorLimit: 10,
        perDialTimeout: 15,
        insecureIgnoreHostKey: false,
        sudo: false,
    });
});

test("a full @pulumi/command connection is accepted as it is", () => {
    const all = {
        host: "10.0.0.1",
        port: 2222,
        user: "ops",
        password: "p",
        privateKey,
        privateKeyPassword: "x",
        agentSocketPath: "/run/agent",
        hostKey,
        dialErrorLimit: -1,
        perDialTimeout: 5,
        proxy: { host: "bastion", port: 22, user: "jump", password: "q", dialErrorLimit: 3, perDialTimeout: 4 },
    };
    expect(parse(all)).toMatchObject(all);
});

test.each([
    ["no host", {}, "host: "],
    ["an empty host", { host: "" }, "host: must not be empty"],
    ["a host with a user", { host: "root@lb1" }, "host: must be the host alone"],
    ["a host with brackets", { host: "[::1]" }, "host: is written without brackets"],
    ["a host with a newline", { host: "lb1\nx" }, "host: must not contain spaces or control"],
    ["port 0", { host: "h", port: 0 }, "port: "],
    ["a port as text", { host: "h", port: "22" }, "port: "],
    ["a port of a half", { host: "h", port: 22.5 }, "port: "],
    ["a user with a control character", { host: "h", user: "a\u0000b" }, "user: must not contain control"],
    ["a public key in privateKey", { host: "h", privateKey: hostKey }, "privateKey: is not a private key"],
    ["a path in privateKey", { host: "h", privateKey: "~/.ssh/id" }, "privateKey: is not a private key"],
    ["both ways to give a key", { host: "h", privateKey, privateKeyPath: "/k" }, "privateKeyPath: give `privateKey`"],
    ["a host key with a host", { host: "h", hostKey: `h ${hostKey}` }, "hostKey: must begin with the key's type"],
    ["two host keys", { host: "h", hostKey: `${hostKey}\n${hostKey}` }, "hostKey: must be one line"],
    [
        "a host key of the wrong type",
        { host: "h", hostKey: hostKey.replace("ssh-ed25519", "ssh-rsa") },
        "hostKey: is not",
    ],
    [
        "a hostKey that is ignored",
        { host: "h", hostKey, insecureIgnoreHostKey: true },
        "insecureIgnoreHostKey: contradicts",
    ],
    ["dialErrorLimit -2", { host: "h", dialErrorLimit: -2 }, "dialErrorLimit: "],
    ["perDialTimeout 0", { host: "h", perDialTimeout: 0 }, "perDialTimeout: "],
    ["a field nobody knows", { host: "h", hostname: "x" }, 'Unrecognized key: "hostname"'],
    ["a second bastion", { host: "h", proxy: { host: "b", proxy: { host: "c" } } }, 'Unrecognized key: "proxy"'],
    [
        "a contradiction in the bastion",
        { host: "h", proxy: { host: "b", privateKey, privateKeyPath: "/k" } },
        "proxy.privateKeyPath: ",
    ],
])("%s is refused, with its path", (_name, input, expected) => {
    const found = complaints(input);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(expected);
});

test("a connection is described without secrets", () => {
    expect(describeConnection(parse({ host: "lb1.example", password: "hunter2" }))).toBe("lb1.example:22");
    expect(describeConnection(parse({ host: "10.0.0.1", proxy: { host: "bastion", port: 2222 } }))).toBe(
        "10.0.0.1:22 via bastion:2222",
    );
    expect(describeConnection(parse({ host: "2001:db8::1", port: 2222 }))).toBe("[2001:db8::1]:2222");
    expect(describeConnection({ ...parse({ host: "192.0.2.1" }), name: "lb1" })).toBe("lb1 (root@192.0.2.1:22)");
});

test("the key of a connection depends on every field, bastion and credentials included, and on nothing else", () => {
    const variants: ConnectionInput[] = [
        { host: "a" },
        { host: "b" },
        { host: "a", port: 23 },
        { host: "a", user: "x" },
        { host: "a", password: "1" },
        { host: "a", password: "2" },
        { host: "a", sudo: true },
        { host: "a", hostKey },
        { host: "a", proxy: { host: "p" } },
        { host: "a", proxy: { host: "q" } },
        { host: "a", proxy: { host: "p", password: "1" } },
    ];
    expect(new Set(variants.map((input) => connectionKey(parse(input)))).size).toBe(variants.length);
    expect(connectionKey(parse({ user: "root", port: 22, host: "a" }))).toBe(connectionKey(parse({ host: "a" })));
    expect(connectionKey({ ...parse({ host: "a" }), name: "lb1" })).toBe(connectionKey(parse({ host: "a" })));
    expect(connectionKey(parse({ host: "a", password: "hunter2" }))).toMatch(/^[0-9a-f]{64}$/);
});

test("the secrets of a connection are those of both its hops", () => {
    const connection = parse({
        host: "a",
        password: "one",
        privateKey,
        privateKeyPassword: "two",
        proxy: { host: "b", password: "three" },
    });
    expect(connectionSecrets(connection).sort()).toEqual([privateKey, "one", "three", "two"].sort());
    expect(connectionSecrets(parse({ host: "a", password: "" }))).toEqual([]);
});

test("keys of every kind that ssh-keygen writes are accepted", () => {
    const directory = mkdtempSync(join(tmpdir(), "keys-"));
    try {
        for (const type of ["ed25519", "rsa", "ecdsa"]) {
            for (const format of ["RFC4716", "PEM"]) {
                const path = join(directory, `${type}-${format}`);
                execFileSync("ssh-keygen", ["-q", "-t", type, "-m", format, "-N", "", "-f", path]);
                const connection = { host: "h", privateKey: readFileSync(path, "utf8") };
                expect(complaints({ ...connection, hostKey: readFileSync(`${path}.pub`, "utf8") })).toEqual([]);
            }
        }
    } finally {
        rmSync(directory, { recursive: true });
    }
});
