import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { connectionSchema } from "../../../provider/ssh/connection";
import {
    type ExpectedKey,
    expectKey,
    hostKeyAlgorithms,
    judgeKey,
    type KeyRefusal,
} from "../../../provider/ssh/host-key";
import {
    fingerprint,
    knownHostName,
    matchesHost,
    parseKnownHosts,
    readPublicKey,
} from "../../../provider/ssh/known-hosts";

let directory: string;
const keys: Record<string, { line: string; blob: Buffer }> = {};

beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "known-"));
    for (const name of ["ed25519", "rsa", "ecdsa", "other"]) {
        const path = join(directory, name);
        execFileSync("ssh-keygen", ["-q", "-t", name === "other" ? "ed25519" : name, "-N", "", "-f", path]);
        const line = readFileSync(`${path}.pub`, "utf8").split(" ").slice(0, 2).join(" ");
        keys[name] = { line, blob: Buffer.from(line.split(" ")[1] ?? "", "base64") };
    }
});

afterAll(() => rmSync(directory, { recursive: true }));

const key = (name: string) => keys[name]!;
const hop = (input: object) => connectionSchema.parse({ host: "lb1", ...input });

/** What a known_hosts text says about a host. */
async function known(text: string, input: object = {}) {
    const file = join(directory, "known_hosts");
    writeFileSync(file, text);
    const connection = hop({ knownHosts: file, ...input });
    const expected = (await expectKey(connection)) as ExpectedKey;
    return {
        algorithms: hostKeyAlgorithms(expected),
        judge: (name: string): KeyRefusal | undefined => judgeKey(expected, connection, key(name).blob),
    };
}

test("fingerprints are those of ssh-keygen", () => {
    const printed = execFileSync("ssh-keygen", ["-lf", join(directory, "ed25519.pub")], { encoding: "utf8" });
    expect(printed.split(" ")[1]).toBe(fingerprint(key("ed25519").blob));
});

test("patterns mean what they mean to ssh", () => {
    const meant = (hosts: string, name: string) => matchesHost(hosts, name);
    expect(meant("lb1,lb2", "lb2")).toBe(true);
    expect(meant("LB1", "lb1")).toBe(true);
    expect(meant("lb1", "LB1")).toBe(true);
    expect(meant("lb*", "lb12.example")).toBe(true);
    expect(meant("lb?", "lb12")).toBe(false);
    expect(meant("*.example,!bad.example", "good.example")).toBe(true);
    expect(meant("*.example,!bad.example", "bad.example")).toBe(false);
    expect(meant("!bad.example", "good.example")).toBe(false);
    expect(meant("[lb1]:2222", "[lb1]:2222")).toBe(true);
    expect(meant("lb.", "lbx")).toBe(false);
    expect(meant("", "")).toBe(true);
});

test("patterns agree with a regular expression, and need no exponential time", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "*", "?", "."), maxLength: 12 });
    const name = fc.string({ unit: fc.constantFrom("a", "b", "."), maxLength: 12 });
    fc.assert(
        fc.property(text, name, (pattern, host) => {
            const body = pattern.replaceAll(".", "\\.").replaceAll("*", ".*").replaceAll("?", ".");
            expect(matchesHost(pattern, host)).toBe(new RegExp(`^${body}$`).test(host));
        }),
        { numRuns: 5000 },
    );
    expect(matchesHost(`${"*a".repeat(2000)}b`, "a".repeat(20_000))).toBe(false);
});

test("hashed names, as ssh-keygen -H writes them, are found", async () => {
    const file = join(directory, "hashed");
    writeFileSync(file, `lb1 ${key("ed25519").line}\n[lb1]:2222 ${key("other").line}\n`);
    execFileSync("ssh-keygen", ["-q", "-H", "-f", file], { stdio: "ignore" });
    const text = readFileSync(file, "utf8");
    expect(text).not.toContain("lb1");
    expect((await known(text)).judge("ed25519")).toBeUndefined();
    expect((await known(text)).judge("other")).toBeDefined();
    expect((await known(text, { port: 2222 })).judge("other")).toBeUndefined();
});

test("a host on another port has lines of its own, and is lent those of port 22 when it has none", async () => {
    expect(knownHostName("LB1", 22)).toBe("lb1");
    expect(knownHostName("2001:db8::1", 2222)).toBe("[2001:db8::1]:2222");
    const lent = await known(`lb1 ${key("ed25519").line}\n`, { port: 2222 });
    expect(lent.judge("ed25519")).toBeUndefined();
    expect(lent.judge("other")?.reason).toContain("not known");
    const own = await known(`lb1 ${key("ed25519").line}\n[lb1]:2222 ${key("other").line}\n`, { port: 2222 });
    expect(own.judge("ed25519")?.reason).toContain("not the expected one");
});

test("a wrong key is refused with both fingerprints and a remedy", async () => {
    const refusal = (await known(`# comment\n\nlb1 ${key("ed25519").line} root@lb1\n`)).judge("other");
    expect(refusal?.reason).toContain(fingerprint(key("ed25519").blob));
    expect(refusal?.reason).toContain("known_hosts:3");
    expect(refusal?.reason).toContain(fingerprint(key("other").blob));
    expect(refusal?.remedy).toContain("ssh-keygen -R 'lb1'");
    expect(refusal?.remedy).toContain(key("other").line);
});

test("an unknown host is refused with its fingerprint, and with the line that would make it known", async () => {
    const refusal = (await known(`lb2 ${key("ed25519").line}\n`)).judge("ed25519");
    expect(refusal?.reason).toContain("not known");
    expect(refusal?.reason).toContain(fingerprint(key("ed25519").blob));
    expect(refusal?.remedy).toContain(key("ed25519").line);
    expect(refusal?.remedy).toContain("/etc/ssh/ssh_host_ed25519_key.pub");
});

test("a revoked key is refused, also when another line accepts it", async () => {
    const text = `lb1 ${key("ed25519").line}\n@revoked * ${key("ed25519").line}\nlb1 ${key("other").line}\n`;
    expect((await known(text)).judge("ed25519")?.reason).toContain("@revoked");
    expect((await known(text)).judge("other")).toBeUndefined();
});

test("a certificate authority is no key of the host, and the message says so", async () => {
    const refusal = (await known(`@cert-authority * ${key("ed25519").line}\n`)).judge("ed25519");
    expect(refusal?.reason).toContain("host certificates are not supported");
});

test("the types of the known keys are asked for first", async () => {
    expect((await known(`lb1 ${key("rsa").line}\n`)).algorithms.slice(0, 2)).toEqual(["rsa-sha2-512", "rsa-sha2-256"]);
    expect((await known(`lb1 ${key("ecdsa").line}\n`)).algorithms[0]).toBe("ecdsa-sha2-nistp256");
    expect((await known("")).algorithms[0]).toBe("ssh-ed25519");
    const expected = (await expectKey(hop({ hostKey: key("rsa").line }))) as ExpectedKey;
    expect(hostKeyAlgorithms(expected)[0]).toBe("rsa-sha2-512");
});

test("a named file that cannot be read is an error, and a broken line is none", async () => {
    const missing = await expectKey(hop({ knownHosts: join(directory, "missing") }));
    expect((missing as KeyRefusal).reason).toContain("cannot be read");
    const text = `lb1\nlb1 ssh-rsa\nlb1 ssh-rsa !!!!\n@unknown lb1 ${key("rsa").line}\nlb1 ${key("ed25519").line}`;
    expect(parseKnownHosts(text, "f").map((line) => line.where)).toEqual(["f:5"]);
});

test("no text, however strange, makes the parsers throw", () => {
    fc.assert(
        fc.property(fc.string({ unit: "binary", maxLength: 200 }), fc.uint8Array({ maxLength: 80 }), (text, bytes) => {
            parseKnownHosts(text, "f");
            readPublicKey(text);
            matchesHost(text, "lb1");
            readPublicKey(`ssh-ed25519 ${Buffer.from(bytes).toString("base64")}`);
            judgeKey(
                { accepted: [], lent: [], revoked: [], authorities: [], sources: [], ignored: false },
                hop({}),
                Buffer.from(bytes),
            );
        }),
        { numRuns: 2000 },
    );
});
