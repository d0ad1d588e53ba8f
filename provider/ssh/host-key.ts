import { readFile } from "node:fs/promises";
import type { ServerHostKeyAlgorithm } from "ssh2";
import { describeHop, type Hop } from "./connection";
import { expandHome } from "./home";
import {
    fingerprint,
    type KnownHost,
    keyType,
    knownHostName,
    matchesHost,
    type PublicKey,
    parseKnownHosts,
    readPublicKey,
} from "./known-hosts";

/** Whether the key that a host shows is the one it should show. */

/** What is known of a host's key before it is dialed. */
export interface ExpectedKey {
    /** Keys that are accepted, each with the place that says so. */
    accepted: (PublicKey & { where: string })[];
    /** Keys known for the same host name on port 22, when the host is on another port and has no line of its own. */
    lent: (PublicKey & { where: string })[];
    revoked: (PublicKey & { where: string })[];
    /** Lines for this host that name a certificate authority, which cannot be used. */
    authorities: string[];
    /** Where was looked, for messages. */
    sources: string[];
    /** Accept whatever comes. */
    ignored: boolean;
}

/** A refused host key, as parts of a message. */
export interface KeyRefusal {
    reason: string;
    remedy: string;
}

const algorithmsOfType: Record<string, ServerHostKeyAlgorithm[]> = {
    "ssh-ed25519": ["ssh-ed25519"],
    "ecdsa-sha2-nistp256": ["ecdsa-sha2-nistp256"],
    "ecdsa-sha2-nistp384": ["ecdsa-sha2-nistp384"],
    "ecdsa-sha2-nistp521": ["ecdsa-sha2-nistp521"],
    "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"],
};

/**
 * Gathers what is known of a host's key: `hostKey`, else the known_hosts files.
 *
 * @returns a {@link KeyRefusal} when a file that was named in the connection cannot be read. Missing default files are
 *   no error: they know no host.
 */
export async function expectKey(hop: Hop): Promise<ExpectedKey | KeyRefusal> {
    const expected: ExpectedKey = {
        accepted: [],
        lent: [],
        revoked: [],
        authorities: [],
        sources: [],
        ignored: hop.insecureIgnoreHostKey,
    };
    if (hop.insecureIgnoreHostKey) {
        return expected;
    }
    if (hop.hostKey !== undefined) {
        const key = readPublicKey(hop.hostKey);
        if (typeof key === "string") {
            return { reason: `hostKey ${key}`, remedy: "Correct `hostKey` in the connection." };
        }
        expected.accepted.push({ ...key, where: "hostKey" });
        expected.sources.push("hostKey");
        return expected;
    }
    const files =
        hop.knownHosts === undefined ? ["~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"] : [hop.knownHosts].flat();
    const name = knownHostName(hop.host, hop.port);
    for (const file of files) {
        expected.sources.push(file);
        let text: string;
        try {
            text = await readFile(expandHome(file), "utf8");
        } catch (error) {
            if (hop.knownHosts === undefined) {
                continue;
            }
            return {
                reason: `the known_hosts file cannot be read: ${(error as Error).message}`,
                remedy: "Correct `knownHosts` in the connection, or make the file readable.",
            };
        }
        for (const line of parseKnownHosts(text, file)) {
            const own = matchesHost(line.hosts, name);
            if (own || (name !== hop.host.toLowerCase() && matchesHost(line.hosts, hop.host))) {
                sort(expected, line, own);
            }
        }
    }
    return expected;
}

function sort(expected: ExpectedKey, line: KnownHost, own: boolean): void {
    if (line.marker === "revoked") {
        expected.revoked.push(line);
    } else if (line.marker === "cert-authority") {
        expected.authorities.push(line.where);
    } else {
        (own ? expected.accepted : expected.lent).push(line);
    }
}

/**
 * The order in which to ask for host-key algorithms: those of the known keys first. A server has several keys and
 * shows the one that the client likes best; if that is not the known one, a good host would look like a wrong one.
 */
export function hostKeyAlgorithms(expected: ExpectedKey): ServerHostKeyAlgorithm[] {
    const known = expected.accepted.length > 0 ? expected.accepted : expected.lent;
    const types = [...known.map((key) => key.type), ...Object.keys(algorithmsOfType)];
    return [...new Set(types.flatMap((type) => algorithmsOfType[type] ?? []))];
}

/** Judges the key that a host shows: undefined when it is accepted. */
export function judgeKey(expected: ExpectedKey, hop: Hop, blob: Buffer): KeyRefusal | undefined {
    if (expected.ignored) {
        return undefined;
    }
    const same = (key: PublicKey) => key.blob.equals(blob);
    const type = (keyType(blob) ?? "unknown type").replace(/[^\w@.+-]/g, "?");
    const shown = `${type} ${fingerprint(blob)}`;
    const name = knownHostName(hop.host, hop.port);
    const revoked = expected.revoked.find(same);
    if (revoked) {
        return {
            reason: `the host shows the key ${shown}, which ${revoked.where} marks as @revoked`,
            remedy: "Do not use this host until it has new keys: a revoked key may be in other hands.",
        };
    }
    if (expected.accepted.some(same)) {
        return undefined;
    }
    const publicKey = `${type} ${blob.toString("base64")}`;
    const compare =
        `Compare the fingerprint with the host's own, seen on its console: \`ssh-keygen -lf ` +
        `/etc/ssh/ssh_host_${/^(?:ssh-)?([a-z0-9]+)/.exec(type)?.[1] ?? "ed25519"}_key.pub\`.`;
    if (expected.accepted.length > 0) {
        const known = expected.accepted.map((key) => `${key.type} ${fingerprint(key.blob)} (${key.where})`).join(", ");
        const isNew = !expected.accepted.some((key) => key.type === type);
        return {
            reason:
                `the host key is not the expected one. Expected ${known}; the host shows ${shown}` +
                (isNew ? ", a type of key that is not known for it" : ""),
            remedy:
                `Either the host was reinstalled, or somebody else answers in its place. ${compare} ` +
                (expected.sources[0] === "hostKey"
                    ? `If they agree, set \`hostKey\` to "${publicKey}".`
                    : `If they agree, \`ssh-keygen -R '${name}'\` removes the old key; then add "${name} ${publicKey}".`),
        };
    }
    if (expected.lent.some(same)) {
        return undefined;
    }
    const lent = expected.lent.map((key) => `${key.type} ${fingerprint(key.blob)} (${key.where})`).join(", ");
    return {
        reason:
            `the host key is not known. The host shows ${shown}; no line for ${name} in ${expected.sources.join(", ")}` +
            (lent ? `; for ${hop.host} on port 22 other keys are known: ${lent}` : "") +
            (expected.authorities.length > 0
                ? `; the @cert-authority line ${expected.authorities.join(", ")} is for this host, ` +
                  "but host certificates are not supported"
                : ""),
        remedy:
            `${compare} If they agree, set \`hostKey\` to "${publicKey}", ` +
            `or add that line to a known_hosts file, with ${name} in front.`,
    };
}

const warned = new Set<string>();

/** Says once per process and host that its key is not verified. */
export function warnIgnored(hop: Hop): void {
    const name = describeHop(hop);
    if (!warned.has(name)) {
        warned.add(name);
        console.warn(
            `warning: ${name}: the host key is not verified (insecureIgnoreHostKey). ` +
                "Whoever answers at that address is given the credentials.",
        );
    }
}
