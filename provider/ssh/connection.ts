import { createHash } from "node:crypto";
import { z } from "zod";
import { readPublicKey } from "./known-hosts";

/**
 * How to reach a host. The fields are those of `@pulumi/command`'s remote connection, with the same names, units and
 * defaults, so that one can take the other's place; `sudo`, `knownHosts`, `insecureIgnoreHostKey` and `privateKeyPath`
 * are ours. Unlike there, the host's key is verified unless that is switched off by name.
 */

const blank = /[\s\u0000-\u001f\u007f-\u009f]/;

const host = z
    .string()
    .min(1, "must not be empty")
    .max(255, "is longer than any host name")
    .refine((value) => !blank.test(value), "must not contain spaces or control characters")
    .refine((value) => !value.includes("@"), "must be the host alone; the user name goes into `user`")
    .refine((value) => !/[[\]]/.test(value), "is written without brackets; the port goes into `port`")
    .describe("Name or address of the host.");

const pathText = z
    .string()
    .min(1, "must not be empty")
    .refine((value) => !value.includes("\0"), "must not contain NUL");

const ports = "expected a whole number from 1 to 65535";
const attempts = "expected a whole number from -1 on";
const seconds = "expected seconds, more than 0 and at most 86400";

const hopFields = {
    host,
    port: z.int(ports).min(1, ports).max(65535, ports).default(22).describe("TCP port of its sshd."),
    user: z
        .string()
        .min(1, "must not be empty")
        .refine((value) => !/[\u0000-\u001f\u007f-\u009f]/.test(value), "must not contain control characters")
        .default("root")
        .describe("User to log in as."),
    password: z
        .string()
        .optional()
        .describe("Password, offered as `password` and as `keyboard-interactive` authentication."),
    privateKey: z
        .string()
        .refine((value) => /PRIVATE KEY-----|^PuTTY-User-Key-File-/m.test(value), {
            error: "is not a private key (PEM or OpenSSH text, beginning with -----BEGIN … PRIVATE KEY-----); a path goes into `privateKeyPath`",
        })
        .optional()
        .describe("Text of the private key, PEM or OpenSSH format."),
    privateKeyPath: pathText
        .optional()
        .describe("File with the private key, read on this machine whenever it is needed; its text is never stored."),
    privateKeyPassword: z.string().optional().describe("Passphrase of the private key."),
    agentSocketPath: pathText.optional().describe("Socket of an SSH agent. Default: SSH_AUTH_SOCK."),
    hostKey: z
        .string()
        .superRefine((value, context) => {
            const key = readPublicKey(value);
            if (typeof key === "string") {
                context.addIssue({ code: "custom", message: key });
            }
        })
        .optional()
        .describe("The host's public key, one line as in authorized_keys: `ssh-ed25519 AAAA…`."),
    knownHosts: z
        .union([pathText, z.array(pathText).min(1)])
        .optional()
        .describe("known_hosts file or files. Default: ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts."),
    insecureIgnoreHostKey: z
        .boolean()
        .default(false)
        .describe("Accept any host key. Whoever answers at that address is then given the credentials."),
    dialErrorLimit: z
        .int(attempts)
        .min(-1, attempts)
        .default(10)
        .describe("Number of failed attempts to connect after which to give up; -1: never."),
    perDialTimeout: z
        .number(seconds)
        .positive(seconds)
        .max(86_400, seconds)
        .default(15)
        .describe("Seconds for one attempt to connect, handshake and login included."),
};

type HopFields = z.infer<z.ZodObject<typeof hopFields>>;

function contradictions(value: HopFields, context: z.RefinementCtx): void {
    if (value.privateKey !== undefined && value.privateKeyPath !== undefined) {
        context.addIssue({ code: "custom", path: ["privateKeyPath"], message: "give `privateKey` or this, not both" });
    }
    if (value.insecureIgnoreHostKey && value.hostKey !== undefined) {
        context.addIssue({
            code: "custom",
            path: ["insecureIgnoreHostKey"],
            message: "contradicts `hostKey`, which would be ignored",
        });
    }
}

/** zod schema of a connection; strict: a field that it does not know is an error. */
export const connectionSchema = z
    .strictObject({
        ...hopFields,
        sudo: z
            .boolean()
            .default(false)
            .describe("Run scripts by `sudo -n sh`, as root. The user needs sudo without a password."),
        proxy: z
            .strictObject(hopFields)
            .superRefine(contradictions)
            .optional()
            .describe("Bastion to go through: one level, the same fields. `knownHosts` is inherited."),
    })
    .superRefine(contradictions);

/** A checked connection, defaults filled in; with its name in `lvs:hosts`, where it has one. */
export type Connection = z.infer<typeof connectionSchema> & { name?: string };

/** A connection as a user writes it. */
export type ConnectionInput = z.input<typeof connectionSchema>;

/** One end of a connection: the host itself, or its bastion. */
export type Hop = HopFields;

/** `host:port`, with brackets around an IPv6 address. */
export function describeHop(hop: { host: string; port: number }): string {
    return hop.host.includes(":") ? `[${hop.host}]:${hop.port}` : `${hop.host}:${hop.port}`;
}

/**
 * A connection for people: `lb1 (root@192.0.2.1:22)`, without a name `lb1.example:22`, through a bastion
 * `10.0.0.1:22 via bastion:22`. Holds no secret.
 */
export function describeConnection(connection: Connection): string {
    const { name, user, proxy } = connection;
    const way = proxy === undefined ? "" : ` via ${describeHop(proxy)}`;
    const own = `${describeHop(connection)}${way}`;
    return name === undefined ? own : `${name} (${user}@${own})`;
}

/** JSON with its keys in order and without undefined values: equal values give equal text. */
function canonical(value: unknown): string {
    return JSON.stringify(value, (_key, inner: unknown) =>
        inner !== null && typeof inner === "object" && !Array.isArray(inner)
            ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
            : inner,
    );
}

/**
 * The key of pools and caches: a hash over the *whole* connection, bastion and credentials included, but for its name.
 * (10.0.0.1 behind one bastion is not 10.0.0.1 behind another.) Being derived from credentials, it is not for storing or printing.
 */
export function connectionKey({ name: _, ...connection }: Connection): string {
    return createHash("sha256").update(canonical(connection)).digest("hex");
}

/** Every secret of the connection, for {@link redactor}. */
export function connectionSecrets(connection: Connection): string[] {
    return [connection, connection.proxy]
        .flatMap((hop) => [hop?.password, hop?.privateKey, hop?.privateKeyPassword])
        .filter((secret): secret is string => secret !== undefined && secret !== "");
}
