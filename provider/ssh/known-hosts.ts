import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/** Public keys and known_hosts files, as sshd(8) describes them. Pure: no file is read here. */

/** A public key: its type, and its bytes as they go over the wire. */
export interface PublicKey {
    type: string;
    blob: Buffer;
}

/** One usable line of a known_hosts file. */
export interface KnownHost extends PublicKey {
    marker?: "revoked" | "cert-authority";
    /** Comma-separated patterns, or one hashed name. */
    hosts: string;
    /** File and line, for messages. */
    where: string;
}

function decodeKey(type: string, base64: string): PublicKey | undefined {
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
        return undefined;
    }
    const blob = Buffer.from(base64, "base64");
    return keyType(blob) === type ? { type, blob } : undefined;
}

/** The type that a key's bytes begin with, such as `ssh-ed25519`; undefined when they are no key. */
export function keyType(blob: Buffer): string | undefined {
    if (blob.length < 8) {
        return undefined;
    }
    const length = blob.readUInt32BE(0);
    return length > 0 && length <= 64 && blob.length > 4 + length ? blob.toString("latin1", 4, 4 + length) : undefined;
}

/** Reads one line in authorized_keys format (`type base64 [comment]`); a string says what is wrong with it. */
export function readPublicKey(line: string): PublicKey | string {
    const text = line.trim();
    if (/[\r\n]/.test(text)) {
        return "must be one line: a single public key";
    }
    const words = text.split(/[ \t]+/);
    const key = decodeKey(words[0] ?? "", words[1] ?? "");
    if (key) {
        return key;
    }
    if (decodeKey(words[1] ?? "", words[2] ?? "")) {
        return "must begin with the key's type; leave out the host name in front of it";
    }
    return "is not a public key in authorized_keys format, such as `ssh-ed25519 AAAA…`";
}

/** OpenSSH's fingerprint of a key: `SHA256:…`. */
export function fingerprint(blob: Buffer): string {
    return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}

/** Reads a known_hosts file. Lines that ssh(1) could not use either are passed over. */
export function parseKnownHosts(text: string, file: string): KnownHost[] {
    const lines: KnownHost[] = [];
    for (const [index, raw] of text.split(/\r?\n/).entries()) {
        const words = raw.trim().split(/[ \t]+/);
        if (raw.trim() === "" || raw.trim().startsWith("#")) {
            continue;
        }
        const marker = words[0]?.startsWith("@") ? words.shift()?.slice(1) : undefined;
        if (marker !== undefined && marker !== "revoked" && marker !== "cert-authority") {
            continue;
        }
        const key = decodeKey(words[1] ?? "", words[2] ?? "");
        if (words[0] && key) {
            lines.push({ ...key, hosts: words[0], where: `${file}:${index + 1}`, ...(marker ? { marker } : {}) });
        }
    }
    return lines;
}

/** `*` and `?` as ssh(1) takes them, in time proportional to both lengths. */
function matchesPattern(pattern: string, name: string): boolean {
    let p = 0;
    let star = -1;
    let resume = 0;
    for (let n = 0; n < name.length; ) {
        if (pattern[p] === "*") {
            star = p++;
            resume = n;
        } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === name[n])) {
            p++;
            n++;
        } else if (star >= 0) {
            p = star + 1;
            n = ++resume;
        } else {
            return false;
        }
    }
    while (pattern[p] === "*") {
        p++;
    }
    return p === pattern.length;
}

function matchesHash(hashed: string, name: string): boolean {
    const [, kind, salt = "", digest = ""] = hashed.split("|");
    const wanted = Buffer.from(digest, "base64");
    const found = createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest();
    return kind === "1" && wanted.length === found.length && timingSafeEqual(wanted, found);
}

/** Whether the host field of a known_hosts line means `name` (a host, or `[host]:port`). */
export function matchesHost(hosts: string, name: string): boolean {
    const wanted = name.toLowerCase();
    if (hosts.startsWith("|")) {
        return matchesHash(hosts, wanted);
    }
    let found = false;
    for (const pattern of hosts.toLowerCase().split(",")) {
        if (pattern.startsWith("!")) {
            if (matchesPattern(pattern.slice(1), wanted)) {
                return false;
            }
        } else if (matchesPattern(pattern, wanted)) {
            found = true;
        }
    }
    return found;
}

/** The name under which known_hosts keeps a host: the host alone on port 22, else `[host]:port`. */
export function knownHostName(host: string, port: number): string {
    return port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
}
