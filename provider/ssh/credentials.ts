import { readFile } from "node:fs/promises";
import { type AnyAuthMethod, type AuthHandlerMiddleware, type ParsedKey, utils } from "ssh2";
import type { Hop } from "./connection";
import { expandHome } from "./home";

/** The ways in which a connection can prove who it is. */

/** One thing to try; `offeredAs` is what a server calls it in its list of what may go on. */
interface Way {
    offeredAs: string;
    method: AnyAuthMethod;
}

/** Credentials made ready to be used, or why they cannot be. */
export interface Credentials {
    ways: Way[];
    /** For messages: "private key, password". */
    summary: string;
}

/** Credentials that cannot be used, as parts of a message. */
export interface UnusableCredentials {
    reason: string;
    remedy: string;
}

/** Reads and decrypts what the connection holds. Nothing is sent anywhere. */
export async function readCredentials(hop: Hop): Promise<Credentials | UnusableCredentials> {
    const ways: Way[] = [];
    const summary: string[] = [];
    const username = hop.user;
    if (hop.privateKey !== undefined || hop.privateKeyPath !== undefined) {
        const key = await readKey(hop);
        if ("reason" in key) {
            return key;
        }
        ways.push({ offeredAs: "publickey", method: { type: "publickey", username, key: key.key } });
        summary.push("private key");
    }
    if (hop.password !== undefined) {
        const password = hop.password;
        ways.push({ offeredAs: "password", method: { type: "password", username, password } });
        // Prompts that echo ask for something else than a password: a name, a choice.
        const prompt = (
            _name: string,
            _instructions: string,
            _lang: string,
            prompts: { prompt: string; echo: boolean }[],
            finish: (answers: string[]) => void,
        ) => finish(prompts.map(({ echo }) => (echo ? "" : password)));
        const method = { type: "keyboard-interactive", username, prompt } as unknown as AnyAuthMethod;
        ways.push({ offeredAs: "keyboard-interactive", method });
        summary.push("password");
    }
    // An agent may hold many keys, and a server counts each of them as a failure: it comes last.
    const agent = hop.agentSocketPath ?? process.env["SSH_AUTH_SOCK"];
    if (agent) {
        ways.push({ offeredAs: "publickey", method: { type: "agent", username, agent } });
        summary.push("SSH agent");
    }
    if (ways.length === 0) {
        return {
            reason: "there are no credentials to log in with",
            remedy: "Set `privateKey`, `privateKeyPath`, `password` or `agentSocketPath`, or run an SSH agent.",
        };
    }
    return { ways, summary: summary.join(", ") };
}

async function readKey(hop: Hop): Promise<{ key: ParsedKey } | UnusableCredentials> {
    let text = hop.privateKey;
    const name = text === undefined ? `the private key ${hop.privateKeyPath}` : "the private key";
    if (text === undefined) {
        try {
            text = await readFile(expandHome(hop.privateKeyPath ?? ""), "utf8");
        } catch (error) {
            return {
                reason: `${name} cannot be read: ${(error as Error).message}`,
                remedy: "Correct `privateKeyPath`, or make the file readable.",
            };
        }
    }
    // A key that went through an editor or a config file may have lost its last newline, or have gained others.
    let parsed = utils.parseKey(`${text.replaceAll("\r\n", "\n").trim()}\n`, hop.privateKeyPassword);
    parsed = Array.isArray(parsed) ? parsed[0] : parsed;
    if (parsed instanceof Error || parsed === undefined) {
        const message = parsed?.message ?? "it is empty";
        const encrypted = /encrypted|passphrase|bad decrypt|integrity check/i.test(message);
        return {
            reason: `${name} cannot be used: ${message}`,
            remedy: encrypted
                ? "Set `privateKeyPassword` to its passphrase."
                : "Give a private key in PEM or OpenSSH format, as `ssh-keygen -t ed25519` writes it.",
        };
    }
    if (!parsed.isPrivateKey()) {
        return { reason: `${name} holds a public key only`, remedy: "Give the private half of the key." };
    }
    return { key: parsed };
}

/** What a server said it would accept; filled in by {@link authHandler}. */
export interface AuthenticationLog {
    offered: Set<string>;
    tried: string[];
}

/**
 * Tries the credentials in order, each once, leaving out what the server does not accept at that moment; so several in
 * a row are given where it wants several.
 */
export function authHandler(credentials: Credentials, user: string, log: AuthenticationLog): AuthHandlerMiddleware {
    let left: Way[] | undefined;
    return (offered, _partialSuccess, next) => {
        if (left === undefined) {
            // Asking for nothing makes the server say what it accepts, and is not counted as a failure.
            left = [...credentials.ways];
            next({ type: "none", username: user });
            return;
        }
        for (const name of offered ?? []) {
            log.offered.add(name);
        }
        const index = left.findIndex((way) => !offered || (offered as string[]).includes(way.offeredAs));
        const [way] = index < 0 ? [] : left.splice(index, 1);
        if (way) {
            log.tried.push(way.method.type === "agent" ? "SSH agent" : way.method.type);
        }
        (next as (method: AnyAuthMethod | false) => void)(way ? way.method : false);
    };
}
